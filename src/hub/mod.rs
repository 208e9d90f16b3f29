//! The running server: namespaces, sockets, targets of emits, and pending acknowledgements.

mod ack;
mod config;
mod emit;
mod operators;
mod over_limit;
mod poll_packets;
#[cfg(feature = "metrics")]
mod publish;
mod remote;
mod reports;
mod server;
mod servers;
mod socket;
#[cfg(test)]
mod tests;
mod to_socket;

pub use ack::{AckError, AckFuture, AckStream, AckSummary};
pub(crate) use config::Config;
pub use emit::Emitted;
pub use operators::Broadcast;
pub(crate) use over_limit::OverLimit;
pub(crate) use poll_packets::PollPackets;
pub use remote::RemoteSocket;
pub use server::SocketIo;
pub(crate) use server::{Connections, Server, Settings};
pub use servers::{ServerAckFuture, ServerAnswers};
pub use to_socket::ToSocket;

pub(crate) use reports::report_not_allowed;
