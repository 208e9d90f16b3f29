//! Events to clients and to other servers: operators that select the recipients, acknowledgements, and their errors.
//!
//! A chain of operators begins at a [`Socket`](crate::Socket), at [`SocketIo`](crate::SocketIo), or at a
//! [`NamespaceHandle`].

mod ack_error;
mod ack_future;
mod ack_stream;
mod broadcast;
mod emitted;
mod namespace_handle;
mod remote;
mod selection;
mod server_side_emit;
mod socket;
mod socket_operator;
#[cfg(test)]
mod tests;
mod typed;
mod typed_events;
mod wait;

pub use ack_error::AckError;
pub use ack_future::AckFuture;
pub use ack_stream::{AckStream, AckSummary};
pub use broadcast::BroadcastOperator;
pub use emitted::Emitted;
pub use namespace_handle::NamespaceHandle;
pub use remote::{RemoteAckFuture, RemoteSocket};
pub use server_side_emit::{ServerAckFuture, ServerAnswers};
pub use socket_operator::SocketOperator;
pub use typed::Typed;

pub use crate::namespace::ServerSideEvent;
pub use crate::outbox::{EmitError, Queued};
pub use crate::socket::{CloseError, DataError};
