//! The packets of one polling body, each after its length.

use std::iter::FusedIterator;

use bytes::Bytes;
use bytestring::ByteString;

use super::{END_OF_LENGTH, MAX_DIGITS, decode_binary, decode_text};
use crate::DecodeError;
use crate::engine_io::Packet;

/// The packets of a polling body, in order. An error ends the iteration.
#[derive(Clone, Debug)]
pub struct Payload {
    rest: Rest,
    /// True if the body is an empty text that has not been reported as an error. The end of a longer text is no error.
    empty: bool,
}

#[derive(Clone, Debug)]
enum Rest {
    /// A body such as `6:4hello2:4x`, in which lengths are in UTF-16 code units.
    Text(ByteString),
    /// A body in which a packet begins with a byte that is 0 for text and 1 for binary data. The decimal digits of the
    /// length in bytes, as bytes from 0 to 9, and 0xFF follow, and then the packet.
    Binary(Bytes),
}

impl Payload {
    /// Decodes a text body. An empty body is an error.
    #[must_use]
    pub fn text(body: ByteString) -> Self {
        let empty = body.is_empty();
        Self {
            rest: Rest::Text(body),
            empty,
        }
    }

    /// Decodes a body of the type `application/octet-stream`. An empty body has no packets.
    #[must_use]
    pub const fn binary(body: Bytes) -> Self {
        Self {
            rest: Rest::Binary(body),
            empty: false,
        }
    }

    /// Returns the size of the packets that have not been taken, in bytes. The body stays in memory until the last one
    /// has been taken.
    pub fn size(&self) -> usize {
        match &self.rest {
            Rest::Text(rest) => rest.len(),
            Rest::Binary(rest) => rest.len(),
        }
    }

    /// Returns true if all packets have been returned.
    #[must_use]
    pub fn is_done(&self) -> bool {
        !self.empty
            && match &self.rest {
                Rest::Text(rest) => rest.is_empty(),
                Rest::Binary(rest) => rest.is_empty(),
            }
    }

    /// Takes the next packet, if there is one.
    fn take(&mut self) -> Result<Option<Packet>, DecodeError> {
        if std::mem::take(&mut self.empty) {
            return Err(DecodeError::Empty);
        }
        loop {
            let packet = match &mut self.rest {
                Rest::Text(rest) => match take_text(rest)? {
                    // An empty packet (`0:`) is skipped: it is the encoding of no packets.
                    Some(packet) if packet.is_empty() => continue,
                    packet => packet.map(decode_text),
                },
                Rest::Binary(rest) => take_binary(rest)?,
            };
            return packet.transpose();
        }
    }
}

impl Iterator for Payload {
    type Item = Result<Packet, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let packet = self.take();
        if packet.is_err() {
            self.rest = Rest::Binary(Bytes::new());
        }
        packet.transpose()
    }
}

impl FusedIterator for Payload {}

/// Takes a packet and copies it, because the rest of the body may be large and is freed sooner.
fn take_text(rest: &mut ByteString) -> Result<Option<ByteString>, DecodeError> {
    if rest.is_empty() {
        return Ok(None);
    }
    let (digits, behind) = rest.split_once(':').ok_or(DecodeError::Length)?;
    let length = number(digits.bytes().map(|digit| digit.wrapping_sub(b'0')))?;
    let end = utf16_end(behind, length).ok_or(DecodeError::Length)?;
    let (packet, behind) = behind.split_at_checked(end).ok_or(DecodeError::Length)?;
    let packet = ByteString::from(packet);
    *rest = rest.slice_ref(behind);
    Ok(Some(packet))
}

fn take_binary(rest: &mut Bytes) -> Result<Option<Result<Packet, DecodeError>>, DecodeError> {
    let Some((is_binary, behind)) = rest.split_first() else {
        return Ok(None);
    };
    let end = behind.iter().take(MAX_DIGITS + 1);
    let end = { end }.position(|byte| *byte == END_OF_LENGTH);
    let (digits, behind) = end
        .and_then(|end| Some((behind.get(..end)?, behind.get(end + 1..)?)))
        .ok_or(DecodeError::Length)?;
    let length = number(digits.iter().copied())?;
    let packet = behind.get(..length).ok_or(DecodeError::Length)?;
    let after = rest.slice_ref(behind.get(length..).unwrap_or_default());
    let packet = if *is_binary == 0 {
        let text = simdutf8::basic::from_utf8(packet).map_err(|_| DecodeError::Utf8)?;
        decode_text(text.into())
    } else {
        decode_binary(Bytes::copy_from_slice(packet))
    };
    *rest = after;
    Ok(Some(packet))
}

/// Returns the number that the digits form.
fn number(digits: impl ExactSizeIterator<Item = u8>) -> Result<usize, DecodeError> {
    if digits.len() == 0 || digits.len() > MAX_DIGITS {
        return Err(DecodeError::Length);
    }
    let mut number = 0_u64;
    for digit in digits {
        if digit > 9 {
            return Err(DecodeError::Length);
        }
        number = number * 10 + u64::from(digit);
    }
    usize::try_from(number).map_err(|_| DecodeError::Length)
}

/// Returns the offset in a text after `units` UTF-16 code units, if a character ends there.
fn utf16_end(text: &str, units: usize) -> Option<usize> {
    if text.as_bytes().get(..units)?.is_ascii() {
        return Some(units);
    }
    let (mut left, mut end) = (units, 0);
    let mut chars = text.chars();
    while left > 0 {
        let char = chars.next()?;
        left = left.checked_sub(char.len_utf16())?;
        end += char.len_utf8();
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::PayloadWriter;
    use super::*;
    use crate::engine_io::Message;

    type Packets = Vec<Result<Packet, DecodeError>>;

    fn read(body: &str) -> Packets {
        Payload::text(body.into()).collect()
    }

    fn read_binary(body: &'static [u8]) -> Packets {
        Payload::binary(Bytes::from_static(body)).collect()
    }

    fn text(data: &str) -> Packet {
        Packet::Message(Message::Text(data.into()))
    }

    fn binary(data: &'static [u8]) -> Packet {
        Packet::Message(Message::Binary(Bytes::from_static(data)))
    }

    #[test]
    fn lengths_count_the_units_of_utf_16() {
        assert_eq!(
            read("6:4hello10:b4AQIDBA==1:2"),
            [
                Ok(text("hello")),
                Ok(binary(&[1, 2, 3, 4])),
                Ok(Packet::Ping(ByteString::new()))
            ]
        );
        assert_eq!(
            read("2:4\u{20ac}3:4\u{1F600}2:4x"),
            [Ok(text("\u{20ac}")), Ok(text("\u{1F600}")), Ok(text("x"))]
        );
        assert_eq!(read("0:"), []);
        assert_eq!(read("0:2:4x"), [Ok(text("x"))]);
    }

    #[test]
    fn a_wrong_length_ends_the_body() {
        for body in [
            "4hello",
            "6",
            "7:4hello",
            "x:4",
            ":4x",
            "-1:4",
            "2:4\u{1F600}",
            "1e1:4",
            " 2:4x",
            "99999999999999999:4x",
            "9999999999999999:4x",
        ] {
            assert_eq!(read(body), [Err(DecodeError::Length)], "{body}");
        }
        assert_eq!(read(""), [Err(DecodeError::Empty)]);
        assert_eq!(read("2:4a5:4b"), [Ok(text("a")), Err(DecodeError::Length)]);
        assert_eq!(
            read("2:4a2:9b2:4c"),
            [Ok(text("a")), Err(DecodeError::UnknownType('9'))]
        );
    }

    #[test]
    fn a_binary_body_counts_bytes() {
        assert_eq!(
            read_binary(b"\x00\x04\xff4\xe2\x82\xac\x01\x03\xff\x04\x01\x02\x00\x01\xff2"),
            [
                Ok(text("\u{20ac}")),
                Ok(binary(&[1, 2])),
                Ok(Packet::Ping(ByteString::new()))
            ]
        );
        let long: &[u8] = b"\x00\x01\x02\xff4hello world";
        assert_eq!(read_binary(long), [Ok(text("hello world"))]);
        assert_eq!(read_binary(b""), []);
    }

    #[test]
    fn a_binary_body_may_be_wrong_too() {
        let lengths: [&[u8]; 6] = [
            b"\x00",
            b"\x00\x01",
            b"\x00\xff4",
            b"\x00\x02\xff4",
            b"\x00\x0a\xff4hello",
            b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\xff4",
        ];
        for body in lengths {
            let read: Packets = Payload::binary(Bytes::from_static(body)).collect();
            assert_eq!(read, [Err(DecodeError::Length)], "{body:?}");
        }
        assert_eq!(read_binary(b"\x00\x02\xff4\x80"), [Err(DecodeError::Utf8)]);
        assert_eq!(read_binary(b"\x01\x00\xff"), [Err(DecodeError::Empty)]);
    }

    #[test]
    fn it_is_done_when_nothing_is_left() {
        let mut payload = Payload::text("2:4x".into());
        assert!(!payload.is_done());
        assert!(payload.next().is_some());
        assert!(payload.is_done() && payload.next().is_none());
        assert!(!Payload::text(ByteString::new()).is_done());
        assert!(Payload::binary(Bytes::new()).is_done());
        let mut bad = Payload::text("x2:4x".into());
        assert!(bad.next().is_some_and(|packet| packet.is_err()));
        assert!(bad.is_done() && bad.next().is_none());
    }

    fn any_message() -> impl Strategy<Value = Message> {
        prop_oneof![
            any::<String>().prop_map(|data| Message::Text(data.into())),
            any::<Vec<u8>>().prop_map(|data| Message::Binary(data.into())),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            messages in prop::collection::vec(any_message(), 1..8),
            as_binary: bool,
        ) {
            let mut writer = if as_binary { PayloadWriter::binary() } else { PayloadWriter::text() };
            for message in &messages {
                match message {
                    Message::Text(text) => writer.push_text(format!("4{}", &**text).as_bytes()),
                    Message::Binary(data) => writer.push_binary(data),
                }
            }
            let body = writer.finish();
            let payload = if as_binary {
                Payload::binary(body)
            } else {
                Payload::text(ByteString::try_from(body).unwrap())
            };
            let expected: Packets = messages.into_iter().map(|m| Ok(Packet::Message(m))).collect();
            prop_assert_eq!(payload.collect::<Packets>(), expected);
        }

        #[test]
        fn reading_text_never_panics(body in "([0-9]{0,3}:?[0-6b]?\\PC{0,4})*") {
            let _ = read(&body);
        }

        #[test]
        fn reading_bytes_never_panics(body in prop::collection::vec(
            prop_oneof![Just(0_u8), Just(1), Just(2), Just(0xff), Just(b'4'), any::<u8>()], 0..40,
        )) {
            let _ = Payload::binary(body.into()).count();
        }
    }
}
