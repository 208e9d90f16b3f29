//! When a connection must act though nothing has happened.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::task::coop::has_budget_remaining;
use tokio::time::Sleep;

/// How far off a deadline is when there is none.
const FAR: Duration = Duration::from_secs(3600);
/// A task that runs later than this after its timer has fired was kept from running.
const LATE: Duration = Duration::from_millis(50);
/// A timer may fire so much earlier than the clock says.
const EARLY: Duration = Duration::from_millis(5);

/// One timer for all deadlines of a connection. It is left alone when a deadline moves away: then it fires too early, which
/// costs less than setting it anew for each packet.
pub(super) struct Timers {
    sleep: Pin<Box<Sleep>>,
    at: Instant,
    /// It has fired late, and been set for later than the next deadline.
    put_off: bool,
    /// Whom it wakes.
    wakes: Option<Waker>,
    /// Until when a namespace must have been joined.
    pub(super) connect_by: Option<Instant>,
    /// Until when the client must have read some of what is sent to it.
    pub(super) read_by: Option<Instant>,
    /// Until when a message that has begun must be complete.
    pub(super) message_by: Option<Instant>,
    /// Until when the handlers of a connection that is draining must have finished.
    pub(super) drain_by: Option<Instant>,
    /// Until when a client must have polled, of a connection that is draining.
    pub(super) fetch_by: Option<Instant>,
}

impl Timers {
    pub(super) fn new(at: Instant, connect_by: Instant) -> Self {
        let at = at.min(connect_by);
        let sleep = Box::pin(tokio::time::sleep_until(at.into()));
        Self {
            sleep,
            at,
            put_off: false,
            wakes: None,
            connect_by: Some(connect_by),
            read_by: None,
            message_by: None,
            drain_by: None,
            fetch_by: None,
        }
    }

    /// Ready when it is time to look at the deadlines. The timer itself is asked only when it may have fired: it is set
    /// already, and most wake-ups are for something else.
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
        // A task that has used up its share of the thread is not listened to.
        self.wakes = has_budget_remaining().then(|| cx.waker().clone());
        self.sleep.as_mut().poll(cx)
    }

    /// Sees to it that it is not later than the next deadline, `session`'s included. Returns whether it is time already.
    pub(super) fn arm(&mut self, session: Option<Instant>, cx: &mut Context<'_>) -> bool {
        match self.next(session) {
            Some(next) if next < self.at && !self.put_off => self.set(next, cx),
            _ => false,
        }
    }

    /// It has fired: sets it for the next deadline. Returns whether it is time already.
    pub(super) fn rearm(
        &mut self,
        session: Option<Instant>,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> bool {
        self.put_off = false;
        let next = self.next(session).unwrap_or(now + FAR);
        self.set(next, cx)
    }

    /// It has fired, but no deadline takes effect before this.
    pub(super) fn put_off(&mut self, until: Instant, cx: &mut Context<'_>) {
        self.put_off = true;
        if self.set(until, cx) {
            cx.waker().wake_by_ref();
        }
    }

    /// Returns true if the task runs long after it was to be woken, and until that has been [seen to](Self::rearm).
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.put_off || now > self.at + LATE
    }

    /// The next deadline, `session`'s included.
    pub(super) fn next(&self, session: Option<Instant>) -> Option<Instant> {
        let mut next = session;
        for by in [
            self.connect_by,
            self.read_by,
            self.message_by,
            self.drain_by,
            self.fetch_by,
        ] {
            // Most are not set.
            if let Some(by) = by
                && next.is_none_or(|next| by < next)
            {
                next = Some(by);
            }
        }
        next
    }

    fn set(&mut self, at: Instant, cx: &mut Context<'_>) -> bool {
        self.at = at;
        self.sleep.as_mut().reset(at.into());
        self.poll_sleep(cx).is_ready()
    }
}

/// The clock of the runtime, which tests may stop.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
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
}
