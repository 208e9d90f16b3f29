//! Writes a polling body.

use bytes::Bytes;

use super::{END_OF_LENGTH, MESSAGE};
use crate::buf::copy;

/// Writes a polling body: as text, or as bytes where something in it is binary and its client can read that.
#[derive(Debug)]
pub struct PayloadWriter {
    body: Vec<u8>,
    binary: bool,
}

impl PayloadWriter {
    /// An empty body of text, in which binary data becomes base64.
    #[must_use]
    pub const fn text() -> Self {
        Self {
            body: Vec::new(),
            binary: false,
        }
    }

    /// An empty body of bytes.
    #[must_use]
    pub const fn binary() -> Self {
        Self {
            body: Vec::new(),
            binary: true,
        }
    }

    /// Adds a packet that is text already, digit first.
    pub fn push_text(&mut self, packet: &[u8]) {
        if self.binary {
            self.length_in_bytes(0, packet.len());
        } else {
            self.length_in_text(utf16_len(packet));
        }
        copy::append(&mut self.body, packet);
    }

    /// Adds a binary message.
    pub fn push_binary(&mut self, data: &[u8]) {
        if self.binary {
            self.length_in_bytes(1, 1 + data.len());
            self.body.push(MESSAGE);
            copy::append(&mut self.body, data);
        } else {
            self.push_base64(&base64_simd::STANDARD.encode_to_string(data));
        }
    }

    /// Adds a binary message that is base64 already.
    pub fn push_base64(&mut self, base64: &str) {
        let length = 2 + base64.len();
        if self.binary {
            self.length_in_bytes(0, length);
        } else {
            self.length_in_text(length);
        }
        self.body.extend_from_slice(b"b4");
        copy::append(&mut self.body, base64.as_bytes());
    }

    /// The body.
    #[must_use]
    pub fn finish(self) -> Bytes {
        self.body.into()
    }

    fn length_in_text(&mut self, length: usize) {
        self.body.extend_from_slice(length.to_string().as_bytes());
        self.body.push(b':');
    }

    fn length_in_bytes(&mut self, kind: u8, length: usize) {
        self.body.push(kind);
        let digits = length.to_string();
        self.body.extend(digits.bytes().map(|digit| digit - b'0'));
        self.body.push(END_OF_LENGTH);
    }
}

/// Returns the length of a UTF-8 text in UTF-16 code units: one for each character, and a second one if it has four
/// bytes.
fn utf16_len(text: &[u8]) -> usize {
    let units = |byte: &u8| usize::from(*byte & 0xc0 != 0x80) + usize::from(*byte >= 0xf0);
    text.iter().map(units).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_text_counts_units_of_utf_16() {
        let mut writer = PayloadWriter::text();
        writer.push_text(b"4hello");
        writer.push_text("4\u{1F600}\u{e9}\u{20ac}".as_bytes());
        writer.push_binary(&[1, 2, 3, 4]);
        assert_eq!(
            writer.finish(),
            "6:4hello5:4\u{1F600}\u{e9}\u{20ac}10:b4AQIDBA=="
        );
    }

    #[test]
    fn a_body_of_bytes_counts_bytes() {
        let mut writer = PayloadWriter::binary();
        writer.push_text("4\u{20ac}".as_bytes());
        writer.push_binary(&[7; 11]);
        let mut expected = b"\x00\x04\xff4\xe2\x82\xac\x01\x01\x02\xff\x04".to_vec();
        expected.extend([7; 11]);
        assert_eq!(writer.finish(), expected);
    }
}
