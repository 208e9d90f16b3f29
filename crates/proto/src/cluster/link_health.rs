//! The health of a connection, from what the tasks of an engine report.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Destination, Health, HealthState, PublishQueue};

/// The time for which a message may wait before a server is behind.
const BEHIND: Duration = Duration::from_secs(1);

/// The time for which a message that could not be sent counts, unless another one is sent meanwhile.
const FAILED: Duration = Duration::from_secs(10);

/// The two directions of a connection, as the tasks of an engine report them.
///
/// A connection to send is often made for a message only, so it counts as there unless it has just failed.
#[derive(Debug, Default)]
pub struct LinkHealth {
    /// The time of the last failure to send, unless a message has been sent since.
    failed: Mutex<Option<Instant>>,
    receives: AtomicBool,
    other_options: AtomicBool,
}

impl LinkHealth {
    fn failed(&self) -> MutexGuard<'_, Option<Instant>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that messages have been sent.
    pub fn sent(&self) {
        *self.failed() = None;
    }

    /// Records that messages could not be sent at this time.
    pub fn not_sent(&self, now: Instant) {
        *self.failed() = Some(now);
    }

    /// Records whether messages are received.
    pub fn set_receiving(&self, receives: bool) {
        self.receives.store(receives, Ordering::Relaxed);
    }

    /// Records whether there are servers with other options. Returns whether there were before.
    pub fn set_other_options(&self, found: bool) -> bool {
        self.other_options.swap(found, Ordering::Relaxed)
    }

    /// Returns the health of the connection, whose messages wait in this queue.
    #[must_use]
    pub fn health<D: Destination>(&self, queue: &PublishQueue<D>, now: Instant) -> Health {
        let waiting = queue.waiting();
        let lasted = |since| now.saturating_duration_since(since);
        let failed = self.failed().is_some_and(|at| lasted(at) <= FAILED);
        let state = if failed || !self.receives.load(Ordering::Relaxed) {
            HealthState::Reconnecting
        } else if waiting.since.is_some_and(|since| lasted(since) > BEHIND) {
            HealthState::Behind
        } else {
            HealthState::Connected
        };
        Health {
            state,
            queued_messages: waiting.messages,
            queued_bytes: waiting.bytes,
            other_options: self.other_options.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn now() -> Instant {
        Instant::now()
    }

    fn queue() -> PublishQueue {
        PublishQueue::new(1000)
    }

    #[test]
    fn both_directions_are_needed() {
        let (link, queue, now) = (LinkHealth::default(), queue(), now());
        let state = || link.health(&queue, now + FAILED).state;
        assert_eq!(state(), HealthState::Reconnecting);
        link.set_receiving(true);
        assert_eq!(state(), HealthState::Connected);
        link.not_sent(now);
        assert_eq!(state(), HealthState::Reconnecting);
        link.sent();
        assert_eq!(state(), HealthState::Connected);
        link.not_sent(now - Duration::from_millis(1));
        assert_eq!(
            state(),
            HealthState::Connected,
            "nothing was to be sent since"
        );
    }

    #[test]
    fn a_message_that_waits_for_long_is_behind() {
        let (link, queue, now) = (LinkHealth::default(), queue(), now());
        link.set_receiving(true);
        queue
            .push("c".to_owned(), Bytes::from_static(b"abc"), now)
            .unwrap();
        let health = link.health(&queue, now + BEHIND);
        let expected = Health {
            state: HealthState::Connected,
            queued_messages: 1,
            queued_bytes: 132,
            other_options: false,
        };
        assert_eq!(health, expected);
        assert!(!link.set_other_options(true));
        assert!(link.health(&queue, now).other_options);
        assert!(link.set_other_options(false));
        let state = |after| link.health(&queue, now + after).state;
        assert_eq!(
            state(BEHIND + Duration::from_millis(1)),
            HealthState::Behind
        );
    }
}
