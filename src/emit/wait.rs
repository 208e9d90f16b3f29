//! The time that is waited for acknowledgements.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::Sleep;

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

/// A timer that runs out when the time for acknowledgements is over; `None` never does.
pub(super) type Timer = Option<Pin<Box<Sleep>>>;

/// Creates a timer. `default` is the limit if the emit sets none.
pub(super) fn timer(wait: Wait, default: Duration) -> Timer {
    wait.limit(default)
        .map(|limit| Box::pin(tokio::time::sleep(limit)))
}

/// Returns true if the timer has run out.
pub(super) fn has_run_out(timer: &mut Timer, cx: &mut Context<'_>) -> bool {
    timer
        .as_mut()
        .is_some_and(|timer| timer.as_mut().poll(cx).is_ready())
}
