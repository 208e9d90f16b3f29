//! Return values of event handlers as acknowledgements.

use std::borrow::Cow;
use std::future::Future;

use axum::Json;
use axum::response::NoContent;
use axum_core::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

use crate::extract::RawArgs;
use crate::http::Content;
use crate::socket::{AckBody, Failure};

/// A return value of an event handler: the client's acknowledgement.
///
/// | result | the client's callback gets |
/// |---|---|
/// | `()` | no arguments |
/// | `Json<T>` | one argument, as over HTTP |
/// | [`Reply<T>`] | one argument, several if it is a tuple, none if it is `()`; binary allowed |
/// | `Option<Json<T>>` | the value, or `null` |
/// | a text (`String`, `&'static str`, `Cow<'static, str>`) | the text |
/// | `Bytes` | an attachment |
/// | [`RawArgs`](crate::extract::RawArgs) | the arguments that it holds |
/// | `NoContent`, or a `StatusCode` of success | no arguments |
/// | a `StatusCode` of 4xx or 5xx | `{"error": …}` with its reason |
/// | `(StatusCode, T)` | what `T` says, as an error if the status is one |
/// | a `Response` | its body: JSON as it is, else as text; an error if its status is one |
/// | `Err(E)` with `E: IntoResponse` | its body: JSON as it is, text as `{"error": text}` |
pub trait IntoAck: Send {
    /// Makes the acknowledgement.
    fn into_ack(self) -> impl Future<Output = AckBody> + Send;

    /// Returns true if it is an error. An error is made, and traced, even if no client waits for the acknowledgement.
    fn is_error(&self) -> bool {
        false
    }
}

/// An acknowledgement in the format of `emit`, in which `Bytes` are sent as binary.
///
/// A tuple, an array of fixed size included, is several arguments, `()` is none, and any other value, a tuple struct
/// included, is one; `Reply((value,))` is always one. `Value::Null`, which serde reports as `()`, is none.
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
        AckBody::ok_one(&self.0)
    }
}

impl<T: Serialize + Send> IntoAck for Option<Json<T>> {
    async fn into_ack(self) -> AckBody {
        AckBody::ok_one(&self.map(|Json(value)| value))
    }
}

macro_rules! one_argument {
    ($($value:ty),*) => {$(
        impl IntoAck for $value {
            async fn into_ack(self) -> AckBody {
                AckBody::ok_one(&self)
            }
        }
    )*};
}

one_argument!(String, &'static str, Cow<'static, str>, Bytes);

impl IntoAck for RawArgs {
    async fn into_ack(self) -> AckBody {
        AckBody::ok(&self)
    }
}

impl IntoAck for NoContent {
    async fn into_ack(self) -> AckBody {
        AckBody::ok(&())
    }
}

impl IntoAck for StatusCode {
    async fn into_ack(self) -> AckBody {
        (self, ()).into_ack().await
    }

    fn is_error(&self) -> bool {
        is_failure(*self)
    }
}

impl<T: Serialize + Send> IntoAck for Reply<T> {
    async fn into_ack(self) -> AckBody {
        AckBody::ok(&self.0)
    }
}

impl<T: IntoAck> IntoAck for (StatusCode, T) {
    async fn into_ack(self) -> AckBody {
        let (status, value) = self;
        let answer = value.into_ack().await;
        if is_failure(status) {
            answer.into_error(status)
        } else {
            answer
        }
    }

    fn is_error(&self) -> bool {
        is_failure(self.0) || self.1.is_error()
    }
}

impl IntoAck for Response {
    async fn into_ack(self) -> AckBody {
        if IntoAck::is_error(&self) {
            return Box::pin(error(self)).await;
        }
        let (status, content) = Box::pin(Content::of(self)).await;
        if is_failure(status) {
            // The body could not be read.
            let failure = Failure::Handler(status, None);
            return AckBody::error_value(&content.into_error(status), failure);
        }
        match content {
            Content::Empty => AckBody::ok(&()),
            Content::Text(text) => AckBody::ok_one(&text),
            Content::Json(json) => AckBody::ok_one(&json),
        }
    }

    fn is_error(&self) -> bool {
        is_failure(self.status())
    }
}

impl<T: IntoAck, E: IntoResponse + Send> IntoAck for Result<T, E> {
    async fn into_ack(self) -> AckBody {
        match self {
            Ok(value) => value.into_ack().await,
            // The error has a box of its own, so that it does not enlarge every handler's future.
            Err(failure) => Box::pin(error(failure.into_response())).await,
        }
    }

    fn is_error(&self) -> bool {
        self.as_ref().map_or(true, IntoAck::is_error)
    }
}

fn is_failure(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

async fn error(response: Response) -> AckBody {
    let (status, content) = Content::of(response).await;
    if !status.is_server_error() {
        // Formatted twice: JSON as it was written may have line feeds in it.
        tracing::debug!(%status, error = format!("{content:?}"), "handler failed");
    }
    let failure = Failure::Handler(status, None);
    AckBody::error_value(&content.into_error(status), failure)
}
