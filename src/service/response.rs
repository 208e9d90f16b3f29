//! The HTTP responses: status, headers, body.

use std::sync::LazyLock;

use axum_core::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use crate::transport;

// The usual answers have always the same headers: cloning them costs half of what making them does.
static PAYLOAD: LazyLock<HeaderMap> = LazyLock::new(|| headers("text/plain; charset=UTF-8"));
static BINARY_PAYLOAD: LazyLock<HeaderMap> = LazyLock::new(|| headers("application/octet-stream"));
static ACCEPTED: LazyLock<HeaderMap> = LazyLock::new(|| headers("text/html"));

/// Returns the response to a poll.
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

/// Returns the response to a POST whose packets have been taken.
pub(super) fn accepted() -> Response<Body> {
    unstored(&ACCEPTED, Body::from("ok"))
}

fn unstored(headers: &HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.headers_mut() = headers.clone();
    response
}

/// Returns the headers of a response that no cache may keep.
fn headers(kind: &'static str) -> HeaderMap {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let cache = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    [kind, cache].into_iter().collect()
}

/// Returns a response without a body.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Returns a response with a body.
pub(super) fn answer(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
