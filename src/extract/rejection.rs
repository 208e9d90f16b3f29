//! What was expected, where, and what the client is told.

use axum_core::response::{IntoResponse, Response};
use http::StatusCode;

use crate::protocol::{ArgsError, DecodeError};

/// The arguments of an event are not what its handler takes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataRejection {
    /// They are JSON, but of other types: `message: invalid type: integer 5, expected a string at argument 1`.
    #[error("{event}: {error}")]
    Mismatch {
        /// The event's name.
        event: String,
        /// What was expected, and where.
        error: ArgsError,
    },
    /// They are not JSON: the client has broken the protocol, and its connection will be closed.
    #[error("malformed arguments")]
    Malformed(#[source] DecodeError),
    /// The handler is not for an event.
    #[error("not an event")]
    NotAnEvent,
}

impl IntoResponse for DataRejection {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Mismatch { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::NotAnEvent => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, self.to_string()).into_response()
    }
}
