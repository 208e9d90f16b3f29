//! The errors of connecting and of emitters.

use proto::EncodeError;

/// The reason for which the first connection to Redis failed. It does not contain the password.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to Redis at {address}")]
pub struct RedisConnectError {
    address: String,
    #[source]
    source: redis::RedisError,
}

impl RedisConnectError {
    pub(crate) fn new(address: &str, source: redis::RedisError) -> Self {
        Self {
            address: address.to_owned(),
            source,
        }
    }

    pub(crate) fn url(source: redis::RedisError) -> Self {
        Self::new("a malformed URL", source)
    }
}

/// The reason for which an emitter has not sent a message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// The event cannot be encoded: its name is reserved, a value has no form in JSON, or the values are nested too
    /// deeply.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The message is larger than [`max_queued_bytes`](crate::Redis::max_queued_bytes).
    #[error("the message has {size} bytes, and max_queued_bytes is {max}")]
    TooLarge {
        /// The size of the message, in bytes.
        size: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// There was no connection, and no new one could be made.
    #[error(transparent)]
    Connect(#[from] RedisConnectError),
    /// Redis refuses the message, does not answer in time, or the connection has ended. In the last two cases, the
    /// message may have been sent.
    #[error("Redis at {address} does not take the message")]
    Redis {
        /// The address of the server, without user and password.
        address: String,
        /// The error of the client or of the server.
        #[source]
        source: redis::RedisError,
    },
}
