//! The switch of a connection from HTTP to a full-duplex transport.

use std::collections::BTreeSet;

use axum_core::body::Body;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version, header};
use hyper::upgrade::OnUpgrade;

use super::refusal::Refusal;
use super::response::empty;
use crate::server::EngineSettings;
use crate::transport::{Duplex, WebSocket};
#[cfg(feature = "testing")]
use crate::transport::{Memory, MemoryOffer};
use proto::engine_io::Revision;
use proto::websocket::{Agreed, accept_key, is_key, negotiate};

/// A connection that changes its protocol when the response has been sent.
pub(super) struct Switch {
    response: Response<Body>,
    to: To,
}

/// The transport that a connection becomes.
enum To {
    WebSocket {
        on_upgrade: OnUpgrade,
        compression: Option<Agreed>,
    },
    #[cfg(feature = "testing")]
    Memory(Memory),
}

impl Switch {
    /// Returns the response, and a future of the transport.
    pub(super) fn transport(
        self,
        revision: Revision,
        config: &EngineSettings,
    ) -> (
        Response<Body>,
        impl Future<Output = hyper::Result<Duplex>> + Send + use<>,
    ) {
        let (to, max) = (self.to, config.max_payload);
        let transport = async move {
            match to {
                To::WebSocket {
                    on_upgrade,
                    compression,
                } => {
                    let upgraded = on_upgrade.await?;
                    Ok(WebSocket::new(upgraded, max, revision, compression).into())
                }
                #[cfg(feature = "testing")]
                To::Memory(memory) => Ok(memory.into()),
            }
        };
        (self.response, transport)
    }
}

/// Returns true if the request asks for a WebSocket, by RFC 6455 over HTTP/1.1 or by RFC 8441 over HTTP/2.
fn is_websocket(parts: &Parts) -> bool {
    if parts.version == Version::HTTP_2 {
        // A CONNECT with a path, which it needs to arrive here, is an extended one. Its version is checked later.
        return parts.method == Method::CONNECT;
    }
    parts.method == Method::GET
        && has_token(&parts.headers, &header::CONNECTION, "upgrade")
        && has_token(&parts.headers, &header::UPGRADE, "websocket")
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers.get_all(name).iter().any(|value| {
        // The usual value is the token alone.
        value.as_bytes().eq_ignore_ascii_case(token.as_bytes())
            || value.to_str().is_ok_and(|value| {
                let mut items = value.split(',').map(str::trim);
                items.any(|item| item.eq_ignore_ascii_case(token))
            })
    })
}

/// Returns true if the request asks for a full-duplex transport.
pub(super) fn is_upgrade(parts: &Parts) -> bool {
    #[cfg(feature = "testing")]
    if parts.extensions.get::<MemoryOffer>().is_some() {
        return true;
    }
    is_websocket(parts)
}

/// Takes the transport that the request asks for out of `parts`.
pub(super) fn switch_protocols(
    parts: &mut Parts,
    revision: Revision,
    config: &EngineSettings,
) -> Result<Switch, Refusal> {
    #[cfg(feature = "testing")]
    if let Some(offer) = parts.extensions.remove::<MemoryOffer>() {
        let memory = offer.take(config.max_payload, revision);
        return Ok(Switch {
            response: empty(StatusCode::SWITCHING_PROTOCOLS),
            to: To::Memory(memory.ok_or(Refusal::NoUpgrade)?),
        });
    }
    switch_to_websocket(parts, revision, config)
}

/// Checks a handshake of WebSocket, by RFC 6455 or, over HTTP/2, by RFC 8441. Takes the connection out of `parts`.
fn switch_to_websocket(
    parts: &mut Parts,
    revision: Revision,
    config: &EngineSettings,
) -> Result<Switch, Refusal> {
    let version = parts.headers.get(header::SEC_WEBSOCKET_VERSION);
    if version.is_none_or(|version| version != "13") {
        return Err(Refusal::WebSocketVersion);
    }
    let key = parts.headers.get(header::SEC_WEBSOCKET_KEY);
    let accept = key
        .filter(|key| is_key(key.as_bytes()))
        .map(|key| accept_key(key.as_bytes()));
    let http2 = parts.version == Version::HTTP_2;
    if accept.is_none() && !http2 {
        return Err(Refusal::BadWebSocketKey);
    }
    let subprotocol = first_subprotocol(&parts.headers)?;
    let Some(on_upgrade) = parts.extensions.remove::<OnUpgrade>() else {
        return Err(Refusal::NoUpgrade);
    };
    let mut response = switching(accept.filter(|_| !http2));
    let headers = response.headers_mut();
    if let Some(first) = subprotocol {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, first);
    }
    let agreed = agree(&parts.headers, revision, config);
    let compression = agreed.map(|(agreed, extension)| {
        headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, extension);
        agreed
    });
    Ok(Switch {
        response,
        to: To::WebSocket {
            on_upgrade,
            compression,
        },
    })
}

/// Returns the response with the key that accepts the handshake or, over HTTP/2, without one.
fn switching(accept: Option<String>) -> Response<Body> {
    let Some(accept) = accept else {
        return empty(StatusCode::OK);
    };
    let mut response = empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::try_from(accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

/// Negotiates compression. Returns the extension for the response too. Clients of revision 3 are not offered any, since
/// their frames are not shared with other clients.
fn agree(
    headers: &HeaderMap,
    revision: Revision,
    config: &EngineSettings,
) -> Option<(Agreed, HeaderValue)> {
    let wanted = config.compression.filter(|_| revision.is_four())?;
    let offers = headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS).iter();
    let offers = offers.filter_map(|offer| offer.to_str().ok());
    let (agreed, extension) = negotiate(offers, &wanted)?;
    Some((agreed, HeaderValue::try_from(extension).ok()?))
}

/// Returns the first of the subprotocols that are offered. A list that RFC 6455 (section 4.1) does not allow is
/// refused, as in Node.
fn first_subprotocol(headers: &HeaderMap) -> Result<Option<HeaderValue>, Refusal> {
    const BAD: Refusal = Refusal::BadWebSocketProtocol;
    let (mut first, mut names) = (None, BTreeSet::new());
    for value in headers.get_all(header::SEC_WEBSOCKET_PROTOCOL) {
        for name in value.to_str().map_err(|_| BAD)?.split(',') {
            let name = name.trim_matches([' ', '\t']);
            if !is_token(name) || !names.insert(name) {
                return Err(BAD);
            }
            first = first.or(Some(name));
        }
    }
    let first = first.map(HeaderValue::from_str);
    first.transpose().map_err(|_| BAD)
}

/// Returns true for a token of RFC 9110.
fn is_token(text: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(valid)
}
