//! What is measured.

mod exchange;

pub use exchange::{Times, exchange};
