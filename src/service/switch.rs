//! From HTTP to WebSocket.

use axum_core::body::Body;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, Version, header};
use hyper::upgrade::OnUpgrade;

use super::response::{Refusal, empty};
use crate::protocol::websocket::{accept_key, is_key};

/// The answer that turns the connection into a WebSocket, and what becomes one once it is sent.
pub(super) fn switch_protocols(parts: &mut Parts) -> Result<(Response<Body>, OnUpgrade), Refusal> {
    let http2 = parts.version == Version::HTTP_2;
    if parts
        .headers
        .get(header::SEC_WEBSOCKET_VERSION)
        .is_none_or(|version| version != "13")
    {
        return Err(Refusal::WebSocketVersion);
    }
    let key = parts
        .headers
        .get(header::SEC_WEBSOCKET_KEY)
        .filter(|key| is_key(key.as_bytes()))
        .map(|key| accept_key(key.as_bytes()));
    if key.is_none() && !http2 {
        return Err(Refusal::BadRequest("BAD_WEBSOCKET_KEY"));
    }
    let Some(on_upgrade) = parts.extensions.remove::<OnUpgrade>() else {
        tracing::warn!("this server, or a layer outside, does not let connections be upgraded");
        return Err(Refusal::BadRequest("NO_UPGRADE"));
    };
    let mut response = empty(if http2 {
        StatusCode::OK
    } else {
        StatusCode::SWITCHING_PROTOCOLS
    });
    let headers = response.headers_mut();
    if !http2 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        if let Some(Ok(key)) = key.map(HeaderValue::try_from) {
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, key);
        }
    }
    let protocols = parts
        .headers
        .get(header::SEC_WEBSOCKET_PROTOCOL)
        .and_then(|value| value.to_str().ok());
    let first = protocols
        .and_then(|value| value.split(',').next())
        .map(str::trim)
        .filter(|name| !name.is_empty());
    if let Some(Ok(first)) = first.map(HeaderValue::from_str) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, first);
    }
    Ok((response, on_upgrade))
}
