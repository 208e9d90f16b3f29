//! The reasons why a connection is not closed as requested.

use axum_core::response::{IntoResponse, Response};
use http::StatusCode;

/// The reason why a connection was not closed as requested; see [`Socket::close`](crate::Socket::close).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// The status code must not be sent. The connection is closed without a code and without a reason.
    #[error("{0} is not a status code that may be sent")]
    InvalidCode(u16),
    /// The connection has ended already.
    #[error("connection is closed")]
    Closed,
}

/// Lets a handler return the error with `?`.
impl IntoResponse for CloseError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::InvalidCode(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Closed => StatusCode::GONE,
        };
        (status, self.to_string()).into_response()
    }
}
