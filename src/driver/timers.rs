//! The deadlines of a connection and the timer that wakes its task for them.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::task::coop::has_budget_remaining;
use tokio::time::Sleep;

pub(super) use crate::clock::now;

/// The time until the timer fires if there is no deadline.
const FAR: Duration = Duration::from_secs(3600);
/// If a task runs later than this after its timer has fired, something has kept it from running.
pub(super) const LATE: Duration = Duration::from_millis(50);
/// A timer may fire so much earlier than the clock says.
const EARLY: Duration = Duration::from_millis(5);

/// A deadline of a connection that is not the session's.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deadline {
    /// A namespace must have been joined.
    Connect,
    /// The client must have read some of what is sent to it.
    Read,
    /// A message that has begun must be complete.
    Message,
    // The deadlines from here on are seldom set.
    /// The pause of the reading must be examined.
    Pause,
    /// The handlers of a connection that is draining must have finished.
    Drain,
    /// The client of a connection that is draining must have polled.
    Fetch,
    /// A socket ends.
    Expiry,
}

/// The number of deadlines that are often set.
const OFTEN: usize = Deadline::Pause as usize;
/// The number of deadlines that are seldom set. They need memory only in connections that have had one.
const SELDOM: usize = Deadline::Expiry as usize + 1 - OFTEN;

/// One timer for all deadlines of a connection. It is not changed when a deadline moves away: then it fires too early,
/// which costs less than a change for each packet.
pub(super) struct Timers {
    sleep: Pin<Box<Sleep>>,
    at: Instant,
    /// True if it has fired late, and been set to a later time than the next deadline.
    put_off: bool,
    /// The waker of the task that it wakes.
    wakes: Option<Waker>,
    often: [Option<Instant>; OFTEN],
    seldom: Option<Box<[Option<Instant>; SELDOM]>>,
    /// The first of the deadlines.
    first: Option<Instant>,
}

impl Timers {
    pub(super) fn new(at: Instant, connect_by: Instant) -> Self {
        let at = at.min(connect_by);
        let sleep = Box::pin(tokio::time::sleep_until(at.into()));
        let mut timers = Self {
            sleep,
            at,
            put_off: false,
            wakes: None,
            often: [None; OFTEN],
            seldom: None,
            first: None,
        };
        timers.set(Deadline::Connect, Some(connect_by));
        timers
    }

    /// Sets or removes a deadline. The timer follows when it is [armed](Self::arm).
    pub(super) fn set(&mut self, deadline: Deadline, at: Option<Instant>) {
        if self.get(deadline) == at {
            return;
        }
        let index = deadline as usize;
        let slot = match index.checked_sub(OFTEN) {
            None => self.often.get_mut(index),
            Some(index) => self.seldom.get_or_insert_default().get_mut(index),
        };
        if let Some(slot) = slot {
            *slot = at;
        }
        let seldom = self.seldom.iter().flat_map(|seldom| seldom.iter());
        self.first = self.often.iter().chain(seldom).flatten().min().copied();
    }

    pub(super) fn get(&self, deadline: Deadline) -> Option<Instant> {
        let index = deadline as usize;
        let slot = match index.checked_sub(OFTEN) {
            None => self.often.get(index),
            Some(index) => self.seldom.as_ref()?.get(index),
        };
        slot.copied().flatten()
    }

    /// Returns true if the deadline is set and has passed.
    pub(super) fn has_passed(&self, deadline: Deadline, now: Instant) -> bool {
        self.get(deadline).is_some_and(|at| now >= at)
    }

    /// Ready when it is time to examine the deadlines. The timer itself is polled only when it may have fired: most
    /// wake-ups are for something else.
    pub(super) fn poll(&mut self, now: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let set = self
            .wakes
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()));
        if set && now + EARLY < self.at {
            return Poll::Pending;
        }
        self.poll_sleep(cx)
    }

    fn poll_sleep(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // The timer registers no waker of a task that has used up its share of the thread.
        self.wakes = has_budget_remaining().then(|| cx.waker().clone());
        self.sleep.as_mut().poll(cx)
    }

    /// Sets the timer to the next deadline, `session`'s included, if it is set to a later time. Returns true if that
    /// deadline has passed.
    pub(super) fn arm(&mut self, session: Option<Instant>, cx: &mut Context<'_>) -> bool {
        match self.next(session) {
            Some(next) if next < self.at && !self.put_off => self.reset(next, cx),
            _ => false,
        }
    }

    /// Sets the timer, which has fired, to the next deadline. Returns true if that deadline has passed.
    pub(super) fn rearm(
        &mut self,
        session: Option<Instant>,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> bool {
        self.put_off = false;
        let next = self.next(session).unwrap_or(now + FAR);
        self.reset(next, cx)
    }

    /// Sets the timer, which has fired, so that no deadline takes effect before `until`.
    pub(super) fn put_off(&mut self, until: Instant, cx: &mut Context<'_>) {
        self.put_off = true;
        if self.reset(until, cx) {
            cx.waker().wake_by_ref();
        }
    }

    /// Returns true if the task runs long after its timer was to fire, until the timer is [set again](Self::rearm).
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.put_off || now > self.at + LATE
    }

    /// Returns the next deadline, `session`'s included.
    pub(super) fn next(&self, session: Option<Instant>) -> Option<Instant> {
        match (session, self.first) {
            (Some(session), Some(first)) => Some(session.min(first)),
            (session, first) => session.or(first),
        }
    }

    fn reset(&mut self, at: Instant, cx: &mut Context<'_>) -> bool {
        self.at = at;
        self.sleep.as_mut().reset(at.into());
        self.poll_sleep(cx).is_ready()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn it_fires_also_when_it_was_set_by_a_task_without_budget() {
        let at = now() + SECOND;
        let mut timers = Timers::new(at, at + SECOND);
        poll_fn(|cx| {
            while has_budget_remaining() {
                let _ = pin!(tokio::task::consume_budget()).poll(cx);
            }
            assert!(timers.poll(now(), cx).is_pending());
            Poll::Ready(())
        })
        .await;
        tokio::task::yield_now().await;
        let fired = poll_fn(|cx| timers.poll(now(), cx));
        tokio::time::timeout(10 * SECOND, fired).await.unwrap();
        assert!(now() >= at);
    }
    #[tokio::test(start_paused = true)]
    async fn the_first_deadline_is_the_next_one_until_it_is_removed() {
        let start = now();
        let mut timers = Timers::new(start + 9 * SECOND, start + 5 * SECOND);
        timers.set(Deadline::Fetch, Some(start + 2 * SECOND));
        timers.set(Deadline::Read, Some(start + 3 * SECOND));
        assert_eq!(timers.next(None), Some(start + 2 * SECOND));
        assert_eq!(timers.next(Some(start + SECOND)), Some(start + SECOND));
        assert!(timers.has_passed(Deadline::Fetch, start + 2 * SECOND));
        timers.set(Deadline::Fetch, None);
        assert!(!timers.has_passed(Deadline::Fetch, start + 2 * SECOND));
        assert_eq!(timers.next(None), Some(start + 3 * SECOND));
        timers.set(Deadline::Read, None);
        timers.set(Deadline::Connect, None);
        assert_eq!(timers.next(None), None);
    }
}
