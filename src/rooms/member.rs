//! One client in one namespace, as broadcasts use it.

use std::fmt;
use std::sync::{Arc, Weak};

use super::acks::{Acks, AskedBy, Awaited};
use super::current::is_current;
use super::recovery::{Position, SavedSession};
use super::{JoinError, Log, Room, RoomLimits, SharedHandshake, Stay};
use crate::outbox::{Frame, Outbox, Pushed, Reliability, RuntimeId};
use crate::panics::{guarded, log_panic};
use crate::sync::Lock;
use proto::{Args, Sid};

/// A client's answer, or `None` if it disconnected without one.
pub(crate) type AckAnswer = Option<Args>;

/// The callback that gets the answer.
pub(crate) type AckSink = Box<dyn FnOnce(AckAnswer) + Send>;

/// The socket behind a member, as far as a room can act on it.
pub(crate) trait Link: Send + Sync + Sized + 'static {
    /// The values that users have stored with the socket, as its session keeps them.
    type Values: Clone + Send + Sync;

    /// Disconnects the socket, by decision of the server.
    fn disconnect(self: &Arc<Self>, scope: Scope);
    /// Calls the hooks for an event that is emitted to the socket.
    fn outgoing(self: &Arc<Self>, frame: &Frame);
    /// Ends the socket because its client has reconnected over another connection, so this one is lost.
    fn supersede(self: &Arc<Self>);
    /// Returns the JSON of the data that the application has attached, which other servers see.
    fn data(&self) -> Arc<str> {
        "{}".into()
    }
    /// Returns the handshake, which other servers see.
    fn handshake(self: &Arc<Self>) -> Option<SharedHandshake> {
        None
    }
    /// Returns the private id of the socket's session, and the session as a store keeps it, if it has one.
    fn saved(&self, floor: Position) -> Option<(Sid, SavedSession)>;
    /// Ends the socket like [`supersede`](Self::supersede), after another server has claimed its session.
    fn surrender(self: &Arc<Self>);
}

/// The task that writes a queued event to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WrittenBy {
    /// The task of the connection, which is woken.
    OwnTask,
    /// A task that writes to many connections, if the task of the connection sleeps.
    SharedTask,
}

/// The extent of a disconnect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Namespace,
    /// All namespaces of its connection, which is closed.
    Connection,
}

/// A client in a namespace. The fields that a broadcast reads stand at the beginning.
#[repr(C)]
pub(crate) struct Member<L> {
    pub(crate) outbox: Arc<Outbox>,
    /// True if the link has to be called for outgoing events.
    observed: bool,
    pub(crate) id: Sid,
    pub(crate) link: Weak<L>,
    pub(crate) acks: Lock<Acks<AckSink>>,
    /// The rooms. Only [`Members`](super::Members) changes them, together with the members of the rooms.
    pub(super) joined: Lock<MemberRooms>,
}

#[derive(Default)]
pub(super) struct MemberRooms {
    /// The rooms, in the order of joining.
    pub(super) rooms: Vec<Room>,
    /// The stays in rooms, if there is a history.
    pub(super) stays: Vec<Stay>,
    /// The number of the event after which the stays are known.
    pub(super) known_after: u64,
    pub(super) state: MemberState,
    /// The rooms that a cluster needs until the member is in them.
    pub(super) held: Option<Box<dyn Send + Sync>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum MemberState {
    /// The member has not been admitted. The rooms that it joins are remembered, and take effect with its admission.
    #[default]
    Expected,
    Here,
    /// The member has left the namespace, and joins nothing any more.
    Gone,
}

impl MemberRooms {
    /// Adds a room, unless the member has left, or is in `limit` rooms already. Returns false if the member is in the
    /// room.
    pub(super) fn add(&mut self, room: &Room, limits: RoomLimits) -> Result<bool, JoinError> {
        if room.len() > limits.name_len {
            return Err(JoinError::NameTooLong(limits.name_len));
        }
        if self.state == MemberState::Gone {
            return Err(JoinError::Closed);
        }
        if self.rooms.contains(room) {
            return Ok(false);
        }
        if self.rooms.len() >= limits.rooms {
            return Err(JoinError::TooManyRooms(limits.rooms));
        }
        self.rooms.push(Arc::clone(room));
        Ok(true)
    }

    /// Removes a room, and ends the stay in it if there is a history. Returns true if the member was in the room.
    pub(super) fn remove(&mut self, room: &str, log: Option<&Log>) -> bool {
        let before = self.rooms.len();
        self.rooms.retain(|other| **other != *room);
        if let Some(log) = log {
            let floor = log.leave(&mut self.stays, room);
            self.known_after = self.known_after.max(floor);
        }
        self.rooms.len() < before
    }
}

impl<L: Link> Member<L> {
    pub(crate) fn new(id: Sid, outbox: Arc<Outbox>, link: Weak<L>) -> Self {
        Self {
            id,
            outbox,
            link,
            observed: false,
            acks: Lock::new(Acks::new()),
            joined: Lock::default(),
        }
    }

    /// Sets whether the link is called for outgoing events.
    pub(crate) fn observed(mut self, observed: bool) -> Self {
        self.observed = observed;
        self
    }

    /// Restores the stays of a resumed socket, which is still in the rooms that it has not left.
    pub(crate) fn returning(self, stays: Vec<Stay>, known_after: u64) -> Self {
        *self.joined.lock() = MemberRooms {
            rooms: open_rooms(&stays),
            stays,
            known_after,
            state: MemberState::Expected,
            held: None,
        };
        self
    }

    /// Merges the joins and leaves since the member was made, with the stays `before`, into the newest stays of its
    /// session.
    pub(crate) fn rebase(&self, before: &[Stay], session: Vec<Stay>, known_after: u64, log: &Log) {
        let mut joined = self.joined.lock();
        let (stays, floor) = log.merge(before, &joined.stays, session);
        joined.rooms = open_rooms(&stays);
        joined.stays = stays;
        joined.known_after = joined.known_after.max(known_after).max(floor);
    }

    /// Returns the stays in rooms, and the number of the event after which they are known.
    pub(crate) fn stays(&self) -> (Vec<Stay>, u64) {
        let joined = self.joined.lock();
        (joined.stays.clone(), joined.known_after)
    }

    /// Queues an event.
    pub(crate) fn send(&self, frame: Frame, reliability: Reliability) -> Pushed {
        self.observe(&frame);
        self.push(frame, reliability)
    }

    /// Queues an event without calling the hooks, which have already seen it.
    pub(crate) fn push(&self, frame: Frame, reliability: Reliability) -> Pushed {
        self.outbox.push(frame, reliability)
    }

    /// Queues an event. If a shared task writes it, the task of the connection is not woken: the outbox is passed to
    /// `schedule_write`, with the runtime that serves the connection.
    pub(super) fn queue(
        &self,
        frame: Frame,
        reliability: Reliability,
        written_by: WrittenBy,
        schedule_write: &mut impl FnMut(RuntimeId, &Arc<Outbox>),
    ) -> Pushed {
        match written_by {
            WrittenBy::OwnTask => self.outbox.push(frame, reliability),
            WrittenBy::SharedTask => {
                let (pushed, runtime) = self.outbox.push_direct(frame, reliability);
                if let Some(runtime) = runtime {
                    schedule_write(runtime, &self.outbox);
                }
                pushed
            }
        }
    }

    /// Calls the hooks for outgoing events.
    pub(crate) fn observe(&self, frame: &Frame) {
        if self.observed
            && let Some(link) = self.link.upgrade()
        {
            link.outgoing(frame);
        }
    }

    /// Returns the rooms that the member is in, without the one of its own id.
    pub(crate) fn rooms(&self) -> Vec<Room> {
        self.joined.lock().rooms.clone()
    }

    pub(crate) fn is_in(&self, room: &str) -> bool {
        let joined = self.joined.lock();
        joined.rooms.iter().any(|joined| **joined == *room)
    }

    /// Registers `sink` for the answer to an event; calls it at once if the client has already left.
    pub(crate) fn expect_ack(&self, id: u64, sink: AckSink) {
        let by = if is_current(&self.outbox) {
            AskedBy::Handler
        } else {
            AskedBy::Other
        };
        let refused = self.acks.lock().expect(id, by, sink);
        if let Err(sink) = refused {
            sink(None);
        }
    }

    pub(crate) fn answer(&self, id: u64, args: Args) {
        let sink = self.acks.lock().take(id);
        if let Some(sink) = sink {
            sink(Some(args));
        }
    }

    /// Returns whether answers of the client are awaited, and by which code.
    pub(crate) fn awaited(&self) -> Awaited {
        self.acks.lock().awaited()
    }

    /// Ends the wait for all acknowledgements: the client has left, and no answer can arrive any more.
    pub(crate) fn close_acks(&self) {
        let sinks = self.acks.lock().close();
        for sink in sinks {
            // The waiting task may have a waker that panics, which must not affect the others.
            if let Err(panicked) = guarded(|| sink(None)) {
                log_panic("waker", &panicked);
            }
        }
    }
}

/// Returns the rooms that have not been left.
pub(super) fn open_rooms(stays: &[Stay]) -> Vec<Room> {
    let open = stays.iter().filter(|stay| stay.until.is_none());
    open.map(|stay| Arc::clone(&stay.room)).collect()
}

impl<L> fmt::Debug for Member<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
