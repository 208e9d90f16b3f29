//! What happens to rooms, for who wants to watch.

use std::fmt;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::stream::{StreamExt, select_all, unfold};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender, channel};

use super::Room;
use crate::protocol::Sid;

/// How many events may wait for a watcher.
const CAPACITY: usize = 1024;

/// Something has happened to a room. Node's adapter events `create-room`, `join-room`, `leave-room`, `delete-room`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoomEvent {
    /// The first socket is about to join it.
    Created {
        /// Its name.
        room: Room,
    },
    /// A socket has joined it.
    Joined {
        /// Its name.
        room: Room,
        /// The socket.
        id: Sid,
    },
    /// A socket has left it.
    Left {
        /// Its name.
        room: Room,
        /// The socket.
        id: Sid,
    },
    /// The last socket has left it.
    Deleted {
        /// Its name.
        room: Room,
    },
    /// Who watches was too slow, and has missed so many events.
    Missed(u64),
}

/// What happens to the rooms of a namespace on this server: [`Broadcast::room_events`](crate::Broadcast::room_events).
#[must_use = "what is not asked for is missed"]
pub struct RoomEvents(Pin<Box<dyn Stream<Item = RoomEvent> + Send>>);

impl RoomEvents {
    pub(crate) fn of(watched: impl IntoIterator<Item = Self>) -> Self {
        Self(Box::pin(select_all(watched)))
    }

    fn new(receiver: Receiver<RoomEvent>) -> Self {
        Self(Box::pin(unfold(receiver, async |mut receiver| {
            let event = match receiver.recv().await {
                Ok(event) => event,
                Err(RecvError::Lagged(missed)) => RoomEvent::Missed(missed),
                Err(RecvError::Closed) => return None,
            };
            Some((event, receiver))
        })))
    }

    /// The next event. `None` when the namespace is gone.
    pub async fn next(&mut self) -> Option<RoomEvent> {
        self.0.next().await
    }
}

impl Stream for RoomEvents {
    type Item = RoomEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<RoomEvent>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for RoomEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomEvents").finish_non_exhaustive()
    }
}

/// Who watches. Costs nothing until somebody does.
#[derive(Debug, Default)]
pub(super) struct Watchers(OnceLock<Sender<RoomEvent>>);

impl Watchers {
    pub(super) fn watch(&self) -> RoomEvents {
        let sender = self.0.get_or_init(|| channel(CAPACITY).0);
        RoomEvents::new(sender.subscribe())
    }

    pub(super) fn tell(&self, event: impl FnOnce() -> RoomEvent) {
        if let Some(sender) = self.0.get()
            && sender.receiver_count() > 0
        {
            // Whoever watched may have gone this moment.
            let _ = sender.send(event());
        }
    }
}
