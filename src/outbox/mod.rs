//! The outbox of a client: what is queued for one connection, encoded once for all that get it.
//!
//! Nothing here reads a clock. The task of the connection writes an outbox; a broadcast to many writes directly to
//! those whose tasks are asleep, through [`Direct`].

mod coalesce;
mod compress;
mod deflated;
mod emit_error;
mod frame;
mod options;
mod queue;
mod results;
mod waiting;

pub(crate) use coalesce::{MAX_COALESCED, coalesce};
pub(crate) use deflated::Form;
pub use emit_error::EmitError;
pub(crate) use frame::{Frame, Part};
pub(crate) use options::{Reliability, SendOptions};
pub(crate) use queue::{Direct, Outbox, RuntimeId, Sending};
pub use results::Queued;
pub(crate) use results::{Pressure, Pushed, Readiness, Written};
