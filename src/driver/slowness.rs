//! The detection of clients that do not read what is sent to them.
//!
//! A client is too slow in two cases: its outbox is full or keeps refusing frames for `slow_client_timeout`, or it
//! takes none of the bytes that wait for `stall_timeout`, however few they are.

use std::time::{Duration, Instant};

use crate::outbox::Pressure;

/// The fraction of the stall timeout after which another write is tried.
const EARLY: u32 = 16;

#[derive(Debug)]
pub(super) struct Slowness {
    /// The time for which frames may be refused.
    limit: Duration,
    /// The time for which the client may take nothing.
    stall: Duration,
    /// The time at which the outbox became full or refused a frame, if it has not recovered since.
    since: Option<Instant>,
    /// The time at which the outbox last refused a frame.
    refused_at: Option<Instant>,
    full: bool,
    /// The time at which the client last took something, while there is more.
    stalled_since: Option<Instant>,
    /// The time of the first new attempt to write.
    early: Option<Instant>,
}

/// The way in which a client is too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slow {
    /// The outbox is full, or refuses frames again and again.
    Full,
    /// The client takes nothing.
    Stalled,
}

impl Slowness {
    pub(super) fn new(limit: Duration, stall: Duration) -> Self {
        Self {
            limit,
            stall,
            since: None,
            refused_at: None,
            full: false,
            stalled_since: None,
            early: None,
        }
    }

    /// Returns true if the client keeps up, so that there is nothing to watch.
    #[inline]
    pub(super) const fn is_idle(&self) -> bool {
        self.since.is_none() && self.stalled_since.is_none()
    }

    /// Handles a report of the outbox.
    pub(super) fn note(&mut self, pressure: Pressure, now: Instant) {
        if pressure.waiting {
            if pressure.moved || self.stalled_since.is_none() {
                self.stalled_since = Some(now);
                self.early = Some(now + self.stall / EARLY);
            }
        } else {
            self.stalled_since = None;
            self.early = None;
        }
        if self.since.is_none() && !pressure.full && !pressure.refused {
            return;
        }
        self.recover(now);
        self.full = pressure.full;
        if pressure.refused {
            self.refused_at = Some(now);
        }
        if pressure.refused || pressure.full {
            self.since.get_or_insert(now);
        } else {
            self.recover(now);
        }
    }

    /// Resets the state if there is room and no frame has been refused for half of the limit.
    fn recover(&mut self, now: Instant) {
        let quiet = |at: Instant| now >= at + self.limit / 2;
        if !self.full && self.refused_at.is_none_or(quiet) {
            self.since = None;
            self.refused_at = None;
        }
    }

    /// Returns the time of the next check, if nothing changes until then.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let full = self.since.map(|since| since + self.limit);
        let all = [full, self.stalls_at(), self.early];
        all.into_iter().flatten().min()
    }

    /// Returns true if another write should be tried for the first time since the client took nothing. The bytes that
    /// it takes do not count: the system makes some room by itself in the first moments, too little to report.
    pub(super) fn is_early(&mut self, now: Instant) -> bool {
        self.early.take_if(|early| now >= *early).is_some()
    }

    fn stalls_at(&self) -> Option<Instant> {
        self.stalled_since.map(|since| since + self.stall)
    }

    /// Returns the way in which the client is too slow now, if it is.
    pub(super) fn verdict(&mut self, now: Instant) -> Option<Slow> {
        self.recover(now);
        if self.since.is_some_and(|since| now >= since + self.limit) {
            return Some(Slow::Full);
        }
        let stalled = self.stalls_at().is_some_and(|at| now >= at);
        stalled.then_some(Slow::Stalled)
    }
}

impl Slow {
    /// Returns the option that sets the time for this.
    pub(super) const fn option(self) -> &'static str {
        match self {
            Self::Full => "slow_client_timeout",
            Self::Stalled => "stall_timeout",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const CALM: Pressure = Pressure {
        full: false,
        refused: false,
        waiting: false,
        moved: false,
    };
    const REFUSED: Pressure = Pressure {
        refused: true,
        ..CALM
    };
    const FULL: Pressure = Pressure { full: true, ..CALM };
    const WAITING: Pressure = Pressure {
        waiting: true,
        ..CALM
    };

    fn t0() -> Instant {
        #[expect(
            clippy::disallowed_methods,
            reason = "any instant will do; nothing sleeps"
        )]
        Instant::now()
    }

    fn slowness() -> (Slowness, Instant) {
        (Slowness::new(10 * SECOND, 45 * SECOND), t0())
    }

    #[test]
    fn a_client_whose_outbox_stays_full_is_disconnected() {
        let (mut slowness, start) = slowness();
        slowness.note(FULL, start);
        slowness.note(FULL, start + 9 * SECOND);
        assert_eq!(slowness.deadline(), Some(start + 10 * SECOND));
        assert_eq!(slowness.verdict(start + 9 * SECOND), None);
        assert_eq!(slowness.verdict(start + 10 * SECOND), Some(Slow::Full));
        slowness.note(CALM, start + 9 * SECOND);
        assert_eq!(slowness.deadline(), None);
        assert_eq!(slowness.verdict(start + 11 * SECOND), None);
    }

    #[test]
    fn refusals_that_go_on_end_it_also_if_there_is_room_between_them() {
        let (mut slowness, start) = slowness();
        for second in 0..10 {
            let now = start + second * SECOND;
            slowness.note(REFUSED, now);
            slowness.note(CALM, now + SECOND / 2);
            assert_eq!(slowness.verdict(now), None);
        }
        assert_eq!(slowness.verdict(start + 10 * SECOND), Some(Slow::Full));
    }

    #[test]
    fn one_burst_too_many_is_forgiven_and_the_next_one_counts_anew() {
        let (mut slowness, start) = slowness();
        slowness.note(REFUSED, start);
        slowness.note(CALM, start + SECOND);
        // Nothing is noted for a while: its time has passed all the same.
        assert_eq!(slowness.verdict(start + 10 * SECOND), None);
        slowness.note(REFUSED, start + 11 * SECOND);
        slowness.note(CALM, start + 12 * SECOND);
        slowness.note(FULL, start + 17 * SECOND);
        slowness.note(CALM, start + 18 * SECOND);
        assert_eq!(slowness.verdict(start + 21 * SECOND), None);
        assert_eq!(slowness.deadline(), None);
    }

    #[test]
    fn only_a_client_that_reads_nothing_is_disconnected() {
        let (mut slowness, start) = slowness();
        slowness.note(WAITING, start);
        assert!(!slowness.is_early(start + 2 * SECOND));
        assert!(slowness.is_early(start + 3 * SECOND));
        slowness.note(WAITING, start + 30 * SECOND);
        assert!(!slowness.is_early(start + 30 * SECOND), "not again");
        assert_eq!(slowness.deadline(), Some(start + 45 * SECOND));
        assert_eq!(slowness.verdict(start + 45 * SECOND), Some(Slow::Stalled));
        let moved = Pressure {
            moved: true,
            ..WAITING
        };
        slowness.note(moved, start + 44 * SECOND);
        assert_eq!(slowness.verdict(start + 88 * SECOND), None);
        slowness.note(CALM, start + 88 * SECOND);
        assert_eq!(slowness.deadline(), None);
    }
}
