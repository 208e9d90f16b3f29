//! The futures of traits.

use std::future::Future;
use std::pin::Pin;

/// A future on the heap.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
