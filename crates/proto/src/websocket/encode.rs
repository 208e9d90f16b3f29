//! The encoder: frames of a server, which are not masked, and the answer to a handshake's key.

use bytes::Bytes;
use sha1::{Digest, Sha1};

use super::CloseCode;
use super::mask::append_unmasked;
use crate::always::always;

/// The type of a frame (section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// A further fragment of the previous frame's message.
    Continuation = 0,
    /// A text message, or its first fragment.
    Text = 1,
    /// A binary message, or its first fragment.
    Binary = 2,
    /// The start of the closing handshake, or the answer to it.
    Close = 8,
    /// A ping.
    Ping = 9,
    /// A pong: the answer to a ping.
    Pong = 10,
}

impl Opcode {
    pub(super) const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    pub(super) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The header of an unmasked frame that is a whole message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; Self::MAX],
    len: u8,
}

impl Header {
    /// The maximum length of a header, in bytes.
    pub const MAX: usize = 10;

    /// Creates the header of a payload of `len` bytes.
    #[must_use]
    #[inline]
    pub const fn new(opcode: Opcode, len: usize) -> Self {
        let first = 0x80 | opcode as u8;
        let long = (len as u64).to_be_bytes();
        let [.., b2, b1, b0] = long;
        if len < 126 {
            Self {
                bytes: [first, b0, 0, 0, 0, 0, 0, 0, 0, 0],
                len: 2,
            }
        } else if len <= 0xffff {
            let _ = b2;
            Self {
                bytes: [first, 126, b1, b0, 0, 0, 0, 0, 0, 0],
                len: 4,
            }
        } else {
            let [b7, b6, b5, b4, b3, b2, b1, b0] = long;
            Self {
                bytes: [first, 127, b7, b6, b5, b4, b3, b2, b1, b0],
                len: 10,
            }
        }
    }

    /// Sets the bit that marks a compressed message (RFC 7692).
    #[must_use]
    pub const fn compressed(mut self) -> Self {
        let [first, ..] = &mut self.bytes;
        *first |= 0x40;
        self
    }

    /// Returns the length of the header at the start of an unmasked frame.
    #[must_use]
    #[inline]
    pub fn len_of(frame: &[u8]) -> usize {
        match frame.get(1).map(|short| short & 0x7f) {
            Some(127) => 10,
            Some(126) => 4,
            _ => 2,
        }
    }

    /// Returns the bytes to send.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        always(
            self.bytes.get(..usize::from(self.len)),
            "the longest header fits",
        )
    }
}

/// Encodes a whole message into one buffer.
#[must_use]
pub fn frame(opcode: Opcode, payload: &[u8]) -> Bytes {
    let header = Header::new(opcode, payload.len());
    [header.as_slice(), payload].concat().into()
}

/// Encodes a close frame. A reason that is too long is truncated.
#[must_use]
pub fn close_frame(code: Option<CloseCode>, reason: &str) -> Bytes {
    let Some(code) = code else {
        return frame(Opcode::Close, &[]);
    };
    // A close frame holds 125 bytes, two of them for the code.
    let reason = if reason.len() <= 123 {
        reason
    } else {
        let fits = (0..=123).rev().find_map(|end| reason.get(..end));
        always(fits, "an empty reason fits")
    };
    frame(
        Opcode::Close,
        &[&code.get().to_be_bytes(), reason.as_bytes()].concat(),
    )
}

/// Encodes a frame of a client, which is masked: for tests, and for clients.
#[must_use]
pub fn masked_frame(opcode: Opcode, payload: &[u8], mask: [u8; 4]) -> Bytes {
    let header = Header::new(opcode, payload.len());
    let mut frame = header.as_slice().to_vec();
    if let Some(second) = frame.get_mut(1) {
        *second |= 0x80;
    }
    frame.extend_from_slice(&mask);
    append_unmasked(&mut frame, payload, mask, 0);
    frame.into()
}

/// Returns true if the bytes may be a `Sec-WebSocket-Key`: 16 bytes in base64 (section 4.1).
#[must_use]
pub fn is_key(key: &[u8]) -> bool {
    let digits = |key: &[u8]| {
        key.iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
    };
    key.len() == 24 && key.strip_suffix(b"==").is_some_and(digits)
}

/// Returns the `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key` (section 4.2.2).
#[must_use]
pub fn accept_key(key: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64_simd::STANDARD.encode_to_string(hash.finalize().as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_rfc_is_answered_as_in_the_rfc() {
        assert_eq!(
            accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn lengths_take_their_shortest_form() {
        let header = |len| Header::new(Opcode::Binary, len).as_slice().to_vec();
        assert_eq!(header(125), [0x82, 125]);
        assert_eq!(header(126), [0x82, 126, 0, 126]);
        assert_eq!(header(65535), [0x82, 126, 0xff, 0xff]);
        assert_eq!(header(65536), [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let frame = close_frame(Some(CloseCode::NORMAL), &"ä".repeat(100));
        assert_eq!(frame.len(), 2 + 2 + 122);
    }
}
