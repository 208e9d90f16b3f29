//! The payload with which a client joins the namespace.

use std::convert::Infallible;

use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use serde::de::DeserializeOwned;

use super::{EventContext, FromEvent, via};
use proto::without_place;

/// The payload of the client's CONNECT: `io(url, { auth: { token: "…" } })`. Node: `socket.handshake.auth`.
///
/// It is always an object, by the protocol; a client that sends none counts as one that sends `{}`. `T` is therefore a
/// struct, a map or a `serde_json::Value`. A type that no object fits, such as `String`, is rejected for every client,
/// and the error says so.
///
/// ```
/// # use serde::Deserialize;
/// use axum_socketio::Auth;
///
/// #[derive(Deserialize)]
/// struct Token { token: String }
///
/// async fn authenticate(Auth(auth): Auth<Token>) {}
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Auth<T>(pub T);

/// The rejection of an [`Auth`]: the payload does not fit the type.
///
/// Its text is the message of the client's `connect_error` when a middleware returns it.
#[derive(Debug, thiserror::Error)]
#[error("auth: {}{}", without_place(.error), if *.never { NEVER } else { "" })]
pub struct AuthRejection {
    error: serde_json::Error,
    /// True if no object fits the type.
    never: bool,
}

const NEVER: &str =
    "; auth is always an object: extract a struct with its members, such as the token, or a map";

impl IntoResponse for AuthRejection {
    fn into_response(self) -> Response {
        (StatusCode::UNPROCESSABLE_ENTITY, self.to_string()).into_response()
    }
}

impl<T: DeserializeOwned> Auth<T> {
    fn read(cx: &EventContext) -> Result<Self, AuthRejection> {
        serde_json::from_str(cx.socket().auth().unwrap_or("{}"))
            .map(Self)
            .map_err(|error| {
                let of_nothing = serde_json::from_str::<T>("{}");
                let never = of_nothing.is_err_and(|error| refuses_objects(&error));
                AuthRejection { error, never }
            })
    }
}

/// Returns true if this error about `{}` is about the object itself, not about members that it lacks.
fn refuses_objects(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("invalid type: map")
}

impl<S: Sync, P, T: DeserializeOwned> FromEvent<S, P, via::Event> for Auth<T> {
    type Rejection = AuthRejection;

    async fn from_event(cx: &mut EventContext, _: &S) -> Result<Self, AuthRejection> {
        Self::read(cx)
    }
}

impl<S: Sync, P, T: DeserializeOwned> FromEvent<S, P, via::Event> for Option<Auth<T>> {
    type Rejection = Infallible;

    async fn from_event(cx: &mut EventContext, _: &S) -> Result<Self, Infallible> {
        Ok(Auth::read(cx).ok())
    }
}

impl<S: Sync, P, T: DeserializeOwned> FromEvent<S, P, via::Event>
    for Result<Auth<T>, AuthRejection>
{
    type Rejection = Infallible;

    async fn from_event(cx: &mut EventContext, _: &S) -> Result<Self, Infallible> {
        Ok(Auth::read(cx))
    }
}
