//! The reasons why an acknowledgement was not received.

use axum_core::response::{IntoResponse, Response};
use http::StatusCode;

use crate::outbox::EmitError;
use proto::ArgsError;

/// The reason why an acknowledgement was not received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AckError {
    /// The client did not answer in time.
    #[error("operation has timed out")]
    Timeout,
    /// The client left before it answered.
    #[error("socket is closed")]
    Closed,
    /// The event was volatile, and was dropped because the client could not be written to at once.
    #[error("the volatile event was dropped")]
    Dropped,
    /// The event was not sent.
    #[error("the event was not sent")]
    Emit(#[source] EmitError),
    /// The answer could not be deserialized into the requested type.
    #[error("cannot read the answer")]
    Decode(#[source] ArgsError),
}

/// Lets a handler that awaits an acknowledgement return the error with `?`.
impl IntoResponse for AckError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Closed => StatusCode::GONE,
            Self::Dropped => StatusCode::SERVICE_UNAVAILABLE,
            Self::Emit(error) => return error.into_response(),
            Self::Decode(_) => StatusCode::BAD_GATEWAY,
        };
        (status, self.to_string()).into_response()
    }
}

impl From<EmitError> for AckError {
    fn from(error: EmitError) -> Self {
        match error {
            EmitError::Closed => Self::Closed,
            error => Self::Emit(error),
        }
    }
}
