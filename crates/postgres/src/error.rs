//! The errors of a connection.

use std::sync::Arc;
use std::time::Duration;

/// The reason for which a connection to PostgreSQL failed. It does not contain the password.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot connect to PostgreSQL at {address}")]
pub struct PostgresConnectError {
    address: String,
    #[source]
    source: Arc<SessionError>,
}

impl PostgresConnectError {
    pub(crate) fn new(address: &str, source: impl Into<Arc<SessionError>>) -> Self {
        Self {
            address: address.to_owned(),
            source: source.into(),
        }
    }

    /// Returns the error of a malformed URL. Some errors quote a part of it, which may be one of the password.
    pub(crate) fn url(source: tokio_postgres::Error) -> Self {
        let quotes_nothing = text(&source).contains("invalid value for option");
        let source = if quotes_nothing {
            source.into()
        } else {
            SessionError::Url
        };
        Self::new("a malformed URL", source)
    }
}

/// The reason for which PostgreSQL does not answer, or refuses.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error(transparent)]
    Postgres(#[from] tokio_postgres::Error),
    #[error("it has an unknown option, or characters in it have to be encoded")]
    Url,
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

impl SessionError {
    /// Returns a text with the message of PostgreSQL.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Postgres(error) => text(error),
            Self::Url | Self::Timeout(_) => self.to_string(),
        }
    }
}

/// Returns the text of an error with the message of PostgreSQL, which its own text leaves out.
pub(crate) fn text(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
