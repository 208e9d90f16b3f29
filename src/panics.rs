//! Panics in code of users that belong to no connection.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;

pub(crate) use proto::panics::{Panicked, guarded};

/// The operation in the log when the drop of a value panics.
pub(crate) const DROP: &str = "drop of a value";

/// The number of panics without a connection that are logged one by one.
const LOGGED: u64 = 8;

/// Logs a panic that belongs to no connection. After the first few, only those are logged whose number is a power of
/// two: a peer may be able to cause them at will, and there is no clock here.
pub(crate) fn log_panic(what: &'static str, panicked: &Panicked) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    if count <= LOGGED || count.is_power_of_two() {
        tracing::error!(what, panic = panicked.message(), count, "panicked");
    }
}

/// Awaits a future of users, which `work` makes, and catches a panic of either.
pub(crate) async fn guarded_future<F: Future>(
    work: impl FnOnce() -> F,
) -> Result<F::Output, Panicked> {
    guarded_polls(async { work().await }).await
}

/// Awaits a future and catches a panic. The result is hardly larger than the future: an `async` block would keep room
/// for a second one.
pub(crate) fn guarded_polls<F: Future>(
    future: F,
) -> impl Future<Output = Result<F::Output, Panicked>> {
    let result = AssertUnwindSafe(future).catch_unwind();
    result.map(|result| result.map_err(Panicked::new))
}

/// Drops a value of users, whose `Drop` may be theirs.
pub(crate) fn drop_guarded<T>(value: T) {
    if let Err(panicked) = guarded(|| drop(value)) {
        log_panic(DROP, &panicked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value whose drop panics.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("on purpose");
        }
    }

    #[test]
    fn a_future_may_panic_when_it_is_made_and_when_it_is_polled() {
        let made = guarded_future(|| -> std::future::Ready<()> { panic!("made") });
        let made = made.now_or_never().unwrap();
        assert_eq!(made.unwrap_err().message(), "made");
        let polled = guarded_future(async || panic!("polled"));
        let polled: Result<(), _> = polled.now_or_never().unwrap();
        assert_eq!(polled.unwrap_err().message(), "polled");
        let fine = guarded_future(async || 1).now_or_never();
        assert_eq!(fine.unwrap().ok(), Some(1));
    }

    #[test]
    fn a_value_may_panic_when_it_is_dropped() {
        drop_guarded([Bomb]);
    }
}
