//! A client's Engine.IO session, without IO: open, heartbeat, upgrade, close, and the outbox.
//!
//! Nothing here reads a clock or a socket: time and packets are arguments, and the results are [`session::Action`]s for
//! the driver to run.

mod coalesce;
mod config;
mod deflated;
mod flushed;
mod frame;
mod heartbeat;
mod outbox;
mod poll_packets;
mod reason;
mod sending;
mod session;
mod session_config;

pub use crate::protocol::engine_io::Transport;
pub(crate) use coalesce::{COALESCE, coalesce};
pub(crate) use config::Config;
pub(crate) use deflated::Form;
pub(crate) use frame::{Frame, Part};
pub(crate) use outbox::{Direct, Outbox, Pressure, Pushed, Written};
pub use outbox::{EmitError, Queued};
pub(crate) use poll_packets::PollPackets;
pub use reason::DisconnectReason;
pub(crate) use sending::Sending;
pub(crate) use session::{Action, Control, Input, Session};
pub(crate) use session_config::SessionConfig;
