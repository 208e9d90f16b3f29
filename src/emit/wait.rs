//! The time that is waited for acknowledgements.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};

/// The time limit for acknowledgements.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Wait {
    #[default]
    Default,
    For(Duration),
    Forever,
}

impl Wait {
    pub(super) fn limit(self, default: Duration) -> Option<Duration> {
        match self {
            Self::Default => Some(default),
            Self::For(limit) => Some(limit),
            Self::Forever => None,
        }
    }
}

/// A timer that runs out when the time for acknowledgements is over. It starts when it is created, on any thread.
pub(super) enum Timer {
    /// It never runs out.
    Never,
    /// It has not been polled. `None` is a time that no clock reaches.
    Unpolled(Option<Instant>),
    Sleep(Pin<Box<Sleep>>),
    /// A thread wakes the task, as the timer was polled outside of a runtime. The thread takes the latest waker, and
    /// ends with the timer.
    Thread(Instant, Sender<Waker>),
}

impl Timer {
    /// Creates a timer. `default` is the limit if the emit sets none.
    pub(super) fn new(wait: Wait, default: Duration) -> Self {
        let deadline = |limit| Instant::now().checked_add(limit);
        let limit = wait.limit(default);
        limit.map_or(Self::Never, |limit| Self::Unpolled(deadline(limit)))
    }

    /// Returns true if the timer has run out. Otherwise the task is woken when it does.
    pub(super) fn has_run_out(&mut self, cx: &mut Context<'_>) -> bool {
        if let Self::Unpolled(deadline) = *self {
            let Some(deadline) = deadline else {
                return false;
            };
            *self = match Handle::try_current() {
                Ok(_) => Self::Sleep(Box::pin(sleep_until(deadline))),
                Err(_) => match thread_until(deadline, cx.waker()) {
                    Some(waker) => Self::Thread(deadline, waker),
                    // Without a thread, nothing would ever wake the task.
                    None => return true,
                },
            };
        }
        match self {
            Self::Never | Self::Unpolled(_) => false,
            Self::Sleep(sleep) => sleep.as_mut().poll(cx).is_ready(),
            Self::Thread(deadline, wakers) => {
                let has_ended = wakers.send(cx.waker().clone()).is_err();
                has_ended || Instant::now() >= *deadline
            }
        }
    }

    /// Resolves when the timer runs out.
    pub(super) async fn run_out(mut self) {
        std::future::poll_fn(|cx| {
            if self.has_run_out(cx) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// Starts a thread that wakes the latest waker at the deadline.
fn thread_until(deadline: Instant, waker: &Waker) -> Option<Sender<Waker>> {
    let (sender, receiver) = channel();
    let mut waker = waker.clone();
    let wait = move || {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match receiver.recv_timeout(left) {
                Ok(latest) => waker = latest,
                Err(RecvTimeoutError::Timeout) => return waker.wake(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    };
    let thread = thread::Builder::new().name("socketio-ack-timeout".to_owned());
    thread.spawn(wait).ok().map(|_| sender)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;

    struct Unpark(thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    #[test]
    fn a_timer_runs_out_without_a_runtime() {
        let limit = Duration::from_millis(20);
        let begun = Instant::now();
        let mut run_out = pin!(Timer::new(Wait::For(limit), Duration::MAX).run_out());
        let waker = Arc::new(Unpark(thread::current())).into();
        while run_out
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
        {
            thread::park();
        }
        assert!(begun.elapsed() >= limit);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_counts_from_its_creation() {
        let timer = Timer::new(Wait::Default, Duration::from_secs(60));
        let begun = Instant::now();
        tokio::time::advance(Duration::from_secs(59)).await;
        timer.run_out().await;
        assert_eq!(begun.elapsed().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_may_run_for_ever() {
        for (wait, default) in [
            (Wait::Forever, Duration::ZERO),
            (Wait::Default, Duration::MAX),
        ] {
            let mut timer = Timer::new(wait, default);
            let mut cx = Context::from_waker(Waker::noop());
            assert!(!timer.has_run_out(&mut cx));
        }
    }
}
