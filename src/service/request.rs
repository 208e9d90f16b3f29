//! The meaning of a request, or the rule that it breaks.

use std::sync::Arc;

use http::Method;
use http::request::Parts;

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
    let transport = query.transport().ok_or(Refusal::TransportUnknown)?;
    if !config.transports.contains(&transport) {
        return Err(Refusal::TransportUnknown);
    }
    if query.sid.is_empty() {
        return open(&query, config, transport, parts);
    }
    let entry = query.sid().and_then(find);
    let entry = entry.ok_or(Refusal::SessionUnknown)?;
    if query.revision().number() != entry.client.revision.number() {
        return Err(Refusal::ProtocolMismatch);
    }
    if is_upgrade(parts) {
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
    parts: &Parts,
) -> Result<Asked, Refusal> {
    let upgrade = is_upgrade(parts);
    if parts.method != Method::GET && !upgrade {
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

/// A parameter of the protocol.
#[derive(Clone, Copy, Debug)]
enum Parameter {
    Version,
    Transport,
    Sid,
    Base64,
}

impl Parameter {
    fn of(key: &str) -> Option<Self> {
        match key {
            "EIO" => Some(Self::Version),
            "transport" => Some(Self::Transport),
            "sid" => Some(Self::Sid),
            "b64" => Some(Self::Base64),
            _ => None,
        }
    }
}

/// The parameters of the protocol, as they are in the URL: clients escape only what applications add. The last one
/// counts if a parameter is repeated, as in Node.
#[derive(Debug, Default)]
struct Query<'a> {
    version: &'a str,
    transport: &'a str,
    sid: &'a str,
    base64: bool,
}

impl<'a> Query<'a> {
    fn parse(query: &'a str) -> Self {
        let mut parsed = Self::default();
        for pair in split(query, b'&') {
            let (key, value) = key_and_value(pair);
            if let Some(parameter) = unescaped(key, Parameter::of) {
                parsed.set(parameter, value);
            }
        }
        parsed
    }

    fn set(&mut self, parameter: Parameter, value: &'a str) {
        match parameter {
            Parameter::Version => self.version = value,
            Parameter::Transport => self.transport = value,
            Parameter::Sid => self.sid = value,
            Parameter::Base64 => self.base64 = !value.is_empty(),
        }
    }

    fn transport(&self) -> Option<Transport> {
        unescaped(self.transport, |text| match text {
            "polling" => Some(Transport::Polling),
            "websocket" => Some(Transport::WebSocket),
            _ => None,
        })
    }

    fn sid(&self) -> Option<Sid> {
        unescaped(self.sid, |text| text.parse().ok())
    }

    /// Returns the revision. Every version other than 4 counts as 3, as in Node.
    fn revision(&self) -> Revision {
        let four = unescaped(self.version, |text| (text == "4").then_some(Revision::Four));
        four.unwrap_or(Revision::Three {
            base64: self.base64,
        })
    }
}

/// Parses a key or a value as it is, and without its escapes if it is nothing that way. No valid one has the characters
/// of escapes.
fn unescaped<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
    parse(text).or_else(|| {
        let escaped = text.bytes().any(|byte| byte == b'%' || byte == b'+');
        escaped.then(|| parse(&decode_query(text))).flatten()
    })
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
