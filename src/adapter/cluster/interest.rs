//! The subscriptions to a namespace, and to its rooms that have members on this server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Shared;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::rooms::{Confirmed, RoomHold, RoomInterest};
use proto::cluster::{BoxFuture, Channel, RoomChannels, WireConnection, WireError};

/// The time for which a join, or the answer to a CONNECT, waits for the engine. Local delivery does not wait, so this
/// only delays the client while the engine does not answer.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// The confirmation of a subscription by the engine.
type Confirmation = BoxFuture<Result<(), WireError>>;

/// The subscriptions to one namespace and its rooms.
#[derive(Clone)]
pub(super) struct Interest {
    nsp: Arc<str>,
    connection: Arc<dyn WireConnection>,
    rooms: RoomChannels,
    /// Resolves when the messages for the namespace arrive.
    ready: Shared<Confirmed>,
}

impl Interest {
    pub(super) fn new(
        nsp: &Arc<str>,
        connection: &Arc<dyn WireConnection>,
        rooms: RoomChannels,
        confirmations: Vec<Confirmation>,
    ) -> Self {
        Self {
            nsp: Arc::clone(nsp),
            connection: Arc::clone(connection),
            rooms,
            ready: within_limit(confirmations).shared(),
        }
    }

    fn subscribe(&self, room: &str) -> Confirmation {
        let nsp = &self.nsp;
        self.connection.subscribe(Channel::Room { nsp, room })
    }
}

impl RoomInterest for Interest {
    fn ready(&self) -> Option<Confirmed> {
        let ready = { self.ready.peek() }
            .is_none()
            .then(|| self.ready.clone())?;
        Some(Box::pin(ready))
    }

    fn created(&self, room: &str) {
        if self.rooms != RoomChannels::None {
            drop(self.subscribe(room));
        }
    }

    fn deleted(&self, room: &str) {
        if self.rooms != RoomChannels::None {
            let nsp = &self.nsp;
            self.connection.unsubscribe(Channel::Room { nsp, room });
        }
    }

    fn includes_own(&self) -> bool {
        self.rooms == RoomChannels::All
    }

    fn confirmation(&self, room: &str) -> Option<Confirmed> {
        let nsp = &self.nsp;
        let channel = Channel::Room { nsp, room };
        let confirmation = self.connection.confirmation(channel)?;
        Some(within_limit(vec![confirmation]))
    }

    fn hold(&self, mut rooms: Vec<String>) -> RoomHold {
        if self.rooms == RoomChannels::None {
            rooms.clear();
        }
        let confirmations = rooms.iter().map(|room| self.subscribe(room)).collect();
        let held = Held {
            subscriptions: self.clone(),
            rooms,
        };
        RoomHold {
            guard: Box::new(held),
            confirmed: within_limit(confirmations),
        }
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interest")
            .field("nsp", &self.nsp)
            .field("rooms", &self.rooms)
            .finish_non_exhaustive()
    }
}

/// The subscriptions for a socket that is not a member yet.
struct Held {
    subscriptions: Interest,
    rooms: Vec<String>,
}

impl Drop for Held {
    fn drop(&mut self) {
        for room in &self.rooms {
            self.subscriptions.deleted(room);
        }
    }
}

/// Returns a future that waits for confirmations, but not beyond the limit, nor without a timer.
fn within_limit(confirmations: Vec<Confirmation>) -> Confirmed {
    Box::pin(async move {
        let all = async {
            for confirmation in confirmations {
                if confirmation.await.is_err() {
                    // The engine is away: it confirms nothing.
                    return;
                }
            }
        };
        if Handle::try_current().is_ok() && timeout(MAX_WAIT, all).await.is_err() {
            tracing::debug!("the engine of the cluster has not confirmed a subscription in time");
        }
    })
}
