//! The attempts to connect to an engine again.

use std::time::Duration;

/// The times between the attempts to connect to an engine, and whether they are part of an outage.
///
/// Each attempt that fails doubles the time up to a maximum. A connection that has lasted longer than the maximum is
/// replaced at once. An outage begins with the first failure and ends with a connection.
#[derive(Debug)]
pub struct Reconnect {
    min: Duration,
    max: Duration,
    next: Duration,
    outage: bool,
}

/// The failure of an attempt, or the end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The time until the next attempt.
    pub delay: Duration,
    /// True if an outage begins with it.
    pub begins: bool,
}

impl Reconnect {
    /// Starts with the shortest and the longest time between two attempts.
    #[must_use]
    pub const fn new(min: Duration, max: Duration) -> Self {
        Self {
            min,
            max,
            next: min,
            outage: false,
        }
    }

    /// Records that a connection has been made. Returns true if this ends an outage.
    pub const fn connected(&mut self) -> bool {
        std::mem::replace(&mut self.outage, false)
    }

    /// Records that an attempt has failed, or that its connection has ended, and how long both have taken.
    pub fn failed(&mut self, lasted: Duration) -> Failure {
        let begins = !std::mem::replace(&mut self.outage, true);
        let delay = if lasted > self.max {
            self.next = self.min;
            Duration::ZERO
        } else {
            let delay = self.next;
            self.next = (delay * 2).min(self.max);
            delay
        };
        Failure { delay, begins }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn attempts_become_rarer_until_a_connection_lasts() {
        let mut reconnect = Reconnect::new(ms(50), ms(150));
        let mut delay = |lasted| reconnect.failed(ms(lasted)).delay;
        assert_eq!(
            [delay(0), delay(0), delay(0)].map(|d| d.as_millis()),
            [50, 100, 150]
        );
        assert_eq!(
            delay(150),
            ms(150),
            "a connection that ends soon is no success"
        );
        assert_eq!([delay(151), delay(0)], [ms(0), ms(50)]);
    }

    #[test]
    fn an_outage_begins_and_ends_once() {
        let mut reconnect = Reconnect::new(ms(1), ms(1));
        assert!(!reconnect.connected());
        assert!(reconnect.failed(ms(0)).begins);
        assert!(!reconnect.failed(ms(0)).begins);
        assert!(reconnect.connected());
        assert!(!reconnect.connected());
    }
}
