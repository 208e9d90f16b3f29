//! What the client sent to join the namespace.

use std::convert::Infallible;

use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use serde::de::DeserializeOwned;

use super::{EventContext, FromEvent, via};
use crate::protocol::without_place;

/// The payload of the client's CONNECT: `io(url, { auth: { token: "…" } })`. A client that sent none sent `{}`.
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

/// The payload is not of the type that was asked for.
#[derive(Debug, thiserror::Error)]
#[error("auth: {}", without_place(.0))]
pub struct AuthRejection(serde_json::Error);

impl IntoResponse for AuthRejection {
    fn into_response(self) -> Response {
        (StatusCode::UNPROCESSABLE_ENTITY, self.to_string()).into_response()
    }
}

impl<T: DeserializeOwned> Auth<T> {
    fn read(cx: &EventContext) -> Result<Self, AuthRejection> {
        serde_json::from_str(cx.socket().auth().unwrap_or("{}"))
            .map(Self)
            .map_err(AuthRejection)
    }
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
