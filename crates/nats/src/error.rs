//! The errors of connecting and of emitters.

use std::error::Error;
use std::time::Duration;

use proto::EncodeError;

/// The reason for which the first connection to NATS failed. It does not contain the password.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to NATS at {address}")]
pub struct NatsConnectError {
    address: String,
    #[source]
    source: Box<dyn Error + Send + Sync>,
}

impl NatsConnectError {
    pub(crate) fn new(address: &str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            address: address.to_owned(),
            source: source.into(),
        }
    }

    pub(crate) fn url(source: std::io::Error) -> Self {
        Self::new("a malformed URL", source)
    }
}

/// The reason for which NATS does not take messages.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error(transparent)]
    Publish(#[from] async_nats::PublishError),
    #[error(transparent)]
    Flush(#[from] async_nats::client::FlushError),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

/// The reason for which an emitter has not sent a message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// The event cannot be encoded: its name is reserved, a value has no form in JSON, or the values are nested too
    /// deeply.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The message is larger than [`max_queued_bytes`](crate::Nats::max_queued_bytes).
    #[error("the message has {size} bytes, and max_queued_bytes is {max}")]
    TooLarge {
        /// The size of the message, in bytes.
        size: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// The name of the namespace is too long for a subject.
    #[error("NATS has no subject for the namespace, whose name is too long")]
    NoSubject,
    /// There is no connection, or NATS does not take the message in time. It may be sent when there is one again.
    #[error("NATS at {address} does not take the message")]
    Nats {
        /// The address of the server, without user and password.
        address: String,
        /// The error of the client.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}
