//! A result as an acknowledgement.

use std::future::Future;

use axum::Json;
use axum_core::body::Body;
use axum_core::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use serde::Serialize;
use serde_json::Value;

use crate::hub::AckBody;

/// The largest body of an HTTP response that is sent as an acknowledgement.
const MAX_BODY: usize = 1024 * 1024;

/// What the handler of an event may return: the client's acknowledgement.
///
/// | result | the client's callback gets |
/// |---|---|
/// | `()` | no arguments |
/// | `Json<T>` | the value |
/// | [`Reply<T>`] | the value, or several arguments if it is a tuple; binary allowed |
/// | `(StatusCode, T)` | what `T` says |
/// | a `Response` | its body: JSON as it is, else as text |
/// | `Err(E)` with `E: IntoResponse` | its body: JSON as it is, text as `{"error": text}` |
pub trait IntoAck: Send {
    /// Makes the acknowledgement.
    fn into_ack(self) -> impl Future<Output = AckBody> + Send;

    /// Whether it is an error: then it is made, and traced, also when no client waits for it.
    fn is_error(&self) -> bool {
        false
    }
}

/// An acknowledgement as `emit` would send it: a tuple is several arguments, `Bytes` in it travel as binary.
///
/// ```
/// use axum_socketio::Reply;
///
/// async fn stats() -> Reply<(u64, u64)> {
///     Reply((7, 3))
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reply<T>(pub T);

impl IntoAck for () {
    async fn into_ack(self) -> AckBody {
        AckBody::ok(&())
    }
}

impl<T: Serialize + Send> IntoAck for Json<T> {
    async fn into_ack(self) -> AckBody {
        // One argument, also when it is a tuple: over HTTP it would be one value.
        AckBody::ok(&(self.0,))
    }
}

impl<T: Serialize + Send> IntoAck for Reply<T> {
    async fn into_ack(self) -> AckBody {
        AckBody::ok(&self.0)
    }
}

impl<T: IntoAck> IntoAck for (StatusCode, T) {
    async fn into_ack(self) -> AckBody {
        self.1.into_ack().await
    }

    fn is_error(&self) -> bool {
        self.1.is_error()
    }
}

impl IntoAck for Response {
    async fn into_ack(self) -> AckBody {
        if IntoAck::is_error(&self) {
            return error(self).await;
        }
        let (parts, body) = self.into_parts();
        match read(body).await {
            Ok(body) => match value(&parts.headers, &body) {
                Some(value) => AckBody::ok(&(value,)),
                None => AckBody::ok(&()),
            },
            Err(answer) => answer,
        }
    }

    fn is_error(&self) -> bool {
        self.status().is_client_error() || self.status().is_server_error()
    }
}

impl<T: IntoAck, E: IntoResponse + Send> IntoAck for Result<T, E> {
    async fn into_ack(self) -> AckBody {
        match self {
            Ok(value) => value.into_ack().await,
            Err(failure) => error(failure.into_response()).await,
        }
    }

    fn is_error(&self) -> bool {
        self.as_ref().map_or(true, IntoAck::is_error)
    }
}

async fn error(response: Response) -> AckBody {
    let status = response.status();
    let value = error_value(response).await;
    if status.is_server_error() {
        tracing::warn!(%status, error = %value, "handler failed");
    } else {
        tracing::debug!(%status, error = %value, "handler failed");
    }
    AckBody::error_value(&value)
}

/// What the client is told of an error: a JSON body as it is, a text as `{"error": text}`.
pub(super) async fn error_value(response: Response) -> Value {
    let (parts, body) = response.into_parts();
    let body = read(body).await.unwrap_or_default();
    match value(&parts.headers, &body) {
        Some(Value::String(text)) => serde_json::json!({ "error": text }),
        Some(value) => value,
        None => serde_json::json!({ "error": parts.status.canonical_reason().unwrap_or("error") }),
    }
}

/// A body as a value: nothing, JSON, or text.
pub(super) fn value(headers: &HeaderMap, body: &Bytes) -> Option<Value> {
    if body.is_empty() {
        return None;
    }
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let json = essence.eq_ignore_ascii_case("application/json") || essence.ends_with("+json");
    let parsed = if json {
        serde_json::from_slice(body).ok()
    } else {
        None
    };
    Some(parsed.unwrap_or_else(|| Value::String(String::from_utf8_lossy(body).into_owned())))
}

pub(super) async fn read(body: Body) -> Result<Bytes, AckBody> {
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => {
            tracing::error!(%error, "the response's body cannot be read");
            Err(AckBody::error("internal error"))
        }
    }
}
