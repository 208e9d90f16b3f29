//! A client's Engine.IO session, without IO: open, heartbeat, upgrade, close, and the outbox.
//!
//! Nothing here reads a clock or a socket: time and packets are arguments, and the results are [`session::Action`]s for
//! the driver to run.

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
