//! What a server counts, and what it has counted.
//!
//! [`Counters`] are numbers that each thread adds to on a cache line of its own; [`Metrics`] is what they come to at a moment.
//! What there is to count is written down once, in `families.rs`: field, label, words.

mod counters;
mod families;

pub(crate) use counters::{Counters, EMITS_TO_MANY, EMITS_TO_SOCKET, Place};
pub(crate) use families::Counted;
#[cfg(feature = "metrics")]
pub(crate) use families::Kind;
pub use families::{ByLabel, Metrics};
