//! The rejection of an event's arguments, as the application and the client get it.

use axum_core::response::{IntoResponse, Response};
use http::StatusCode;

use proto::{ArgsError, DecodeError};

/// The rejection of a [`Data`](super::Data): the arguments of an event do not fit its handler.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataRejection {
    /// The arguments are JSON of other types: `message: invalid type: integer 5, expected a string at argument 1`.
    #[error("{event}: {error}")]
    Mismatch {
        /// The event's name.
        event: String,
        /// The expected type, and the position of the argument.
        error: ArgsError,
    },
    /// The arguments are not JSON. The client has violated the protocol, and its connection will be closed.
    #[error("malformed arguments")]
    Malformed(#[source] DecodeError),
    /// The handler does not handle events.
    #[error("not an event")]
    NotAnEvent,
}

impl DataRejection {
    pub(super) fn new(event: &str, error: ArgsError) -> Self {
        match error {
            ArgsError::Malformed(error) => Self::Malformed(error),
            error => Self::Mismatch {
                event: event.to_owned(),
                error,
            },
        }
    }
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
