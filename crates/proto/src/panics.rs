//! Catches panics in code of users: each ends the operation that it happened in, and nothing else.
//!
//! A panic during the unwinding of another one is not caught: it aborts the process, by the rules of Rust.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A panic in code of users. The code that has caught it logs it.
#[derive(Debug)]
pub struct Panicked(String);

/// The number of times that the drop of a panic's payload may panic in turn before the payload is leaked.
const DROPS: usize = 8;

impl Panicked {
    /// Takes the message out of the payload of a panic, and drops the payload.
    #[must_use]
    pub fn new(payload: Box<dyn Any + Send>) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let message = text.unwrap_or("unknown").to_owned();
        discard(payload);
        Self(message)
    }

    /// Returns the message of the panic. It may contain text of a peer.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0
    }
}

impl From<String> for Panicked {
    fn from(message: String) -> Self {
        Self(message)
    }
}

impl From<Panicked> for String {
    fn from(panicked: Panicked) -> Self {
        panicked.0
    }
}

/// Calls code of users, and catches its panic.
///
/// # Errors
///
/// [`Panicked`], if the code has panicked.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(Panicked::new)
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
}
