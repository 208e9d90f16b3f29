//! The packets of one polling body, separated by the record separator (0x1E).

use std::iter::FusedIterator;

use bytes::Bytes;
use bytestring::ByteString;

use super::Packet;
use crate::DecodeError;
use crate::always::always;
use crate::buf::copy;

const SEPARATOR: char = '\x1e';

/// The packets of a polling body, in order.
///
/// A packet that is more than half of the body shares its memory. A smaller one is copied, so that it does not keep the
/// whole body in memory. An error ends the iteration, because the data after an invalid packet is not trustworthy.
#[derive(Clone, Debug)]
pub struct Payload {
    body: ByteString,
    /// The offset of the next packet, or `None` at the end.
    next: Option<usize>,
}

impl Payload {
    /// Decodes a body. An empty body results in one error.
    #[must_use]
    pub const fn decode(body: ByteString) -> Self {
        Self {
            body,
            next: Some(0),
        }
    }

    /// Returns the memory that the body holds, in bytes.
    pub fn size(&self) -> usize {
        self.body.len()
    }

    /// Returns true if all packets have been returned.
    #[must_use]
    #[inline]
    pub const fn is_done(&self) -> bool {
        self.next.is_none()
    }
}

impl Iterator for Payload {
    type Item = Result<Packet, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.next.take()?;
        let rest = always(self.body.get(start..), "a packet begins in the body");
        let text = match rest.split_once(SEPARATOR) {
            Some((part, _)) => {
                self.next = Some(start + part.len() + SEPARATOR.len_utf8());
                own(&self.body, part)
            }
            None if start == 0 => std::mem::take(&mut self.body),
            None => own(&self.body, rest),
        };
        let packet = Packet::decode_text(text);
        if packet.is_err() {
            self.next = None;
        }
        Some(packet)
    }
}

impl FusedIterator for Payload {}

fn own(body: &ByteString, part: &str) -> ByteString {
    if part.len() > body.len() / 2 {
        body.slice_ref(part)
    } else {
        part.into()
    }
}

/// A writer of a polling body.
#[derive(Debug, Default)]
pub struct PayloadWriter {
    body: Vec<u8>,
}

impl PayloadWriter {
    /// Creates an empty body.
    #[must_use]
    pub const fn new() -> Self {
        Self { body: Vec::new() }
    }

    /// Creates an empty body with capacity for `bytes` bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        let body = Vec::with_capacity(bytes);
        Self { body }
    }

    /// Appends a packet that is already encoded as text, including its digit.
    #[inline]
    pub fn push_text(&mut self, packet: &[u8]) {
        self.separate(packet.len());
        copy::append(&mut self.body, packet);
    }

    /// Appends a binary message as `b` and base64.
    pub fn push_binary(&mut self, data: &[u8]) {
        self.separate(1 + data.len().div_ceil(3) * 4);
        self.body.push(b'b');
        base64_simd::STANDARD.encode_append(data, &mut self.body);
    }

    /// Appends a binary message that is already encoded as base64.
    pub fn push_base64(&mut self, base64: &str) {
        self.separate(1 + base64.len());
        self.body.push(b'b');
        copy::append(&mut self.body, base64.as_bytes());
    }

    /// Returns true if nothing has been appended.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// Returns the current length of the body, in bytes.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        self.body.len()
    }

    /// Returns the body.
    #[must_use]
    #[inline]
    pub fn finish(self) -> Bytes {
        self.body.into()
    }

    /// Reserves memory for a packet, and appends a separator if the packet is not the first.
    fn separate(&mut self, len: usize) {
        self.body.reserve(1 + len);
        if !self.body.is_empty() {
            self.body.push(b'\x1e');
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::engine_io::Message;

    struct Body {
        text: Vec<u8>,
        /// The owner of the count, which is dropped together with the body.
        _alive: Arc<()>,
    }

    impl AsRef<[u8]> for Body {
        fn as_ref(&self) -> &[u8] {
            &self.text
        }
    }

    #[test]
    fn a_small_packet_does_not_keep_the_body_alive() {
        let alive = Arc::new(());
        for text in [
            "4x\x1e6yyyyyyyyyyyyyy",
            "6yyyyyyyyyyyyyy\x1e4x",
            "4x\x1e4y\x1e4z",
        ] {
            let body = Body {
                text: text.into(),
                _alive: Arc::clone(&alive),
            };
            let body = ByteString::try_from(Bytes::from_owner(body)).unwrap();
            let kept: Vec<_> = Payload::decode(body)
                .filter(|packet| matches!(packet, Ok(Packet::Message(_))))
                .collect();
            assert!(!kept.is_empty());
            assert_eq!(Arc::strong_count(&alive), 1, "{text}");
        }
    }

    fn decode(body: &str) -> Vec<Result<Packet, DecodeError>> {
        Payload::decode(body.into()).collect()
    }

    fn text(data: &str) -> Packet {
        Packet::Message(Message::Text(data.into()))
    }

    #[test]
    fn packets_stand_between_separators() {
        assert_eq!(decode("4hello"), [Ok(text("hello"))]);
        assert_eq!(
            decode("4hello\x1ebAQIDBA==\x1e2"),
            [
                Ok(text("hello")),
                Ok(Packet::decode_binary(Bytes::from_static(&[1, 2, 3, 4]))),
                Ok(Packet::Ping(ByteString::new())),
            ]
        );
        assert_eq!(
            decode("4\u{20ac}\x1e4\u{1F600}"),
            [Ok(text("\u{20ac}")), Ok(text("\u{1F600}"))]
        );
    }

    #[test]
    fn a_body_and_its_parts_are_not_empty() {
        assert_eq!(decode(""), [Err(DecodeError::Empty)]);
        assert_eq!(decode("\x1e"), [Err(DecodeError::Empty)]);
        assert_eq!(decode("4a\x1e"), [Ok(text("a")), Err(DecodeError::Empty)]);
        assert_eq!(decode("\x1e4a"), [Err(DecodeError::Empty)]);
        assert_eq!(
            decode("4a\x1e\x1e4b"),
            [Ok(text("a")), Err(DecodeError::Empty)]
        );
    }

    #[test]
    fn nothing_is_read_behind_a_bad_packet() {
        assert_eq!(
            decode("4a\x1e9\x1e4b"),
            [Ok(text("a")), Err(DecodeError::UnknownType('9'))]
        );
        let mut payload = Payload::decode("9\x1e4b".into());
        assert!(payload.next().is_some_and(|packet| packet.is_err()));
        assert_eq!(payload.next(), None);
        assert_eq!(payload.next(), None);
    }

    #[test]
    fn a_packet_that_is_most_of_the_body_shares_its_memory() {
        let body = ByteString::from("6\x1e4hello world");
        let start = body.as_bytes().as_ptr();
        let last = Payload::decode(body).last();
        let Some(Ok(Packet::Message(Message::Text(hello)))) = last else {
            panic!("not text");
        };
        assert_eq!(hello.as_bytes().as_ptr(), start.wrapping_add(3));
    }

    #[test]
    fn a_body_is_written_with_separators() {
        let mut writer = PayloadWriter::new();
        assert!(writer.is_empty());
        writer.push_text(b"4hello");
        writer.push_binary(&[1, 2, 3, 4]);
        writer.push_text(b"2");
        assert!(!writer.is_empty());
        assert_eq!(writer.len(), 18);
        assert_eq!(writer.finish(), "4hello\x1ebAQIDBA==\x1e2");
    }

    proptest! {
        #[test]
        fn joined_packets_are_split(packets in prop::collection::vec(
            prop_oneof![
                "4[^\\x1e]*".prop_map(|data| Message::Text(data.into())),
                any::<Vec<u8>>().prop_map(|data| Message::Binary(data.into())),
            ],
            1..10,
        )) {
            let mut writer = PayloadWriter::new();
            let mut expected = Vec::new();
            for packet in packets {
                match packet {
                    Message::Text(packet) => {
                        writer.push_text(packet.as_bytes());
                        expected.push(Packet::decode_text((*packet).into()));
                    }
                    Message::Binary(data) => {
                        writer.push_binary(&data);
                        expected.push(Ok(Packet::decode_binary(data)));
                    }
                }
            }
            let body = ByteString::try_from(writer.finish()).unwrap();
            prop_assert_eq!(Payload::decode(body).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn decoding_never_panics(body in "([0-6b]?\\PC{0,4}\\x1e?)*") {
            let packets = decode(&body);
            prop_assert!(!packets.is_empty());
        }
    }
}
