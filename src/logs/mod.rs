//! Log records that clients can cause: their limits, and the causes of faults that they name.

mod cause;
mod limits;

pub(crate) use cause::{TypeName, with_sources};
pub(crate) use limits::{Logs, ServerLogs, log_emit_without_server, log_no_server, may_log};
