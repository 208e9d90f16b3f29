//! Connection state recovery: the events that were sent to a namespace, and the sessions that may resume.
//!
//! One lock protects all of it. Emits to the namespace, joins and leaves take it too, so the log has the order of every
//! client's own queue, and the last offset that a client has seen determines all that it has received.

mod log;
mod options;
mod sessions;
mod stays;
mod store;
mod sweeper;
#[cfg(all(test, feature = "testing"))]
mod tests;

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use crate::outbox::Frame;
use crate::panics::let_go;
use crate::rooms::Link;
use crate::sync::Lock;

pub(crate) use log::{Asker, Audience, Log, Offset};
pub use options::Recovery;
pub(crate) use sessions::{Away, Claim, Sessions};
pub(crate) use stays::Stay;
pub(crate) use store::{Reply, SavedSession, Store, StoreError, Stores};
pub(crate) use sweeper::Sweeper;

/// The recovery state of a namespace.
pub(crate) struct History<L: Link> {
    pub(crate) options: Recovery,
    kept: Lock<Kept<L>>,
}

pub(crate) struct Kept<L: Link> {
    pub(crate) log: Log,
    pub(crate) sessions: Sessions<L>,
}

impl<L: Link> Kept<L> {
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
}

/// The longest duration, about ten years: adding a longer one to a time would overflow.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Removed frames and sessions. They hold values of users, which have to be dropped without holding a lock.
#[must_use = "to be dropped when no lock is held"]
pub(crate) struct Forgotten<V> {
    frames: Vec<Frame>,
    sessions: Vec<Away<V>>,
}

impl<V> Default for Forgotten<V> {
    fn default() -> Self {
        Self {
            frames: Vec::new(),
            sessions: Vec::new(),
        }
    }
}

impl<V> Forgotten<V> {
    /// Stores a session until no lock is held.
    pub(crate) fn keep(&mut self, away: Away<V>) {
        self.sessions.push(away);
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
        let log = Log::new(epoch, options.max_packets, options.max_bytes, keep);
        let sessions = Sessions::new(options.max_duration, options.max_sessions, store);
        Self {
            options,
            kept: Lock::new(Kept { log, sessions }),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Kept<L>> {
        self.kept.lock()
    }

    pub(crate) fn is_empty(&self) -> bool {
        let kept = self.lock();
        kept.log.next_expiry().is_none() && kept.sessions.next_expiry().is_none()
    }

    /// Removes all sessions that might resume.
    pub(crate) fn forget_away(&self) {
        let mut forgotten = Forgotten::default();
        let mut kept = self.lock();
        kept.sessions.forget_away(&mut forgotten);
        drop(kept);
        let_go(forgotten);
    }

    /// Removes expired events and sessions. Returns the time at which the next ones expire, if any are left.
    pub(crate) fn expire(&self, now: Instant) -> Option<Instant> {
        let mut forgotten = Forgotten::default();
        let mut kept = self.lock();
        let Kept { log, sessions } = &mut *kept;
        sessions.expire(now, &mut forgotten);
        log.expire(now, &mut forgotten.frames);
        if sessions.is_empty() {
            log.clear(&mut forgotten.frames);
        }
        let next = [log.next_expiry(), sessions.next_expiry()];
        drop(kept);
        let_go(forgotten);
        next.into_iter().flatten().min()
    }
}
