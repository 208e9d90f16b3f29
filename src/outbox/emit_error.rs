//! The error of an emit.

use proto::EncodeError;

/// The reason for which an event was not queued for a client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// The arguments could not be serialized; nothing was sent.
    #[error("cannot serialize the arguments")]
    Serialize(#[source] EncodeError),
    /// The event name is reserved by the protocol.
    #[error("event name {0:?} is reserved")]
    Reserved(String),
    /// The server has no namespace of this name, and no pattern that the name fits.
    #[error("this server has no namespace {0:?}")]
    NoNamespace(String),
    /// The handle has no server: it was never passed to `build_into`, or the server has been dropped.
    #[error("this handle has no server")]
    NoServer,
    /// The client's outbox is at its limit; see the builder's `max_outbox_bytes` and `max_outbox_packets`. Contains the
    /// number of bytes that are queued.
    #[error("outbox is full with {0} bytes")]
    Full(usize),
    /// The client has disconnected.
    #[error("socket is closed")]
    Closed,
}
