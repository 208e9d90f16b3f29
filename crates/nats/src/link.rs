//! The client of NATS, and the state of its connection.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_nats::connection::State;
use async_nats::{Client, Event, ServerError};
use tokio::time::timeout;

use crate::error::SendError;
use crate::part::MessagePart;
use crate::settings::RESPONSE_TIMEOUT;

/// A client, which all servers and emitters of a [`Nats`](crate::Nats) share.
#[derive(Clone)]
pub(crate) struct NatsLink {
    pub(crate) client: Client,
    /// The address without user and password.
    pub(crate) address: Arc<str>,
    pub(crate) dropped: Arc<Dropped>,
}

/// The number of messages that the client has dropped, as far as it tells.
#[derive(Debug, Default)]
pub(crate) struct Dropped(AtomicU64);

/// The state of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkState {
    pub(crate) is_connected: bool,
    /// The number of connections that have been made.
    pub(crate) connects: u64,
}

impl NatsLink {
    pub(crate) fn state(&self) -> LinkState {
        let connects = self.client.statistics().connects.load(Ordering::Relaxed);
        LinkState {
            is_connected: self.client.connection_state() == State::Connected,
            connects,
        }
    }

    /// Sends the parts of messages, and waits until they are with the operating system.
    pub(crate) async fn send(
        &self,
        messages: impl IntoIterator<Item = (String, Vec<MessagePart>)>,
    ) -> Result<(), SendError> {
        let sent = async {
            for (subject, parts) in messages {
                let subject = async_nats::Subject::from(subject);
                for part in parts {
                    self.client.publish(subject.clone(), part.encode()).await?;
                }
            }
            self.client.flush().await?;
            Ok(())
        };
        let sent = timeout(RESPONSE_TIMEOUT, sent).await;
        sent.unwrap_or(Err(SendError::Timeout(RESPONSE_TIMEOUT)))
    }
}

impl Dropped {
    /// Takes note of an event of the client.
    pub(crate) fn note(&self, event: &Event) {
        let slow = matches!(
            event,
            Event::SlowConsumer(_) | Event::ServerError(ServerError::SlowConsumer(_))
        );
        if slow {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Returns a random number, by which a connection is known.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
