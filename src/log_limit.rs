//! A limit for log records that a peer can cause.
//!
//! A [`LogLimit`] lets a number of records pass in a minute and counts the others. It writes nothing itself: its owner
//! does, and says how many records were left out.

use std::time::{Duration, Instant};

use crate::sync::Lock;

/// The period for which a limit holds.
const PERIOD: Duration = Duration::from_secs(60);

/// A limit for the number of log records in a minute.
#[derive(Debug)]
pub(crate) struct LogLimit {
    max: u32,
    window: Lock<Window>,
}

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    written: u32,
    left_out: u64,
}

/// The decision of a limit about one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The record may be written.
    Write,
    /// The record may be written, and this number of records before it was left out.
    WriteAfter(u64),
    /// The record is the first to be left out in this minute.
    LeaveOutFirst,
    /// The record is left out, as were others.
    LeaveOut,
}

impl LogLimit {
    /// Creates a limit of `max` records in a minute.
    pub(crate) const fn new(max: u32) -> Self {
        let window = Window {
            began: None,
            written: 0,
            left_out: 0,
        };
        Self {
            max,
            window: Lock::new(window),
        }
    }

    /// Returns the maximum number of records in a minute.
    pub(crate) const fn max(&self) -> u32 {
        self.max
    }

    /// Decides about one record.
    pub(crate) fn next(&self, now: Instant) -> Verdict {
        let mut window = self.window.lock();
        if let Some(verdict) = window.write(self.max, now) {
            return verdict;
        }
        window.left_out += 1;
        match window.left_out {
            1 => Verdict::LeaveOutFirst,
            _ => Verdict::LeaveOut,
        }
    }

    /// Decides about a notice that records of another limit were left out. Such a notice is not counted if it is left
    /// out itself.
    pub(crate) fn next_notice(&self, now: Instant) -> Verdict {
        let written = self.window.lock().write(self.max, now);
        written.unwrap_or(Verdict::LeaveOut)
    }

    /// Returns the number of records that were left out and not reported yet, and resets it.
    pub(crate) fn take_left_out(&self) -> u64 {
        std::mem::take(&mut self.window.lock().left_out)
    }
}

impl Window {
    /// Counts one more record, and begins a new minute if the last one is over. Returns `None` if the minute has had
    /// its records.
    fn write(&mut self, max: u32, now: Instant) -> Option<Verdict> {
        let is_over = self.began.is_none_or(|began| now >= began + PERIOD);
        if is_over && max > 0 {
            let left_out = self.left_out;
            *self = Self {
                began: Some(now),
                written: 1,
                left_out: 0,
            };
            return Some(match left_out {
                0 => Verdict::Write,
                left_out => Verdict::WriteAfter(left_out),
            });
        }
        if self.written >= max {
            return None;
        }
        self.written += 1;
        Some(Verdict::Write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn the_record_after_the_limit_has_the_number_of_suppressed_ones() {
        let (limit, start) = (LogLimit::new(2), now());
        let verdicts: Vec<_> = (0..5).map(|_| limit.next(start)).collect();
        let expected = [
            Verdict::Write,
            Verdict::Write,
            Verdict::LeaveOutFirst,
            Verdict::LeaveOut,
            Verdict::LeaveOut,
        ];
        assert_eq!(verdicts, expected);
        assert_eq!(limit.next(start + PERIOD / 2), Verdict::LeaveOut);
        assert_eq!(limit.next(start + PERIOD), Verdict::WriteAfter(4));
        assert_eq!(limit.next(start + PERIOD), Verdict::Write);
        assert_eq!(limit.next(start + PERIOD), Verdict::LeaveOutFirst);
    }

    #[test]
    fn a_notice_replaces_a_record_and_is_not_counted() {
        let (limit, start) = (LogLimit::new(2), now());
        assert_eq!(limit.next_notice(start), Verdict::Write);
        assert_eq!(limit.next(start), Verdict::Write);
        assert_eq!(limit.next_notice(start), Verdict::LeaveOut);
        assert_eq!(limit.next(start), Verdict::LeaveOutFirst);
        assert_eq!(limit.next_notice(start), Verdict::LeaveOut);
        assert_eq!(limit.next_notice(start + PERIOD), Verdict::WriteAfter(1));
    }

    #[test]
    fn records_that_were_left_out_are_reported_once() {
        let (limit, start) = (LogLimit::new(1), now());
        assert_eq!(limit.take_left_out(), 0);
        for _ in 0..4 {
            limit.next(start);
        }
        assert_eq!(limit.take_left_out(), 3);
        assert_eq!(limit.take_left_out(), 0);
        assert_eq!(limit.next(start + PERIOD), Verdict::Write);
    }
}
