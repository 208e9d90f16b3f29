//! From HTTP to WebSocket.

use std::collections::BTreeSet;

use axum_core::body::Body;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version, header};
use hyper::upgrade::OnUpgrade;

use super::refusal::Refusal;
use super::response::empty;
use crate::engine::Config;
use crate::protocol::engine_io::Revision;
use crate::protocol::websocket::{Agreed, accept_key, is_key, negotiate};
use crate::transport::WebSocket;

/// A connection that becomes a WebSocket when the response is sent.
pub(super) struct Switch {
    pub(super) response: Response<Body>,
    pub(super) on_upgrade: OnUpgrade,
    compression: Option<Agreed>,
}

impl Switch {
    /// The WebSocket, when the connection has become one; and the answer that is to be sent before.
    pub(super) fn socket(
        self,
        revision: Revision,
        config: &Config,
    ) -> (
        Response<Body>,
        impl Future<Output = hyper::Result<WebSocket>> + Send + use<>,
    ) {
        let (on_upgrade, max, compression) =
            (self.on_upgrade, config.max_payload, self.compression);
        let socket = async move {
            let upgraded = on_upgrade.await?;
            Ok(WebSocket::new(upgraded, max, revision, compression))
        };
        (self.response, socket)
    }
}

/// The answer that turns the connection into a WebSocket, and what becomes one once it is sent.
pub(super) fn switch_protocols(
    parts: &mut Parts,
    revision: Revision,
    config: &Config,
) -> Result<Switch, Refusal> {
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
        return Err(Refusal::WebSocketKey);
    }
    let subprotocol = first_subprotocol(&parts.headers)?;
    let Some(on_upgrade) = parts.extensions.remove::<OnUpgrade>() else {
        return Err(Refusal::NoUpgrade);
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
    if let Some(first) = subprotocol {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, first);
    }
    // Clients of revision 3 get frames of their own, which nobody shares.
    let wanted = config.compression.filter(|_| revision.is_four());
    let agreed = wanted.and_then(|wanted| {
        let offers = parts.headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS);
        negotiate(
            offers.iter().filter_map(|offer| offer.to_str().ok()),
            &wanted,
        )
    });
    let mut compression = None;
    if let Some((agreed, answer)) = agreed
        && let Ok(answer) = HeaderValue::try_from(answer)
    {
        headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, answer);
        compression = Some(agreed);
    }
    Ok(Switch {
        response,
        on_upgrade,
        compression,
    })
}

/// The first of the subprotocols that are offered. A list that RFC 6455 (section 4.1) does not allow is refused, as in Node.
fn first_subprotocol(headers: &HeaderMap) -> Result<Option<HeaderValue>, Refusal> {
    const BAD: Refusal = Refusal::WebSocketProtocol;
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

/// A token of RFC 9110.
fn is_token(text: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(valid)
}
