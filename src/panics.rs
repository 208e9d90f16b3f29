//! What users have written may panic: that ends what it was, and nothing else.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What users have written has panicked, and that is traced.
#[derive(Debug)]
pub(crate) struct Panicked;

/// Calls what users have written.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        tracing::error!(panic = message(&*panic), "handler panicked");
        Panicked
    })
}

/// Drops what holds values of users, whose `Drop` they may have written.
pub(crate) fn let_go<T>(value: T) {
    // The panic is traced, and there is nobody to tell.
    let _ = guarded(|| drop(value));
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("unknown")
}
