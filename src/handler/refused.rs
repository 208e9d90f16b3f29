//! Refusals of middleware.

use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use serde_json::json;

use crate::http::{Content, error_message, reason};
use crate::socket::Refusal;

/// An error that refuses a connection, with the message and the data for the client's `connect_error` event.
///
/// Any error converts to it by `?`: its text is the message.
///
/// ```
/// use axum_socketio::{Auth, Refused};
/// use serde::Deserialize;
/// use serde_json::json;
///
/// #[derive(Deserialize)]
/// struct Token { token: String }
///
/// async fn authenticate(Auth(auth): Auth<Token>) -> Result<(), Refused> {
///     let number: u32 = auth.token.parse()?;
///     if number != 42 {
///         return Err(Refused::new("not authorized").data(json!({ "code": "wrong number" })));
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "return it from a middleware"]
pub struct Refused(Refusal);

impl Refused {
    /// Creates a refusal; the client gets `new Error(message)`.
    pub fn new(message: impl Into<String>) -> Self {
        Self(Refusal::new(message))
    }

    pub(super) fn invalid_namespace() -> Self {
        Self(Refusal::invalid_namespace())
    }

    /// Sets the data, which the client gets as `error.data`.
    pub fn data(mut self, data: impl Serialize) -> Self {
        self.0.data = serde_json::value::to_raw_value(&data).ok();
        self
    }
}

impl<E: std::error::Error> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::new(error.to_string())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = axum::Json(json!({ "message": self.0.message, "data": self.0.data }));
        let mut response = (StatusCode::FORBIDDEN, body).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl Refusal {
    /// Converts an HTTP error to a refusal. Text, or `message` or `error` of a JSON body, is the message; a JSON body
    /// is the data.
    pub(super) async fn from_response(mut response: Response) -> Self {
        if let Some(Refused(refusal)) = response.extensions_mut().remove() {
            return refusal;
        }
        let (status, content) = Box::pin(Content::of(response)).await;
        let (message, data) = match content {
            Content::Empty => (reason(status), None),
            Content::Text(text) => (text, None),
            Content::Json(json) => (
                error_message(json.get()).unwrap_or_else(|| reason(status)),
                Some(json),
            ),
        };
        Self {
            data,
            status: Some(status),
            ..Self::new(message)
        }
    }
}
