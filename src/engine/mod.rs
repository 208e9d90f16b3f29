//! The outbox of a client, the frames in it, and the options of Engine.IO.
//!
//! Nothing here reads a clock. The state of a client's session is in the crate `axum-socketio-proto`.

mod coalesce;
mod config;
mod deflated;
mod flushed;
mod frame;
mod outbox;
mod poll_packets;
mod sending;

pub(crate) use coalesce::{COALESCE, coalesce};
pub(crate) use config::Config;
pub(crate) use deflated::Form;
pub(crate) use frame::{Frame, Part};
pub(crate) use outbox::{Direct, Outbox, Pressure, Pushed, Written};
pub use outbox::{EmitError, Queued};
pub(crate) use poll_packets::PollPackets;
pub(crate) use sending::Sending;
