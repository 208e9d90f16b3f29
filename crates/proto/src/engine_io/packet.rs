//! Packets: one character for the kind, then the data.

use bytes::Bytes;
use bytestring::ByteString;

use super::Text;
use crate::DecodeError;
use crate::cursor::Cursor;

/// The data of a message packet, which an application sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(Text),
    /// A binary message.
    Binary(Bytes),
}

/// A packet of Engine.IO.
///
/// Data after a kind that has none (`1abc`) is dropped, as in other servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// `0`: the server's handshake.
    Open(ByteString),
    /// `1`: closes the session.
    Close,
    /// `2`: a ping. Its data is `probe` when the client probes a transport.
    Ping(ByteString),
    /// `3`: the answer to a ping, with the same data.
    Pong(ByteString),
    /// `4`: a message. A binary message has no digit of its own; see [`Packet::decode_text`] and
    /// [`Packet::decode_binary`].
    Message(Message),
    /// `5`: the client has upgraded to the transport that carries this packet.
    Upgrade,
    /// `6`: has no effect except to end a pending poll.
    Noop,
}

impl Packet {
    /// The close packet.
    pub const CLOSE: &str = "1";
    /// The ping of the heartbeat.
    pub const PING: &str = "2";
    /// The answer to a probe.
    pub const PONG_PROBE: &str = "3probe";
    /// The noop packet.
    pub const NOOP: &str = "6";

    /// Decodes a text message of a WebSocket, or a packet of a polling body: a digit and data, or `b` and a binary
    /// message in base64, with or without padding.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Empty`], [`DecodeError::UnknownType`], [`DecodeError::Base64`].
    pub fn decode_text(text: ByteString) -> Result<Self, DecodeError> {
        let mut data = Cursor::new(&text);
        let kind = data.take_char().ok_or(DecodeError::Empty)?;
        let data = data.rest();
        match kind {
            '4' => Ok(Self::Message(Message::Text(Text::behind_digit(text)))),
            '0' => Ok(Self::Open(text.slice_ref(data))),
            '1' => Ok(Self::Close),
            '2' => Ok(Self::Ping(text.slice_ref(data))),
            '3' => Ok(Self::Pong(text.slice_ref(data))),
            '5' => Ok(Self::Upgrade),
            '6' => Ok(Self::Noop),
            'b' => decode_base64(data).map(|data| Self::Message(Message::Binary(data))),
            other => Err(DecodeError::UnknownType(other)),
        }
    }

    /// Decodes a binary message of a WebSocket, which consists of the data of a message packet alone.
    #[must_use]
    pub const fn decode_binary(data: Bytes) -> Self {
        Self::Message(Message::Binary(data))
    }

    /// Encodes the packet as text that [`Packet::decode_text`] can decode.
    #[must_use]
    pub fn encode_text(&self) -> ByteString {
        match self {
            Self::Open(data) => format!("0{data}").into(),
            Self::Close => ByteString::from_static(Self::CLOSE),
            Self::Ping(data) if data.is_empty() => ByteString::from_static(Self::PING),
            Self::Ping(data) => format!("2{data}").into(),
            Self::Pong(data) => format!("3{data}").into(),
            Self::Message(Message::Text(data)) => format!("4{}", &**data).into(),
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

/// Decodes base64, with or without padding.
pub(super) fn decode_base64(base64: &str) -> Result<Bytes, DecodeError> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(text: &str) -> Result<Packet, DecodeError> {
        Packet::decode_text(text.into())
    }

    fn binary(data: &'static [u8]) -> Packet {
        Packet::decode_binary(Bytes::from_static(data))
    }

    #[test]
    fn each_kind_has_its_digit() {
        assert_eq!(decode("0{}"), Ok(Packet::Open("{}".into())));
        assert_eq!(decode("1"), Ok(Packet::Close));
        assert_eq!(decode("2"), Ok(Packet::Ping("".into())));
        assert_eq!(decode("2probe"), Ok(Packet::Ping("probe".into())));
        assert_eq!(decode("3"), Ok(Packet::Pong("".into())));
        assert_eq!(decode("3probe"), Ok(Packet::Pong("probe".into())));
        assert_eq!(decode("4"), Ok(Packet::Message(Message::Text("".into()))));
        assert_eq!(
            decode("4h\u{e9}llo"),
            Ok(Packet::Message(Message::Text("h\u{e9}llo".into())))
        );
        assert_eq!(decode("5"), Ok(Packet::Upgrade));
        assert_eq!(decode("6"), Ok(Packet::Noop));
    }

    #[test]
    fn useless_data_is_dropped() {
        assert_eq!(decode("1x"), Ok(Packet::Close));
        assert_eq!(decode("5x"), Ok(Packet::Upgrade));
        assert_eq!(decode("6x"), Ok(Packet::Noop));
    }

    #[test]
    fn an_empty_or_unknown_packet_is_refused() {
        assert_eq!(decode(""), Err(DecodeError::Empty));
        for text in ["7", "9", "a", "B", " 4x", "\u{e9}", "\0"] {
            let first = text.chars().next().unwrap();
            assert_eq!(decode(text), Err(DecodeError::UnknownType(first)));
        }
    }

    #[test]
    fn base64_is_binary_with_or_without_padding() {
        assert_eq!(decode("b"), Ok(binary(b"")));
        assert_eq!(decode("bAQ=="), Ok(binary(&[1])));
        assert_eq!(decode("bAQ"), Ok(binary(&[1])));
        assert_eq!(decode("bAQI="), Ok(binary(&[1, 2])));
        assert_eq!(decode("bAQI"), Ok(binary(&[1, 2])));
        assert_eq!(decode("bAQID"), Ok(binary(&[1, 2, 3])));
        assert_eq!(decode("b+/+/"), Ok(binary(&[0xfb, 0xff, 0xbf])));
    }

    #[test]
    fn other_text_is_no_base64() {
        for text in [
            "bA",
            "bA===",
            "bAQ=",
            "b=",
            "b====",
            "bAQID=",
            "bAQ==AQ==",
            "b-_-_",
            "bAQ I",
            "bAQID\n",
            "b\u{e9}",
        ] {
            assert_eq!(decode(text), Err(DecodeError::Base64), "{text}");
        }
    }

    #[test]
    fn short_text_stays_in_the_buffer_it_came_in() {
        let text = ByteString::from("4hello");
        let start = text.as_bytes().as_ptr();
        let Ok(Packet::Message(Message::Text(data))) = Packet::decode_text(text) else {
            panic!("not text");
        };
        assert_eq!(data.as_bytes().as_ptr(), start.wrapping_add(1));
    }

    #[test]
    fn long_text_and_text_that_is_not_ascii_lose_their_digit_too() {
        for data in [
            "x".repeat(10_000),
            "\u{1F600}".repeat(10),
            "\u{e9}".repeat(10_000),
        ] {
            let decoded = decode(&format!("4{data}"));
            assert_eq!(decoded, Ok(Packet::Message(Message::Text(data.into()))));
        }
    }

    pub(super) fn any_packet() -> impl Strategy<Value = Packet> {
        prop_oneof![
            any::<String>().prop_map(|data| Packet::Open(data.into())),
            Just(Packet::Close),
            any::<String>().prop_map(|data| Packet::Ping(data.into())),
            any::<String>().prop_map(|data| Packet::Pong(data.into())),
            any::<String>().prop_map(|data| Packet::Message(Message::Text(data.into()))),
            any::<Vec<u8>>().prop_map(|data| Packet::decode_binary(data.into())),
            Just(Packet::Upgrade),
            Just(Packet::Noop),
        ]
    }

    proptest! {
        #[test]
        fn encoded_packets_are_decoded(packet in any_packet()) {
            prop_assert_eq!(Packet::decode_text(packet.encode_text()), Ok(packet));
        }

        #[test]
        fn decoding_never_panics(text in "[0-6b]?\\PC*") {
            let _ = decode(&text);
        }
    }
}
