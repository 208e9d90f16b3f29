//! The events of rooms: their creation, joins, leaves and their deletion.

use std::fmt;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::stream::{StreamExt, select_all, unfold};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender, channel};

use super::Room;
use proto::Sid;

/// The number of events that are buffered for a stream.
const CAPACITY: usize = 1024;

/// An event of a room. Node's adapter events `create-room`, `join-room`, `leave-room`, `delete-room`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoomEvent {
    /// The room has been created: its first socket is about to join it.
    Created {
        /// The room's name.
        room: Room,
    },
    /// A socket has joined the room.
    Joined {
        /// The room's name.
        room: Room,
        /// The socket's id.
        id: Sid,
    },
    /// A socket has left the room.
    Left {
        /// The room's name.
        room: Room,
        /// The socket's id.
        id: Sid,
    },
    /// The room has been deleted: its last socket has left it.
    Deleted {
        /// The room's name.
        room: Room,
    },
    /// The stream was read too slowly, and this number of events is lost.
    Missed(u64),
}

/// A stream of the events of a namespace's rooms on this server:
/// [`NamespaceHandle::room_events`](crate::NamespaceHandle::room_events).
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

    /// Returns the next event, or `None` when the namespace no longer exists.
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

/// The open streams of a namespace. It allocates nothing until the first one is opened.
#[derive(Debug, Default)]
pub(super) struct Watchers(OnceLock<Sender<RoomEvent>>);

impl Watchers {
    pub(super) fn watch(&self) -> RoomEvents {
        let sender = self.0.get_or_init(|| channel(CAPACITY).0);
        RoomEvents::new(sender.subscribe())
    }

    pub(super) fn send(&self, event: impl FnOnce() -> RoomEvent) {
        if let Some(sender) = self.0.get()
            && sender.receiver_count() > 0
        {
            // The last stream may have been dropped at this moment.
            let _ = sender.send(event());
        }
    }
}
