//! The server as an extractor for HTTP handlers.

use std::convert::Infallible;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use crate::server::SocketIo;

/// The rejection of a [`SocketIo`]: the request did not pass through a server's layer.
#[derive(Debug, thiserror::Error)]
#[error(
    "no `SocketIo` in this request: add `.layer(io.layer())` to the router, or, beside `.merge(io.router())`, \
     `.layer(Extension(io.clone()))`"
)]
pub struct SocketIoRejection;

impl IntoResponse for SocketIoRejection {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

impl<S: Sync> FromRequestParts<S> for SocketIo {
    type Rejection = SocketIoRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SocketIoRejection> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or(SocketIoRejection)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for SocketIo {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}
