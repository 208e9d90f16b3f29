//! The error of connecting.

/// The reason for which the first connection to Redis failed. It does not contain the password.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to Redis at {address}")]
pub struct RedisConnectError {
    address: String,
    #[source]
    source: redis::RedisError,
}

impl RedisConnectError {
    pub(crate) const fn new(address: String, source: redis::RedisError) -> Self {
        Self { address, source }
    }

    pub(crate) fn url(source: redis::RedisError) -> Self {
        Self::new("a malformed URL".to_owned(), source)
    }
}
