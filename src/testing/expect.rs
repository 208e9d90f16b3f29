//! What must happen, or the test has failed.

use std::fmt::Display;
use std::panic::Location;
use std::time::Duration;

/// Where a test expects something, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expect {
    caller: &'static Location<'static>,
    limit: Duration,
}

impl Expect {
    /// Expected by the caller of a public function.
    #[track_caller]
    pub(super) const fn within(limit: Duration) -> Self {
        Self {
            caller: Location::caller(),
            limit,
        }
    }

    /// Waits for it; `None` when the time is up.
    pub(super) async fn wait<T>(self, event: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(self.limit, event).await.ok()
    }

    /// Waits for it, or fails with what came instead.
    pub(super) async fn get<T>(
        self,
        what: impl Display,
        event: impl Future<Output = T>,
        instead: impl FnOnce() -> String,
    ) -> T {
        match self.wait(event).await {
            Some(value) => value,
            None => self.fail(format_args!(
                "expected {what} within {:?}; {}",
                self.limit,
                instead()
            )),
        }
    }

    /// Fails the test. The panic's own place is of no use: a future does not know who waits for it.
    pub(super) fn fail(self, why: impl Display) -> ! {
        fail(format_args!("{}: {why}", self.caller))
    }
}

/// Fails the test, at the line that called.
#[track_caller]
#[expect(clippy::panic, reason = "this is how a test fails")]
pub(super) fn fail(why: impl Display) -> ! {
    panic!("{why}")
}
