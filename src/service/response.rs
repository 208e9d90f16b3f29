//! Every HTTP answer: status, headers, body.

use std::sync::LazyLock;

use axum_core::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use crate::transport;

/// Why a request is refused, in the protocol's own codes and words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("Transport unknown")]
    TransportUnknown,
    #[error("Session ID unknown")]
    SessionUnknown,
    #[error("Bad handshake method")]
    BadMethod,
    /// With the rule that is broken.
    #[error("Bad request")]
    BadRequest(&'static str),
    /// A page of another origin.
    #[error("Forbidden")]
    Origin,
    #[error("Unsupported protocol version")]
    UnsupportedVersion,
    /// The server is shutting down, or gone: the client may try again, and reaches another one then.
    #[error("Server unavailable")]
    Unavailable,
    #[error("Too many connections")]
    TooMany,
    /// From one address.
    #[error("Too many connections")]
    TooManyOfAddress,
    /// A hook of the application has panicked.
    #[error("Internal server error")]
    Internal,
    /// A WebSocket of another version than that of RFC 6455.
    #[error("Bad request")]
    WebSocketVersion,
}

/// The code of what the application does not allow.
pub(super) const FORBIDDEN: u8 = 4;

impl Refusal {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::TransportUnknown => 0,
            Self::SessionUnknown => 1,
            Self::BadMethod => 2,
            Self::BadRequest(_) | Self::WebSocketVersion => 3,
            Self::Origin
            | Self::Unavailable
            | Self::TooMany
            | Self::TooManyOfAddress
            | Self::Internal => FORBIDDEN,
            Self::UnsupportedVersion => 5,
        }
    }

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Origin => StatusCode::FORBIDDEN,
            Self::Unavailable | Self::TooMany => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooManyOfAddress => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// Which rule is broken, in Node's words where it has some.
    pub(super) const fn context(self) -> &'static str {
        match self {
            Self::TransportUnknown => "TRANSPORT_UNKNOWN",
            Self::SessionUnknown => "SESSION_UNKNOWN",
            Self::BadMethod => "BAD_HANDSHAKE_METHOD",
            Self::BadRequest(context) => context,
            Self::Origin => "INVALID_ORIGIN",
            Self::Unavailable => "UNAVAILABLE",
            Self::TooMany => "TOO_MANY_CONNECTIONS",
            Self::TooManyOfAddress => "TOO_MANY_CONNECTIONS_OF_ADDRESS",
            Self::UnsupportedVersion => "UNSUPPORTED_PROTOCOL_VERSION",
            Self::WebSocketVersion => "WEBSOCKET_VERSION",
            Self::Internal => "INTERNAL_ERROR",
        }
    }

    /// `400 {"code":1,"message":"Session ID unknown"}`
    pub(super) fn response(self) -> Response<Body> {
        let body = format!(r#"{{"code":{},"message":"{self}"}}"#, self.code());
        let mut response = match self {
            Self::Unavailable => empty(self.status()),
            _ => answer(self.status(), "application/json", Bytes::from(body)),
        };
        let more = match self {
            Self::WebSocketVersion => Some((header::SEC_WEBSOCKET_VERSION, "13")),
            Self::Unavailable | Self::TooMany | Self::TooManyOfAddress => {
                Some((header::RETRY_AFTER, "1"))
            }
            _ => None,
        };
        if let Some((name, value)) = more {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }
}

// The usual answers have always the same headers: cloning them costs half of what making them does.
static PAYLOAD: LazyLock<HeaderMap> = LazyLock::new(|| headers("text/plain; charset=UTF-8"));
static BINARY_PAYLOAD: LazyLock<HeaderMap> = LazyLock::new(|| headers("application/octet-stream"));
static ACCEPTED: LazyLock<HeaderMap> = LazyLock::new(|| headers("text/html"));

/// What a poll takes along.
pub(super) fn payload(body: transport::Body) -> Response<Body> {
    let headers = if body.binary {
        &BINARY_PAYLOAD
    } else {
        &PAYLOAD
    };
    let transport::Body { bytes, flight, .. } = body;
    unstored(
        headers,
        match flight {
            None => Body::from(bytes),
            Some(flight) => Body::new(transport::InFlight::new(bytes, flight)),
        },
    )
}

/// A POST has been taken.
pub(super) fn accepted() -> Response<Body> {
    unstored(&ACCEPTED, Body::from("ok"))
}

fn unstored(headers: &HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.headers_mut() = headers.clone();
    response
}

/// Of an answer that no cache may keep.
fn headers(kind: &'static str) -> HeaderMap {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let cache = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    [kind, cache].into_iter().collect()
}

/// A rule of the transport is broken, which has no code.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn answer(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
