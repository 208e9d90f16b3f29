//! Packets: one character that names the kind, then the data.

use bytes::{Buf, Bytes};
use bytestring::ByteString;

use crate::protocol::DecodeError;

/// What an application sends: the data of a message packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(ByteString),
    /// Bytes.
    Binary(Bytes),
}

/// One unit of Engine.IO.
///
/// Data that the kind has no use for (`1abc`) is dropped, as other servers do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// `0`: the server's handshake.
    Open(ByteString),
    /// `1`: the session ends.
    Close,
    /// `2`: a ping; `probe` when a transport is tried.
    Ping(ByteString),
    /// `3`: the answer to a ping, with its data.
    Pong(ByteString),
    /// `4`: a message. Binary ones have no digit of their own, see [`Packet::decode_text`] and [`Packet::decode_binary`].
    Message(Message),
    /// `5`: the client has moved to the transport that this came by.
    Upgrade,
    /// `6`: nothing; ends a poll that waits.
    Noop,
}

impl Packet {
    /// The close packet.
    pub const CLOSE: &str = "1";
    /// The ping of the heartbeat.
    pub const PING: &str = "2";
    /// The answer to a probe.
    pub const PONG_PROBE: &str = "3probe";
    /// The packet that says nothing.
    pub const NOOP: &str = "6";

    /// Reads a text message of a WebSocket, or one part of a polling body: a digit and data, or `b` and a binary message in
    /// base64, with or without its padding.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Empty`], [`DecodeError::UnknownType`], [`DecodeError::Base64`].
    pub fn decode_text(text: ByteString) -> Result<Self, DecodeError> {
        let kind = text.chars().next().ok_or(DecodeError::Empty)?;
        match kind {
            '0' => Ok(Self::Open(without_first(text))),
            '1' => Ok(Self::Close),
            '2' => Ok(Self::Ping(without_first(text))),
            '3' => Ok(Self::Pong(without_first(text))),
            '4' => Ok(Self::Message(Message::Text(without_first(text)))),
            '5' => Ok(Self::Upgrade),
            '6' => Ok(Self::Noop),
            'b' => decode_base64(&text).map(|data| Self::Message(Message::Binary(data))),
            other => Err(DecodeError::UnknownType(other)),
        }
    }

    /// Reads a binary message of a WebSocket, which is nothing but the data of a message packet.
    #[must_use]
    pub const fn decode_binary(data: Bytes) -> Self {
        Self::Message(Message::Binary(data))
    }

    /// Writes the packet as text: what [`Packet::decode_text`] reads.
    #[must_use]
    pub fn encode_text(&self) -> ByteString {
        match self {
            Self::Open(data) => format!("0{data}").into(),
            Self::Close => ByteString::from_static(Self::CLOSE),
            Self::Ping(data) if data.is_empty() => ByteString::from_static(Self::PING),
            Self::Ping(data) => format!("2{data}").into(),
            Self::Pong(data) => format!("3{data}").into(),
            Self::Message(Message::Text(data)) => format!("4{data}").into(),
            Self::Message(Message::Binary(data)) => {
                let mut text = String::from("b");
                base64_simd::STANDARD.encode_append(data, &mut text);
                text.into()
            }
            Self::Upgrade => ByteString::from_static("5"),
            Self::Noop => ByteString::from_static(Self::NOOP),
        }
    }
}

/// Drops the first character, which is ASCII.
///
/// A slice makes the buffer shared, which allocates. Moving the start does not, but the text must then prove again that it
/// is UTF-8, which is next to free for short ASCII.
fn without_first(text: ByteString) -> ByteString {
    const SHORT: usize = 512;

    if text.len() <= SHORT && text.is_ascii() {
        let mut bytes = text.into_bytes();
        bytes.advance(usize::from(!bytes.is_empty()));
        return ByteString::try_from(bytes).unwrap_or_default();
    }
    let rest = text.get(1..).unwrap_or_default();
    text.slice_ref(rest)
}

fn decode_base64(text: &str) -> Result<Bytes, DecodeError> {
    let base64 = text.strip_prefix('b').unwrap_or(text);
    let unpadded = match base64.len() % 4 {
        0 => base64
            .strip_suffix("==")
            .or_else(|| base64.strip_suffix('='))
            .unwrap_or(base64),
        _ => base64,
    };
    base64_simd::STANDARD_NO_PAD
        .decode_to_vec(unpadded)
        .map(Bytes::from)
        .map_err(|_| DecodeError::Base64)
}
