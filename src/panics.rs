//! Panics in code that users have written: each ends what it happened in, and nothing else.
//!
//! What is not caught here: a panic while another one unwinds, which aborts the process by the rules of Rust.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

/// Code of users has panicked. Whoever has caught that logs it.
#[derive(Debug)]
pub(crate) struct Panicked(String);

/// How often the drop of a panic's payload may panic in turn before the payload is leaked.
const DROPS: usize = 8;

/// So many panics that belong to no connection are logged one by one.
const LOGGED: u64 = 8;

impl Panicked {
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let message = text.unwrap_or("unknown").to_owned();
        discard(payload);
        Self(message)
    }

    /// What the panic said. It may have text of a peer in it.
    pub(crate) fn message(&self) -> &str {
        &self.0
    }

    /// Logs a panic that belongs to no connection. After a few, only each number that is a power of two is logged: a peer may
    /// be able to cause them at will, and there is no clock here.
    pub(crate) fn log(&self, what: &'static str) {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
        if count <= LOGGED || count.is_power_of_two() {
            tracing::error!(what, panic = self.message(), count, "panicked");
        }
    }
}

/// Calls code that users have written.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(Panicked::new)
}

/// Drops what holds values of users, whose `Drop` they may have written.
pub(crate) fn let_go<T>(value: T) {
    if let Err(panicked) = guarded(|| drop(value)) {
        panicked.log("drop of a value");
    }
}

/// Drops the payload of a panic, whose `Drop` may panic, with a payload of which the same is true.
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

    /// Panics when it is dropped, with another one of these.
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
