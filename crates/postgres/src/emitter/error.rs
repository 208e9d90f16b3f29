//! The errors of emitters.

use proto::EncodeError;

use crate::error::{PostgresConnectError, SessionError};

/// The reason for which an event was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// The event cannot be encoded: its name is reserved, or a value has no form in JSON.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The name of the namespace is too long for a channel of PostgreSQL.
    #[error("PostgreSQL has no channel for the namespace {0:?}: its name is too long")]
    NoChannel(String),
    /// There was no connection, and no new one could be made.
    #[error(transparent)]
    Connect(#[from] PostgresConnectError),
    /// PostgreSQL has refused the statement, or the connection has ended. In the latter case, the event may have been
    /// sent.
    #[error("PostgreSQL does not take the event")]
    Postgres(#[from] tokio_postgres::Error),
    /// PostgreSQL has not answered in time. The event may have been sent.
    #[error("PostgreSQL does not answer")]
    Timeout,
}

impl From<SessionError> for EmitError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Postgres(error) => Self::Postgres(error),
            // A URL is read before.
            SessionError::Url | SessionError::Timeout(_) => Self::Timeout,
        }
    }
}
