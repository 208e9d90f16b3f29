//! Connection state recovery: the events that were sent to a namespace, and the sessions that may resume.
//!
//! One lock protects all of it. Emits to the namespace, joins and leaves take it too, so the log has the order of every
//! client's own queue, and the last offset that a client has seen determines all that it has received.

mod log;
mod options;
mod sessions;
mod stays;

use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use crate::outbox::Frame;
use crate::panics::let_go;
use crate::sync::Lock;

pub(crate) use log::{Asker, Audience, Log, Offset};
pub use options::Recovery;
pub(crate) use sessions::{Away, Claim, Sessions};
pub(crate) use stays::Stay;

/// The recovery state of a namespace.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) options: Recovery,
    kept: Lock<Kept>,
}

#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) log: Log,
    pub(crate) sessions: Sessions,
}

impl Kept {
    /// Gives an event its number, and stores it if a client may resume and ask for it.
    pub(crate) fn append(
        &mut self,
        now: Instant,
        audience: Audience,
        frame: Frame,
        forgotten: &mut Forgotten,
    ) {
        self.log.append(now, audience, frame, forgotten);
        if self.sessions.is_empty() {
            self.log.clear(forgotten);
        }
    }
}

/// The longest duration, about ten years: adding a longer one to a time would overflow.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Removed frames and sessions. They hold values of users, which have to be dropped without holding a lock.
#[derive(Debug, Default)]
#[must_use = "to be dropped when no lock is held"]
pub(crate) struct Forgotten {
    frames: Vec<Frame>,
    sessions: Vec<Away>,
}

impl Forgotten {
    /// Stores a session until no lock is held.
    pub(crate) fn keep(&mut self, away: Away) {
        self.sessions.push(away);
    }
}

impl History {
    /// Creates an empty history. `detection` is the time that it takes to detect a lost connection: events sent during
    /// that time are missed too.
    pub(crate) fn new(epoch: [u8; Log::EPOCH], mut options: Recovery, detection: Duration) -> Self {
        options.max_duration = options.max_duration.min(FOREVER);
        let keep = options.max_duration.saturating_add(detection);
        let log = Log::new(epoch, options.max_packets, options.max_bytes, keep);
        let sessions = Sessions::new(options.max_duration, options.max_sessions);
        Self {
            options,
            kept: Lock::new(Kept { log, sessions }),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Kept> {
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
        log.expire(now, &mut forgotten);
        if sessions.is_empty() {
            log.clear(&mut forgotten);
        }
        let next = [log.next_expiry(), sessions.next_expiry()];
        drop(kept);
        let_go(forgotten);
        next.into_iter().flatten().min()
    }
}
