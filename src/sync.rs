//! The lock type of the crate.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A mutex over plain data that ignores poisoning.
///
/// No code that can panic runs while one of these is held, and a panicking handler leaves the data intact, so poisoning
/// would only turn one lost event into a lost server.
#[derive(Debug, Default)]
pub(crate) struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
