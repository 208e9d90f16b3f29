//! A packet as text or binary data.

use bytes::{Buf, Bytes};
use bytestring::ByteString;

use crate::DecodeError;
use crate::cursor::Cursor;
use crate::engine_io::packet::decode_base64;
use crate::engine_io::{Message, Packet};

/// Decodes a text message of a WebSocket, or a text packet of a polling body.
///
/// # Errors
///
/// [`DecodeError::Empty`], [`DecodeError::UnknownType`], [`DecodeError::Base64`].
pub fn decode_text(text: ByteString) -> Result<Packet, DecodeError> {
    let mut binary = Cursor::new(&text);
    if !binary.eat('b') {
        return Packet::decode_text(text);
    }
    let kind = binary.take_char().ok_or(DecodeError::Empty)?;
    let kind = u8::try_from(kind).unwrap_or(u8::MAX).wrapping_sub(b'0');
    match of_kind(kind, Bytes::new())? {
        Packet::Message(_) => of_kind(kind, decode_base64(binary.rest())?),
        other => Ok(other),
    }
}

/// Decodes a binary message of a WebSocket, or a binary packet of a polling body.
///
/// # Errors
///
/// [`DecodeError::Empty`], [`DecodeError::UnknownType`].
pub fn decode_binary(mut data: Bytes) -> Result<Packet, DecodeError> {
    let kind = *data.first().ok_or(DecodeError::Empty)?;
    data.advance(1);
    of_kind(kind, data)
}

/// Creates a packet of a kind. The data of packets other than messages is dropped.
fn of_kind(kind: u8, data: Bytes) -> Result<Packet, DecodeError> {
    match kind {
        0 => Ok(Packet::Open(ByteString::new())),
        1 => Ok(Packet::Close),
        2 => Ok(Packet::Ping(ByteString::new())),
        3 => Ok(Packet::Pong(ByteString::new())),
        super::MESSAGE => Ok(Packet::Message(Message::Binary(data))),
        5 => Ok(Packet::Upgrade),
        6 => Ok(Packet::Noop),
        other => Err(DecodeError::UnknownType(char::from(
            other.wrapping_add(b'0'),
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(data: &'static [u8]) -> Packet {
        Packet::Message(Message::Binary(Bytes::from_static(data)))
    }

    #[test]
    fn a_binary_packet_begins_with_its_type() {
        let decode = |data: &'static [u8]| decode_binary(Bytes::from_static(data));
        assert_eq!(decode(&[4, 1, 2]), Ok(binary(&[1, 2])));
        assert_eq!(decode(&[4]), Ok(binary(&[])));
        assert_eq!(decode(&[2, 9]), Ok(Packet::Ping(ByteString::new())));
        assert_eq!(decode(&[]), Err(DecodeError::Empty));
        for kind in [7, b'4', 0xff] {
            let decoded = decode_binary(Bytes::from(vec![kind]));
            assert!(matches!(decoded, Err(DecodeError::UnknownType(_))));
        }
    }

    #[test]
    fn base64_has_a_type_too() {
        let decode = |text: &'static str| decode_text(text.into());
        assert_eq!(decode("b4bbbb"), Ok(binary(&[0x6d, 0xb6, 0xdb])));
        assert_eq!(decode("b4AQI="), Ok(binary(&[1, 2])));
        assert_eq!(decode("b4"), Ok(binary(&[])));
        assert_eq!(decode("b1"), Ok(Packet::Close));
        assert_eq!(decode("b"), Err(DecodeError::Empty));
        assert_eq!(decode("b4A"), Err(DecodeError::Base64));
        for text in ["b7AQ==", "bAQ==", "b\u{e9}"] {
            assert!(matches!(decode(text), Err(DecodeError::UnknownType(_))));
        }
    }

    #[test]
    fn text_is_that_of_revision_4() {
        assert_eq!(
            decode_text("4hello".into()),
            Packet::decode_text("4hello".into())
        );
        assert_eq!(decode_text("".into()), Err(DecodeError::Empty));
        assert_eq!(decode_text("9".into()), Err(DecodeError::UnknownType('9')));
    }
}
