//! Catches panics in code of users: each ends the operation that it happened in, and nothing else.
//!
//! A panic during the unwinding of another one is not caught: it aborts the process, by the rules of Rust.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

/// A panic in code of users. The code that has caught it logs it.
#[derive(Debug)]
pub(crate) struct Panicked(String);

/// The number of times that the drop of a panic's payload may panic in turn before the payload is leaked.
const DROPS: usize = 8;

/// The number of panics without a connection that are logged one by one.
const LOGGED: u64 = 8;

impl Panicked {
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let message = text.unwrap_or("unknown").to_owned();
        discard(payload);
        Self(message)
    }

    /// Returns the message of the panic. It may contain text of a peer.
    pub(crate) fn message(&self) -> &str {
        &self.0
    }

    /// Logs a panic that belongs to no connection. After the first few, only those are logged whose number is a power
    /// of two: a peer may be able to cause them at will, and there is no clock here.
    pub(crate) fn log(&self, what: &'static str) {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
        if count <= LOGGED || count.is_power_of_two() {
            tracing::error!(what, panic = self.message(), count, "panicked");
        }
    }
}

/// Calls code of users, and catches its panic.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(Panicked::new)
}

/// Drops a value of users, whose `Drop` may be theirs.
pub(crate) fn let_go<T>(value: T) {
    if let Err(panicked) = guarded(|| drop(value)) {
        panicked.log("drop of a value");
    }
}

/// Drops the payload of a panic. Its `Drop` may panic, with a payload whose `Drop` may panic too.
fn discard(mut payload: Box<dyn Any + Send>) {
    for _ in 0..DROPS {
        match catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            Ok(()) => return,
            Err(next) => payload = next,
        }
    }
    std::mem::forget(payload);
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;

    /// A value whose drop panics, with another one of these.
    struct Bomb(usize);

    impl Drop for Bomb {
        fn drop(&mut self) {
            if self.0 > 0 {
                panic_any(Self(self.0 - 1));
            }
        }
    }

    #[test]
    fn a_payload_may_panic_when_it_is_dropped_and_so_may_the_next() {
        for bombs in [0, 1, 3, 100] {
            let result = guarded(|| panic_any(Bomb(bombs)));
            assert_eq!(result.unwrap_err().message(), "unknown");
        }
    }

    #[test]
    fn the_message_of_a_panic_is_kept() {
        let result = guarded(|| panic!("on {}", "purpose"));
        assert_eq!(result.unwrap_err().message(), "on purpose");
        assert_eq!(guarded(|| 1).ok(), Some(1));
    }

    #[test]
    fn a_value_may_panic_when_it_is_dropped() {
        let_go([Bomb(2), Bomb(0)]);
    }
}
