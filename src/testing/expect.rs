//! Expectations that fail the test if they are not met in time.

use std::fmt::Display;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::time::Duration;

/// The location and the time limit of an expectation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expect {
    caller: &'static Location<'static>,
    limit: Duration,
}

impl Expect {
    /// Creates an expectation of the caller of a public function.
    #[track_caller]
    pub(super) const fn within(limit: Duration) -> Self {
        Self {
            caller: Location::caller(),
            limit,
        }
    }

    /// Waits for an event. Returns `None` if the time limit has elapsed.
    pub(super) async fn wait<T>(self, event: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(self.limit, event).await.ok()
    }

    /// Waits for an event, or fails the test and shows the events that were received instead.
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

    /// Fails the test with the location of the caller. The location of the panic itself would be of no use: a future
    /// does not know who awaits it.
    pub(super) fn fail(self, why: impl Display) -> ! {
        fail(format_args!("{}: {why}", self.caller))
    }
}

/// Fails the test with the location of the caller.
#[track_caller]
#[expect(clippy::panic, reason = "this is how a test fails")]
pub(super) fn fail(why: impl Display) -> ! {
    panic!("{why}")
}

/// A boxed future of this module. It borrows the client only, not the arguments of the call.
pub type Waiting<'c, T> = Pin<Box<dyn Future<Output = T> + Send + 'c>>;
