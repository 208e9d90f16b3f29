//! The subscriptions to the rooms that have members on this server.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::rooms::{Confirmed, RoomHold, RoomInterest};
use proto::cluster::{BoxFuture, Channel, RoomChannels, WireConnection, WireError};

/// The time for which a join, or the answer to a CONNECT, waits for the engine. Local delivery does not wait, so this
/// only delays the client while the engine does not answer.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// The subscriptions to the rooms of one namespace.
#[derive(Clone, Debug)]
pub(super) struct RoomSubscriptions {
    nsp: Arc<str>,
    connection: Arc<dyn WireConnection>,
    channels: RoomChannels,
}

impl RoomSubscriptions {
    pub(super) fn new(
        nsp: &Arc<str>,
        connection: &Arc<dyn WireConnection>,
        channels: RoomChannels,
    ) -> Self {
        Self {
            nsp: Arc::clone(nsp),
            connection: Arc::clone(connection),
            channels,
        }
    }

    fn subscribe(&self, room: &str) -> BoxFuture<Result<(), WireError>> {
        let nsp = &self.nsp;
        self.connection.subscribe(Channel::Room { nsp, room })
    }
}

impl RoomInterest for RoomSubscriptions {
    fn created(&self, room: &str) {
        drop(self.subscribe(room));
    }

    fn deleted(&self, room: &str) {
        let nsp = &self.nsp;
        self.connection.unsubscribe(Channel::Room { nsp, room });
    }

    fn includes_own(&self) -> bool {
        self.channels == RoomChannels::All
    }

    fn confirmation(&self, room: &str) -> Option<Confirmed> {
        let nsp = &self.nsp;
        let channel = Channel::Room { nsp, room };
        let confirmation = self.connection.confirmation(channel)?;
        Some(within_limit(vec![confirmation]))
    }

    fn hold(&self, rooms: Vec<String>) -> RoomHold {
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

/// The subscriptions for a socket that is not a member yet.
struct Held {
    subscriptions: RoomSubscriptions,
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
fn within_limit(confirmations: Vec<BoxFuture<Result<(), WireError>>>) -> Confirmed {
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
