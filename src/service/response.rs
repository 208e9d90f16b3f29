//! Every HTTP answer: status, headers, body.

use std::sync::LazyLock;

use axum_core::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

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
    /// Of another version than RFC 6455, which says what to answer.
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
            Self::Origin => FORBIDDEN,
            Self::UnsupportedVersion => 5,
        }
    }

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Origin => StatusCode::FORBIDDEN,
            Self::WebSocketVersion => StatusCode::UPGRADE_REQUIRED,
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
            Self::UnsupportedVersion => "UNSUPPORTED_PROTOCOL_VERSION",
            Self::WebSocketVersion => "WEBSOCKET_VERSION",
        }
    }

    /// `400 {"code":1,"message":"Session ID unknown"}`
    pub(super) fn response(self) -> Response<Body> {
        if self == Self::WebSocketVersion {
            let mut response = empty(self.status());
            let version = HeaderValue::from_static("13");
            response
                .headers_mut()
                .insert(header::SEC_WEBSOCKET_VERSION, version);
            return response;
        }
        let body = format!(r#"{{"code":{},"message":"{self}"}}"#, self.code());
        answer(self.status(), "application/json", Bytes::from(body))
    }
}

// The usual answers have always the same headers: cloning them costs half of what making them does.
static PAYLOAD: LazyLock<HeaderMap> = LazyLock::new(|| headers("text/plain; charset=UTF-8"));
static ACCEPTED: LazyLock<HeaderMap> = LazyLock::new(|| headers("text/html"));

/// What a poll takes along.
pub(super) fn payload(body: Bytes) -> Response<Body> {
    unstored(&PAYLOAD, body)
}

/// A POST has been taken.
pub(super) fn accepted() -> Response<Body> {
    unstored(&ACCEPTED, Bytes::from_static(b"ok"))
}

fn unstored(headers: &HeaderMap, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
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

/// The server is shutting down: the client may try again, and reaches another one then.
pub(super) fn unavailable() -> Response<Body> {
    let mut response = empty(StatusCode::SERVICE_UNAVAILABLE);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
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
