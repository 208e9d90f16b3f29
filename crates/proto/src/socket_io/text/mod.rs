//! The default parser: `<type>[<attachments>-][<nsp>,][<ack id>][<JSON>]`.

use bytes::Bytes;
use bytestring::ByteString;
use serde::Deserialize;

use super::packet::{Event, Kind, Limits, Name, Packet};
use crate::args::reserved;
use crate::{
    Args, DecodeError,
    args::{check_json, check_placeholders},
    engine_io::Text,
};

/// Decodes a packet's text. Returns the packet, and the number of attachments that follow.
///
/// The text of an event without attachments is parsed only up to the end of the event's name; the rest is left to the
/// reader of the arguments. With attachments the whole text is checked, so that no attachments are collected for a
/// packet that would be refused later.
pub(super) fn decode(text: Text, limits: &Limits) -> Result<(Packet, usize), DecodeError> {
    let (text, at) = text.into_parts();
    let Header {
        kind,
        attachments,
        nsp,
        id,
        payload,
    } = Header::read(text.get(at..).unwrap_or_default(), limits)?;
    if attachments > 0 {
        check_json(payload)?;
        check_placeholders(payload, attachments)?;
    }
    let start = text.len() - payload.len();
    let nsp = match nsp {
        "/" => ByteString::from_static("/"),
        other => ByteString::from(other),
    };
    packet(kind, nsp, id, text, start, limits).map(|packet| (packet, attachments))
}

/// Creates a packet from a text whose JSON begins at `start` and extends to its end.
#[inline(always)]
pub(super) fn packet(
    kind: Kind,
    nsp: ByteString,
    id: Option<u64>,
    text: ByteString,
    start: usize,
    limits: &Limits,
) -> Result<Packet, DecodeError> {
    let payload = text.get(start..).unwrap_or_default();
    Ok(match kind {
        Kind::Connect => Packet::Connect {
            nsp,
            auth: auth(payload)?,
        },
        Kind::Disconnect if payload.is_empty() => Packet::Disconnect { nsp },
        Kind::Disconnect => return Err(DecodeError::Payload("none")),
        Kind::Event => {
            let name = event_name(payload, start, limits)?;
            let args = Args::in_packet(text, start, true);
            Packet::Event {
                nsp,
                id,
                event: Event { name, args },
            }
        }
        Kind::Ack if payload.is_empty() => Packet::Ack {
            nsp,
            id,
            args: Args::none(),
        },
        Kind::Ack if payload.starts_with('[') => Packet::Ack {
            nsp,
            id,
            args: Args::in_packet(text, start, false),
        },
        Kind::Ack => return Err(DecodeError::Payload("an array")),
        Kind::ConnectError => Packet::ConnectError {
            nsp,
            data: text.slice_ref(payload),
        },
    })
}

/// The header of a packet's text, and the payload that follows it.
struct Header<'t> {
    kind: Kind,
    attachments: usize,
    nsp: &'t str,
    id: Option<u64>,
    payload: &'t str,
}

impl<'t> Header<'t> {
    fn read(text: &'t str, limits: &Limits) -> Result<Self, DecodeError> {
        let mut chars = text.chars();
        let (kind, binary) = match chars.next().ok_or(DecodeError::Empty)? {
            '0' => (Kind::Connect, false),
            '1' => (Kind::Disconnect, false),
            '2' => (Kind::Event, false),
            '3' => (Kind::Ack, false),
            '4' => (Kind::ConnectError, false),
            '5' => (Kind::Event, true),
            '6' => (Kind::Ack, true),
            other => return Err(DecodeError::UnknownType(other)),
        };
        let rest = chars.as_str();
        let (attachments, rest) = if binary {
            attachments(rest, limits)?
        } else {
            (0, rest)
        };
        let (nsp, rest) = namespace(rest, limits)?;
        let (id, payload) = ack_id(rest)?;
        Ok(Self {
            kind,
            attachments,
            nsp,
            id,
            payload,
        })
    }
}

fn attachments<'t>(rest: &'t str, limits: &Limits) -> Result<(usize, &'t str), DecodeError> {
    let (digits, rest) = digits(rest);
    let rest = rest.strip_prefix('-').ok_or(DecodeError::AttachmentCount)?;
    if digits.is_empty() {
        return Err(DecodeError::AttachmentCount);
    }
    match digits.parse() {
        Ok(0) => Err(DecodeError::AttachmentCount),
        Ok(count) if count <= limits.max_attachments => Ok((count, rest)),
        _ => Err(DecodeError::TooManyAttachments(limits.max_attachments)),
    }
}

/// Splits off the namespace. It ends with a comma, which may be omitted at the end of a packet.
fn namespace<'t>(rest: &'t str, limits: &Limits) -> Result<(&'t str, &'t str), DecodeError> {
    if !rest.starts_with('/') {
        return Ok(("/", rest));
    }
    let (nsp, rest) = rest.split_once(',').unwrap_or((rest, ""));
    if nsp.len() > limits.max_nsp_len {
        return Err(DecodeError::NamespaceTooLong(limits.max_nsp_len));
    }
    Ok((nsp, rest))
}

fn ack_id(rest: &str) -> Result<(Option<u64>, &str), DecodeError> {
    match digits(rest) {
        ("", rest) => Ok((None, rest)),
        (digits, rest) => Ok((Some(digits.parse().map_err(|_| DecodeError::AckId)?), rest)),
    }
}

/// Splits off the leading decimal digits.
fn digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit());
    text.split_at_checked(end.unwrap_or(text.len()))
        .unwrap_or_default()
}

fn auth(payload: &str) -> Result<Option<ByteString>, DecodeError> {
    match payload.bytes().next() {
        None => Ok(None),
        // A copy, because it lives as long as its socket, and the text before it may be long.
        Some(b'{') => check_json(payload).map(|()| Some(payload.into())),
        Some(_) => Err(DecodeError::Payload("an object")),
    }
}

/// Finds the event's name: the first element of the array, which starts at `start` in the packet.
fn event_name(payload: &str, start: usize, limits: &Limits) -> Result<Name, DecodeError> {
    let inner = payload
        .strip_prefix('[')
        .ok_or(DecodeError::Payload("an array"))?;
    let element = inner.trim_start_matches([' ', '\t', '\n', '\r']);
    let at = start + payload.len() - element.len();

    let name = match element.strip_prefix('"') {
        Some(quoted) => match quoted.bytes().position(|byte| matches!(byte, b'"' | b'\\')) {
            Some(end) if quoted.as_bytes().get(end) == Some(&b'"') => {
                Name::Plain(at + 1..at + 1 + end)
            }
            Some(_) => Name::Unescaped(unescape(element)?),
            None => return Err(DecodeError::EventName),
        },
        None => Name::Unescaped(number(element)?),
    };
    let text = match &name {
        Name::Plain(range) => payload
            .get(range.start - start..range.end - start)
            .unwrap_or_default(),
        Name::Unescaped(text) => text,
    };
    if text.len() > limits.max_event_len {
        return Err(DecodeError::EventNameTooLong(limits.max_event_len));
    }
    match reserved(text) {
        Some(reserved) => Err(DecodeError::ReservedEvent(reserved)),
        None => Ok(name),
    }
}

/// Returns the first string of a text, unescaped. A lone surrogate, which JavaScript allows, becomes U+FFFD.
pub(super) fn unescape(text: &str) -> Result<Box<str>, DecodeError> {
    let bytes = Bytes::deserialize(&mut serde_json::Deserializer::from_str(text))
        .map_err(|error| DecodeError::Json(error.to_string()))?;
    Ok(String::from_utf8_lossy(&bytes).into())
}

/// Returns the number at the start of a text, in JavaScript's form as a property name.
fn number(text: &str) -> Result<Box<str>, DecodeError> {
    /// Integers of at most this many digits have the same form in JavaScript.
    const EXACT: usize = 15;

    let end = text
        .bytes()
        .position(|byte| matches!(byte, b',' | b']' | b' ' | b'\t' | b'\n' | b'\r'));
    let number = end.and_then(|end| text.get(..end)).unwrap_or(text);
    if !number.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Err(DecodeError::EventName);
    }
    check_json(number)?;
    if number.len() <= EXACT && number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(number.into());
    }
    let value: f64 = number.parse().map_err(|_| DecodeError::EventName)?;
    // A negative zero becomes zero, as in a property name.
    Ok((value + 0.0).to_string().into())
}

#[cfg(test)]
mod tests;
