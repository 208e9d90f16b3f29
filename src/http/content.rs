//! The content of an HTTP response, converted for clients that speak Socket.IO.

use axum_core::response::Response;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::logs::may_log;

/// The text that a client receives for an error of the server; the details are only logged.
pub(crate) const INTERNAL_ERROR: &str = "internal error";

/// The largest body of a response that is sent to a client.
const MAX_BODY: usize = 1024 * 1024;

/// The body of a response.
#[derive(Debug)]
pub(crate) enum Content {
    Empty,
    Text(String),
    /// JSON as it was written: clients see the members in the order that they have over HTTP.
    Json(Box<RawValue>),
}

impl Content {
    pub(crate) async fn of(response: Response) -> (StatusCode, Self) {
        let (parts, body) = response.into_parts();
        let body = match Limited::new(body, MAX_BODY).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => {
                if may_log() {
                    tracing::error!(
                        error = error.to_string(),
                        "the response's body cannot be read"
                    );
                }
                return (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    Self::Text(INTERNAL_ERROR.to_owned()),
                );
            }
        };
        let content = match serde_json::from_slice(&body) {
            _ if body.is_empty() => Self::Empty,
            Ok(json) if is_json(&parts.headers) => Self::Json(json),
            _ => Self::Text(String::from_utf8_lossy(&body).into_owned()),
        };
        (parts.status, content)
    }

    /// Returns the message of an error as plain text.
    pub(crate) fn into_words(self, status: StatusCode) -> String {
        match self {
            Self::Json(json) => error_message(json.get()).unwrap_or_else(|| json.get().to_owned()),
            Self::Text(text) => text,
            Self::Empty => reason(status),
        }
    }

    /// Returns the error that the client's callback receives: JSON as it is, a text as `{"error": text}`.
    pub(crate) fn into_error(self, status: StatusCode) -> Option<Box<RawValue>> {
        let text = match self {
            Self::Json(json) => return Some(json),
            Self::Text(text) => text,
            Self::Empty => reason(status),
        };
        to_raw_value(&serde_json::json!({ "error": text })).ok()
    }
}

/// The members of a JSON object that may hold a message.
#[derive(Debug, Default, Deserialize)]
struct Words {
    message: Option<String>,
    error: Option<String>,
}

/// Returns the message of a JSON body: its `message` or its `error`.
pub(crate) fn error_message(json: &str) -> Option<String> {
    let words: Words = serde_json::from_str(json).unwrap_or_default();
    words.message.or(words.error)
}

pub(crate) fn reason(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or("error").to_owned()
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let essence = kind
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    essence.eq_ignore_ascii_case("application/json") || essence.ends_with("+json")
}
