//! The meaning of a request, or the rule that it breaks.

use std::borrow::Cow;
use std::sync::Arc;

use http::Method;
use http::request::Parts;
use memchr::memchr2;

use super::refusal::Refusal;
use super::switch::is_upgrade;
use crate::driver::SessionEntry;
use crate::server::EngineSettings;
use proto::engine_io::{Revision, Transport};
use proto::{Sid, decode_query};

/// The meaning of a request that breaks no rule.
#[derive(Debug)]
pub(super) enum Asked {
    /// A new session.
    Open(Transport, Revision),
    /// A poll for the packets that are queued for the client.
    Poll(Arc<SessionEntry>),
    /// Packets from the client.
    Post(Arc<SessionEntry>),
    /// A WebSocket that is to take over a session.
    Upgrade(Arc<SessionEntry>),
}

impl Asked {
    /// Returns the session over polling whose packets the request or its response has.
    pub(super) fn session(&self) -> Option<Arc<SessionEntry>> {
        match self {
            Self::Poll(entry) | Self::Post(entry) => Some(Arc::clone(entry)),
            Self::Open(..) | Self::Upgrade(_) => None,
        }
    }
}

/// Parses a request. The rules are checked in the order of Node's server, so that a request which breaks two of them
/// gets the same answer.
pub(super) fn parse(
    parts: &Parts,
    config: &EngineSettings,
    find: impl FnOnce(Sid) -> Option<Arc<SessionEntry>>,
) -> Result<Asked, Refusal> {
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let transport = match query.transport.as_deref() {
        Some("polling") => Transport::Polling,
        Some("websocket") => Transport::WebSocket,
        _ => return Err(Refusal::TransportUnknown),
    };
    if !config.transports.contains(&transport) {
        return Err(Refusal::TransportUnknown);
    }
    let upgrade = is_upgrade(parts);
    let Some(sid) = query.sid.as_deref().filter(|sid| !sid.is_empty()) else {
        return open(&query, config, transport, upgrade, &parts.method);
    };
    let entry = sid
        .parse()
        .ok()
        .and_then(find)
        .ok_or(Refusal::SessionUnknown)?;
    if query.revision().number() != entry.client.revision.number() {
        return Err(Refusal::ProtocolMismatch);
    }
    if upgrade {
        let may = transport == Transport::WebSocket && config.allow_upgrades;
        return if may {
            Ok(Asked::Upgrade(entry))
        } else {
            Err(Refusal::UpgradeRefused)
        };
    }
    if transport != entry.client.transport() || transport != Transport::Polling {
        return Err(Refusal::TransportMismatch);
    }
    match parts.method {
        Method::GET => Ok(Asked::Poll(entry)),
        Method::POST => Ok(Asked::Post(entry)),
        _ => Err(Refusal::BadMethod),
    }
}

fn open(
    query: &Query<'_>,
    config: &EngineSettings,
    transport: Transport,
    upgrade: bool,
    method: &Method,
) -> Result<Asked, Refusal> {
    if method != Method::GET && !upgrade {
        return Err(Refusal::BadHandshakeMethod);
    }
    if (transport == Transport::WebSocket) != upgrade {
        return Err(Refusal::TransportHandshakeError);
    }
    let revision = query.revision();
    if revision.is_four() || config.allow_eio3 {
        Ok(Asked::Open(transport, revision))
    } else {
        Err(Refusal::UnsupportedProtocolVersion)
    }
}

/// The parameters of the protocol. The last one counts if a parameter is repeated, as in Node.
#[derive(Debug, Default)]
struct Query<'a> {
    version: Option<Cow<'a, str>>,
    transport: Option<Cow<'a, str>>,
    sid: Option<Cow<'a, str>>,
    base64: bool,
}

impl<'a> Query<'a> {
    fn parse(query: &'a str) -> Self {
        // Clients escape only what applications add, so most queries are searched once.
        let decode: fn(&'a str) -> Cow<'a, str> = match memchr2(b'%', b'+', query.as_bytes()) {
            Some(_) => |text| decode_query(text),
            None => |text| Cow::Borrowed(text),
        };
        let mut parsed = Self::default();
        for pair in split(query, b'&') {
            let (key, value) = key_and_value(pair);
            parsed.take(&decode(key), || decode(value));
        }
        parsed
    }

    fn take(&mut self, key: &str, value: impl FnOnce() -> Cow<'a, str>) {
        match key {
            "EIO" => self.version = Some(value()),
            "transport" => self.transport = Some(value()),
            "sid" => self.sid = Some(value()),
            "b64" => self.base64 = !value().is_empty(),
            _ => {}
        }
    }

    /// Returns the revision. Every version other than 4 counts as 3, as in Node.
    fn revision(&self) -> Revision {
        match self.version.as_deref() {
            Some("4") => Revision::Four,
            _ => Revision::Three {
                base64: self.base64,
            },
        }
    }
}

/// Splits a parameter at its first equals sign. A key without one has an empty value.
fn key_and_value(pair: &str) -> (&str, &str) {
    let at = pair.bytes().position(|byte| byte == b'=');
    let halves = at.and_then(|at| Some((pair.get(..at)?, pair.get(at + 1..)?)));
    halves.unwrap_or((pair, ""))
}

/// Splits a text at separators of one ASCII character. For short texts `str::split` costs five times as much.
fn split(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.bytes().position(|byte| byte == separator);
        rest = end.and_then(|end| text.get(end + 1..));
        text.get(..end.unwrap_or(text.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn ask(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<Asked, Refusal> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        parse(
            &request.body(()).unwrap().into_parts().0,
            &EngineSettings::default(),
            |_| None,
        )
    }

    const UPGRADE: &[(&str, &str)] = &[
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
    ];

    #[test]
    fn requests_without_a_session_open_one_or_say_why_not() {
        let cases: &[(&str, &str, &[(&str, &str)], Result<&str, Refusal>)] = &[
            (
                "GET",
                "/?EIO=4&transport=polling",
                &[],
                Ok("Open(Polling, Four)"),
            ),
            (
                "GET",
                "/?EIO=4&transport=polling&sid=",
                &[],
                Ok("Open(Polling, Four)"),
            ),
            (
                "GET",
                "/?EIO=4&transport=websocket",
                UPGRADE,
                Ok("Open(WebSocket, Four)"),
            ),
            (
                "GET",
                "/?EIO=%34&transp%6Frt=%70olling",
                &[],
                Ok("Open(Polling, Four)"),
            ),
            (
                "GET",
                "/?transport=websocket&EIO=3&transport=polling&EIO=4&token=a%26EIO=3",
                &[],
                Ok("Open(Polling, Four)"),
            ),
            (
                "GET",
                "/?EIO=4&transport=polling+",
                &[],
                Err(Refusal::TransportUnknown),
            ),
            (
                "GET",
                "/?EIO=+4&transport=polling",
                &[],
                Err(Refusal::UnsupportedProtocolVersion),
            ),
            ("GET", "/", &[], Err(Refusal::TransportUnknown)),
            (
                "GET",
                "/?EIO=4&transport=abc",
                &[],
                Err(Refusal::TransportUnknown),
            ),
            (
                "POST",
                "/?EIO=4&transport=polling",
                &[],
                Err(Refusal::BadHandshakeMethod),
            ),
            (
                "HEAD",
                "/?EIO=4&transport=polling",
                &[],
                Err(Refusal::BadHandshakeMethod),
            ),
            (
                "GET",
                "/?EIO=4&transport=websocket",
                &[],
                Err(Refusal::TransportHandshakeError),
            ),
            (
                "GET",
                "/?EIO=4&transport=polling",
                UPGRADE,
                Err(Refusal::TransportHandshakeError),
            ),
            (
                "GET",
                "/?transport=polling",
                &[],
                Err(Refusal::UnsupportedProtocolVersion),
            ),
            (
                "GET",
                "/?EIO=3&transport=polling",
                &[],
                Err(Refusal::UnsupportedProtocolVersion),
            ),
            (
                "GET",
                "/?EIO=4&transport=polling&sid=__proto__",
                &[],
                Err(Refusal::SessionUnknown),
            ),
            (
                "GET",
                "/?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA",
                &[],
                Err(Refusal::SessionUnknown),
            ),
        ];
        for (method, uri, headers, expected) in cases {
            let got = ask(method, uri, headers).map(|asked| format!("{asked:?}"));
            assert_eq!(
                got.as_deref().map_err(|refusal| *refusal),
                *expected,
                "{method} {uri}"
            );
        }
    }
}
