//! The numbers that a server has counted: the result of [`SocketIo::metrics`](crate::SocketIo::metrics).
//!
//! The [guide](crate::guide::metrics) describes each number.

// `Counters` are numbers that each thread adds to on cache lines of its own; `Metrics` has their sums at one time. All
// counted numbers are declared once, in `families.rs`: field, label, description. The values of labels are enums, in
// `labels.rs`.

mod counters;
mod families;
mod labels;

pub(crate) use counters::Counters;
pub(crate) use families::Counted;
#[cfg(any(feature = "metrics", test))]
pub(crate) use families::Family;
#[cfg(feature = "metrics")]
pub(crate) use families::MetricKind;
pub use families::{ByLabel, Metrics};
pub(crate) use labels::{
    AdmissionFailure, CloseReason, ClusterDirection, ClusterLoss, EmitScope, FaultCause, Hook,
    InputLimit, LateInput, ReadingLimit, RecoveryOutcome, RequestRule, StopCause,
    UndeliveredReason, UpgradeOutcome,
};
