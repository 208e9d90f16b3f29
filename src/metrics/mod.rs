//! The numbers that a server has counted: the result of [`SocketIo::metrics`](crate::SocketIo::metrics).
//!
//! The [guide](crate::guide::metrics) describes each number.

// `Counters` are numbers that each thread adds to on cache lines of its own; `Metrics` has their sums at one time. All
// counted numbers are declared once, in `families.rs`: field, label, description.

mod counters;
mod families;

pub(crate) use counters::{Counters, EMITS_TO_MANY, EMITS_TO_SOCKET, Place};
pub(crate) use families::Counted;
#[cfg(feature = "metrics")]
pub(crate) use families::MetricKind;
pub use families::{ByLabel, Metrics};
