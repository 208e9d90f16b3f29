//! Why a client may not connect.

use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use super::reply::{read, value};
use crate::hub::Refusal;

/// Refuses a connection, with the message and the data that the client's `connect_error` event gets.
///
/// Any error can be refused with by `?`: its text is the message.
///
/// ```
/// use axum_socketio::{Auth, Refused};
/// use serde_json::json;
///
/// async fn authenticate(Auth(token): Auth<String>) -> Result<(), Refused> {
///     let number: u32 = token.parse()?;
///     if number != 42 {
///         return Err(Refused::new("not authorized").data(json!({ "code": "wrong number" })));
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "return it from a middleware"]
pub struct Refused(Refusal);

impl Refused {
    /// The client gets `new Error(message)`.
    pub fn new(message: impl Into<String>) -> Self {
        Self(Refusal {
            message: message.into(),
            data: None,
        })
    }

    /// The client finds it as `error.data`.
    pub fn data(mut self, data: impl Serialize) -> Self {
        self.0.data = serde_json::to_value(data).ok();
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
    /// Any error of HTTP as a refusal: text, or `message` or `error` of a JSON body, is the message; a JSON body is the
    /// data.
    pub(super) async fn from_response(mut response: Response) -> Self {
        if let Some(Refused(refusal)) = response.extensions_mut().remove() {
            return refusal;
        }
        let (parts, body) = response.into_parts();
        let body = read(body).await.unwrap_or_default();
        let reason = || {
            parts
                .status
                .canonical_reason()
                .unwrap_or("error")
                .to_owned()
        };
        match value(&parts.headers, &body) {
            None => Self {
                message: reason(),
                data: None,
            },
            Some(Value::String(message)) => Self {
                message,
                data: None,
            },
            Some(data) => {
                let text = |key| data.get(key).and_then(Value::as_str).map(str::to_owned);
                let message = text("message")
                    .or_else(|| text("error"))
                    .unwrap_or_else(reason);
                Self {
                    message,
                    data: Some(data),
                }
            }
        }
    }
}
