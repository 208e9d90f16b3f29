//! The default parser: `<type>[<attachments>-][<nsp>,][<ack id>][<JSON>]`.

use bytes::Bytes;
use bytestring::ByteString;
use serde::Deserialize;

use super::packet::{Event, Kind, Name, Packet, PacketLimits};
use crate::always::always;
use crate::args::{check_json, check_placeholders, reserved};
use crate::cursor::Cursor;
use crate::engine_io::Text;
use crate::{Args, DecodeError};

/// Decodes a packet's text. Returns the packet, and the number of attachments that follow.
///
/// The text of an event without attachments is parsed only up to the end of the event's name; the rest is left to the
/// reader of the arguments. With attachments the whole text is checked, so that no attachments are collected for a
/// packet that would be refused later.
pub(super) fn decode(text: Text, limits: &PacketLimits) -> Result<(Packet, usize), DecodeError> {
    let (text, at) = text.into_parts();
    let Header {
        kind,
        attachments,
        nsp,
        id,
        payload,
    } = Header::read(always(text.get(at..), "the text is in the packet"), limits)?;
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
    limits: &PacketLimits,
) -> Result<Packet, DecodeError> {
    let payload = always(text.get(start..), "the JSON is in the packet");
    Ok(match kind {
        Kind::Connect => Packet::Connect {
            nsp,
            auth: auth(payload)?,
        },
        Kind::Disconnect if payload.is_empty() => Packet::Disconnect { nsp },
        Kind::Disconnect => return Err(DecodeError::Payload("none")),
        Kind::Event => {
            let name = event_name(payload, start, limits)?;
            let args = match &name {
                // The quote is behind the name.
                Name::Plain(name) => Args::behind_name(text, start, name.end + 1),
                Name::Unescaped(_) => Args::of_event(text, start),
            };
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
            args: Args::of_ack(text, start),
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
    fn read(text: &'t str, limits: &PacketLimits) -> Result<Self, DecodeError> {
        let mut text = Cursor::new(text);
        let (kind, binary) = match text.take_char().ok_or(DecodeError::Empty)? {
            '0' => (Kind::Connect, false),
            '1' => (Kind::Disconnect, false),
            '2' => (Kind::Event, false),
            '3' => (Kind::Ack, false),
            '4' => (Kind::ConnectError, false),
            '5' => (Kind::Event, true),
            '6' => (Kind::Ack, true),
            other => return Err(DecodeError::UnknownType(other)),
        };
        let attachments = if binary {
            attachments(&mut text, limits)?
        } else {
            0
        };
        Ok(Self {
            kind,
            attachments,
            nsp: namespace(&mut text, limits)?,
            id: ack_id(&mut text)?,
            payload: text.rest(),
        })
    }
}

fn attachments(text: &mut Cursor<'_>, limits: &PacketLimits) -> Result<usize, DecodeError> {
    let digits = text.digits();
    if digits.is_empty() || !text.eat('-') {
        return Err(DecodeError::AttachmentCount);
    }
    match digits.parse() {
        Ok(0) => Err(DecodeError::AttachmentCount),
        Ok(count) if count <= limits.max_attachments => Ok(count),
        _ => Err(DecodeError::TooManyAttachments(limits.max_attachments)),
    }
}

/// Takes the namespace. It ends with a comma, which may be omitted at the end of a packet.
fn namespace<'t>(text: &mut Cursor<'t>, limits: &PacketLimits) -> Result<&'t str, DecodeError> {
    if text.peek() != Some(b'/') {
        return Ok("/");
    }
    let nsp = text.take_until(|byte| byte == b',');
    text.eat(',');
    if nsp.len() > limits.max_nsp_len {
        return Err(DecodeError::NamespaceTooLong(limits.max_nsp_len));
    }
    Ok(nsp)
}

fn ack_id(text: &mut Cursor<'_>) -> Result<Option<u64>, DecodeError> {
    match text.digits() {
        "" => Ok(None),
        digits => digits.parse().map(Some).map_err(|_| DecodeError::AckId),
    }
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
fn event_name(payload: &str, start: usize, limits: &PacketLimits) -> Result<Name, DecodeError> {
    let mut text = Cursor::new(payload);
    if !text.eat('[') {
        return Err(DecodeError::Payload("an array"));
    }
    text.take_until(|byte| !is_white_space(byte));
    let element = text.rest();
    let name = if text.eat('"') {
        // A name with a control character is not JSON: the reader of the arguments reads such a name again.
        let name = text.take_until(|byte| matches!(byte, b'"' | b'\\' | ..b' '));
        match text.peek() {
            Some(b'"') => {
                check_name(name, limits)?;
                let end = start + payload.len() - text.rest().len();
                return Ok(Name::Plain(end - name.len()..end));
            }
            Some(_) => unescape(element)?,
            None => return Err(DecodeError::EventName),
        }
    } else {
        number(element)?
    };
    check_name(&name, limits)?;
    Ok(Name::Unescaped(name))
}

const fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn check_name(name: &str, limits: &PacketLimits) -> Result<(), DecodeError> {
    if name.len() > limits.max_event_len {
        return Err(DecodeError::EventNameTooLong(limits.max_event_len));
    }
    match reserved(name) {
        Some(reserved) => Err(DecodeError::ReservedEvent(reserved)),
        None => Ok(()),
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

    let ends = |byte| matches!(byte, b',' | b']') || is_white_space(byte);
    let number = Cursor::new(text).take_until(ends);
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
