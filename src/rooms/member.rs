//! One client in one namespace, as a broadcast sees it.

use std::any::Any;
use std::sync::{Arc, Weak};

use super::serving::serves;
use super::{Room, Stay};
use crate::connection::{Acks, Asker, Awaited};
use crate::engine::{Frame, Outbox, Pushed};
use crate::panics::guarded;
use crate::protocol::{Args, Sid};
use crate::sync::Lock;

/// What a client answered, or that it left without an answer.
pub(crate) type Answer = Option<Args>;

/// Who waits for the answer.
pub(crate) type AckSink = Box<dyn FnOnce(Answer) + Send>;

/// The socket behind a member, as far as a room can act on it.
pub(crate) trait Link: Any + Send + Sync {
    /// Disconnects the socket, by the server's will.
    fn disconnect(&self, scope: Scope);
    /// An event is emitted to the socket.
    fn outgoing(&self, frame: &Frame);
    /// Its client has come back over another connection, so this one is lost.
    fn supersede(&self);
}

/// What a socket is disconnected from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Namespace,
    /// All namespaces of its connection, which is closed.
    Connection,
}

/// What a broadcast looks at stands at the beginning.
#[repr(C)]
pub(crate) struct Member {
    pub(crate) outbox: Arc<Outbox>,
    /// Whether the link wants to hear of outgoing events.
    observed: bool,
    pub(crate) id: Sid,
    pub(crate) link: Weak<dyn Link>,
    pub(crate) acks: Lock<Acks<AckSink>>,
    /// Changed only by [`Table`](super::Table), which changes the rooms' side with it.
    pub(super) joined: Lock<Joined>,
}

#[derive(Default)]
pub(super) struct Joined {
    /// In the order of joining.
    pub(super) rooms: Vec<Room>,
    /// When it was in which room, if there is a history.
    pub(super) stays: Vec<Stay>,
    /// Of the events after this one.
    pub(super) known_after: u64,
    pub(super) presence: Presence,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Presence {
    /// It has not been admitted: the rooms that it joins are remembered, and reach it from its admission on.
    #[default]
    Expected,
    Here,
    /// It has left the namespace, so it joins nothing any more.
    Gone,
}

impl Member {
    pub(crate) fn new(id: Sid, outbox: Arc<Outbox>, link: Weak<dyn Link>) -> Self {
        Self {
            id,
            outbox,
            link,
            observed: false,
            acks: Lock::new(Acks::new()),
            joined: Lock::default(),
        }
    }

    /// Its link wants to hear of outgoing events.
    pub(crate) fn observed(mut self, observed: bool) -> Self {
        self.observed = observed;
        self
    }

    /// It was there before, and is still in the rooms that it has not left.
    pub(crate) fn returning(self, stays: Vec<Stay>, known_after: u64) -> Self {
        let here = stays.iter().filter(|stay| stay.until.is_none());
        let rooms = here.map(|stay| Arc::clone(&stay.room)).collect();
        *self.joined.lock() = Joined {
            rooms,
            stays,
            known_after,
            presence: Presence::Expected,
        };
        self
    }

    /// Where it was before is known better now than when it was made, at the time of `before`. What it has joined and left since
    /// holds; `leave` notes in stays that a room was left, and returns up to which event they are no longer known.
    pub(crate) fn rebase(
        &self,
        before: &[Stay],
        mut stays: Vec<Stay>,
        known_after: u64,
        leave: impl Fn(&mut Vec<Stay>, &str) -> u64,
    ) {
        let open = |stays: &[Stay]| -> Vec<Room> {
            let open = stays.iter().filter(|stay| stay.until.is_none());
            open.map(|stay| Arc::clone(&stay.room)).collect()
        };
        let (before, mut joined) = (open(before), self.joined.lock());
        let mut known_after = known_after.max(joined.known_after);
        for room in before.iter().filter(|room| !joined.rooms.contains(room)) {
            known_after = known_after.max(leave(&mut stays, room));
        }
        let known = open(&stays);
        let own = joined.stays.iter().filter(|stay| stay.until.is_none());
        let own = own.filter(|stay| !before.contains(&stay.room) && !known.contains(&stay.room));
        let own: Vec<Stay> = own.cloned().collect();
        stays.extend(own);
        joined.rooms = open(&stays);
        joined.stays = stays;
        joined.known_after = known_after;
    }

    /// When it was in which room, of the events after the one of that number.
    pub(crate) fn stays(&self) -> (Vec<Stay>, u64) {
        let joined = self.joined.lock();
        (joined.stays.clone(), joined.known_after)
    }

    /// Queues an event.
    pub(crate) fn send(&self, frame: Frame, volatile: bool) -> Pushed {
        self.observe(&frame);
        self.push(frame, volatile)
    }

    /// Queues an event that has been shown to those who want to see it.
    pub(crate) fn push(&self, frame: Frame, volatile: bool) -> Pushed {
        self.outbox.push(frame, volatile)
    }

    /// Queues an event. If it goes to `many`, the tasks of connections that sleep are left asleep: their outboxes are handed to
    /// `promise`, with the place where they are, which sees to it that they are written.
    pub(super) fn queue(
        &self,
        frame: Frame,
        volatile: bool,
        many: bool,
        promise: &mut impl FnMut(u64, &Arc<Outbox>),
    ) -> Pushed {
        if !many {
            return self.outbox.push(frame, volatile);
        }
        let (pushed, promised) = self.outbox.push_direct(frame, volatile);
        if let Some(place) = promised {
            promise(place, &self.outbox);
        }
        pushed
    }

    /// Tells who wants to hear of outgoing events.
    pub(crate) fn observe(&self, frame: &Frame) {
        if self.observed
            && let Some(link) = self.link.upgrade()
        {
            link.outgoing(frame);
        }
    }

    /// The rooms it is in, without the one of its own id.
    pub(crate) fn rooms(&self) -> Vec<Room> {
        self.joined.lock().rooms.clone()
    }

    pub(crate) fn is_in(&self, room: &str) -> bool {
        let joined = self.joined.lock();
        joined.rooms.iter().any(|joined| **joined == *room)
    }

    /// Waits for an answer; tells `sink` at once when the client has left already.
    pub(crate) fn expect_ack(&self, id: u64, sink: AckSink) {
        let asker = if serves(&self.outbox) {
            Asker::Handler
        } else {
            Asker::Other
        };
        let refused = self.acks.lock().expect(id, asker, sink);
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

    /// Whether answers of the client are awaited, and by whom.
    pub(crate) fn awaited(&self) -> Awaited {
        self.acks.lock().awaited()
    }

    /// The client has left: nobody will answer any more.
    pub(crate) fn close_acks(&self) {
        let sinks = self.acks.lock().close();
        for sink in sinks {
            // Whoever awaits it may have a waker that panics, which concerns none of the others.
            if let Err(panicked) = guarded(|| sink(None)) {
                panicked.log("waker");
            }
        }
    }
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
