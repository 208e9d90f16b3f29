//! Many packets in one polling body, with the record separator (0x1E) between them.

use std::iter::FusedIterator;

use bytes::Bytes;
use bytestring::ByteString;

use super::Packet;
use crate::protocol::DecodeError;

const SEPARATOR: char = '\x1e';

/// The packets of a polling body, in order.
///
/// The packets share the body's memory. After an error there are no more: what follows a bad packet is not to be trusted.
#[derive(Clone, Debug)]
pub struct Payload {
    body: ByteString,
    /// Where the next packet starts; `None` at the end.
    next: Option<usize>,
}

impl Payload {
    /// Reads a body. An empty one has one packet, which is an error.
    #[must_use]
    pub const fn decode(body: ByteString) -> Self {
        Self {
            body,
            next: Some(0),
        }
    }
}

impl Iterator for Payload {
    type Item = Result<Packet, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.next.take()?;
        let rest = self.body.get(start..).unwrap_or_default();
        let text = match rest.split_once(SEPARATOR) {
            Some((part, _)) => {
                self.next = Some(start + part.len() + SEPARATOR.len_utf8());
                self.body.slice_ref(part)
            }
            None if start == 0 => std::mem::take(&mut self.body),
            None => self.body.slice_ref(rest),
        };
        let packet = Packet::decode_text(text);
        if packet.is_err() {
            self.next = None;
        }
        Some(packet)
    }
}

impl FusedIterator for Payload {}

/// Writes a polling body.
#[derive(Debug, Default)]
pub struct PayloadWriter {
    body: Vec<u8>,
}

impl PayloadWriter {
    /// An empty body.
    #[must_use]
    pub const fn new() -> Self {
        Self { body: Vec::new() }
    }

    /// Adds a packet that is text already, digit first.
    pub fn push_text(&mut self, packet: &[u8]) {
        self.separate(packet.len());
        self.body.extend_from_slice(packet);
    }

    /// Adds a binary message, as `b` and base64.
    pub fn push_binary(&mut self, data: &[u8]) {
        self.separate(1 + data.len().div_ceil(3) * 4);
        self.body.push(b'b');
        base64_simd::STANDARD.encode_append(data, &mut self.body);
    }

    /// Whether nothing has been added.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// The length of the body so far, in bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.body.len()
    }

    /// The body.
    #[must_use]
    pub fn finish(self) -> Bytes {
        self.body.into()
    }

    /// Makes room for a packet and puts a separator before it, unless it is the first.
    fn separate(&mut self, len: usize) {
        self.body.reserve(1 + len);
        if !self.body.is_empty() {
            self.body.push(b'\x1e');
        }
    }
}
