//! Connection state recovery: the events that were sent to a namespace, and the sessions that may resume.
//!
//! One lock protects all of it. Emits to the namespace, joins and leaves take it too, so the log has the order of every
//! client's own queue, and the last offset that a client has seen determines all that it has received.

mod arrival;
mod event;
mod log;
mod options;
mod positions;
mod scan;
mod sessions;
mod stays;
mod store;
mod sweeper;
#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;
mod waiting_events;

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::outbox::Frame;
use crate::panics::drop_guarded;
use crate::rooms::Link;
use crate::sync::Lock;

pub(crate) use arrival::Delivery;
pub(crate) use event::{LoggedEvent, Offset};
pub(crate) use log::{Asker, Audience, Log};
pub use options::Recovery;
pub(crate) use positions::Location;
pub(crate) use scan::Scan;
pub(crate) use sessions::{Claim, SessionMap, SuspendedSession};
pub(crate) use stays::Stay;
pub(crate) use store::{
    Arrival, Feed, Position, SavedSession, Store, StoreError, StoreReply, Stores,
};
pub(crate) use sweeper::Sweeper;
pub(crate) use waiting_events::WaitingEvents;

/// The recovery state of a namespace.
pub(crate) struct History<L: Link> {
    pub(crate) options: Recovery,
    /// The store that other servers use too, if there is one.
    pub(crate) store: Option<Arc<dyn Store>>,
    /// Wakes those who wait for events to arrive.
    pub(crate) arrivals: Notify,
    pub(crate) scan: Scan,
    state: Lock<HistoryState<L>>,
}

/// The part of a history that its lock protects.
pub(crate) struct HistoryState<L: Link> {
    pub(crate) log: Log,
    pub(crate) sessions: SessionMap<L>,
    /// The events that wait for their positions, if a store assigns them.
    pub(crate) waiting: WaitingEvents,
}

impl<L: Link> HistoryState<L> {
    /// Gives an event its number, and stores it if a client may resume and ask for it.
    pub(crate) fn append(
        &mut self,
        now: Instant,
        audience: Audience,
        frame: Frame,
        forgotten: &mut Forgotten<L::Values>,
    ) {
        self.log.append(now, audience, frame, &mut forgotten.frames);
        if self.sessions.is_empty() {
            self.log.clear(&mut forgotten.frames);
        }
    }

    /// Stores an event at its position in a store, like [`append`](Self::append).
    fn append_at(
        &mut self,
        position: Position,
        now: Instant,
        audience: Audience,
        frame: Frame,
        forgotten: &mut Forgotten<L::Values>,
    ) {
        let frames = &mut forgotten.frames;
        self.log.append_at(position, now, audience, frame, frames);
        self.sessions.renew(forgotten);
        if self.sessions.is_empty() {
            self.log.clear(&mut forgotten.frames);
        }
    }

    /// Records the position of an event that was delivered without it.
    fn pass(&mut self, position: Position, forgotten: &mut Forgotten<L::Values>) {
        self.log.pass(position);
        self.cut(forgotten);
    }

    /// Records that an event was delivered without a position: no client of this server that has seen only earlier
    /// events can resume its session.
    fn cut(&mut self, forgotten: &mut Forgotten<L::Values>) {
        self.log.cut(&mut forgotten.frames);
        self.sessions.cut(self.log.floor(), forgotten);
    }
}

/// The longest duration, about ten years: adding a longer one to a time would overflow.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Removed frames and sessions. They hold values of users, which have to be dropped without holding a lock.
#[must_use = "to be dropped when no lock is held"]
pub(crate) struct Forgotten<V> {
    frames: Vec<Frame>,
    sessions: Vec<SuspendedSession<V>>,
    /// Sockets, of which this may be the last reference.
    links: Vec<Arc<dyn Send + Sync>>,
}

impl<V> Default for Forgotten<V> {
    fn default() -> Self {
        Self {
            frames: Vec::new(),
            sessions: Vec::new(),
            links: Vec::new(),
        }
    }
}

impl<V> Forgotten<V> {
    /// Stores a session until no lock is held.
    pub(crate) fn keep(&mut self, suspended: SuspendedSession<V>) {
        self.sessions.push(suspended);
    }
}

impl<L: Link> History<L> {
    /// Creates an empty history. `detection` is the time that it takes to detect a lost connection: events sent during
    /// that time are missed too.
    pub(crate) fn new(
        epoch: [u8; Log::EPOCH],
        mut options: Recovery,
        detection: Duration,
        store: Option<Arc<dyn Store>>,
    ) -> Self {
        options.max_duration = options.max_duration.min(FOREVER);
        let keep = options.max_duration.saturating_add(detection);
        let log = Log::new(epoch, options.max_packets, options.max_bytes, keep)
            .positioned_by(store.clone());
        let sessions = SessionMap::new(options.max_duration, options.max_sessions, store.clone());
        Self {
            options,
            store,
            arrivals: Notify::new(),
            scan: Scan::default(),
            state: Lock::new(HistoryState {
                log,
                sessions,
                waiting: WaitingEvents::default(),
            }),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, HistoryState<L>> {
        self.state.lock()
    }

    pub(crate) fn is_empty(&self) -> bool {
        let locked = self.lock();
        let next = [
            locked.sessions.next_expiry(),
            locked.sessions.next_publication(),
        ];
        locked.log.next_expiry().is_none() && next == [None, None]
    }

    /// Removes all sessions that might resume.
    pub(crate) fn forget_suspended(&self) {
        let mut forgotten = Forgotten::default();
        let mut locked = self.lock();
        locked.sessions.forget_suspended(&mut forgotten);
        drop(locked);
        drop_guarded(forgotten);
    }

    /// Removes expired events and sessions. Returns the time at which the next ones expire, if any are left.
    pub(crate) fn expire(&self, now: Instant) -> Option<Instant> {
        let mut forgotten = Forgotten::default();
        let mut locked = self.lock();
        let HistoryState { log, sessions, .. } = &mut *locked;
        sessions.expire(now, &mut forgotten);
        log.expire(now, &mut forgotten.frames);
        if sessions.is_empty() {
            log.clear(&mut forgotten.frames);
        }
        sessions.publish_due(now, &mut forgotten);
        let next = [
            log.next_expiry(),
            sessions.next_expiry(),
            sessions.next_publication(),
        ];
        drop(locked);
        drop_guarded(forgotten);
        next.into_iter().flatten().min()
    }
}
