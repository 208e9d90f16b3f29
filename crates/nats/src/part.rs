//! The parts of messages: what a message of NATS contains.

use bytes::{BufMut, Bytes, BytesMut};

/// The size of the header of a part, in bytes.
const HEADER: usize = 1 + 8 + 8 + 4 + 4;

/// The smallest size of the content of one of several parts, in bytes.
const MIN_CONTENT: usize = 64;

/// The form of the header.
const VERSION: u8 = 1;

/// A part of a message. Most messages have one part; those that are larger than NATS allows have several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MessagePart {
    /// The random number of the connection that has published it.
    pub(crate) publisher: u64,
    /// The number of the part among all that the connection has published.
    pub(crate) number: u64,
    /// The number of the part in its message.
    pub(crate) index: u32,
    /// The number of parts that the message has.
    pub(crate) count: u32,
    pub(crate) content: Bytes,
}

impl MessagePart {
    /// Reads a part, or returns `None` if it is none.
    pub(crate) fn decode(bytes: &Bytes) -> Option<Self> {
        let (&version, rest) = bytes.split_first()?;
        let (publisher, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (index, rest) = rest.split_first_chunk()?;
        let (count, _) = rest.split_first_chunk()?;
        let part = Self {
            publisher: u64::from_be_bytes(*publisher),
            number: u64::from_be_bytes(*number),
            index: u32::from_be_bytes(*index),
            count: u32::from_be_bytes(*count),
            content: bytes.slice(HEADER..),
        };
        // Each of several parts has some content, so their number is limited by their size.
        let is_empty = part.content.is_empty() && part.count > 1;
        (version == VERSION && part.index < part.count && !is_empty).then_some(part)
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(HEADER + self.content.len());
        bytes.put_u8(VERSION);
        bytes.put_u64(self.publisher);
        bytes.put_u64(self.number);
        bytes.put_u32(self.index);
        bytes.put_u32(self.count);
        bytes.put_slice(&self.content);
        bytes.freeze()
    }

    pub(crate) const fn is_last(&self) -> bool {
        self.index + 1 == self.count
    }
}

/// Divides messages into parts, and numbers these.
#[derive(Debug)]
pub(crate) struct Divider {
    publisher: u64,
    next: u64,
}

impl Divider {
    pub(crate) const fn new(publisher: u64) -> Self {
        Self { publisher, next: 0 }
    }

    /// Returns the parts of a message, of at most `max` bytes each with their headers.
    pub(crate) fn divide(&mut self, message: &Bytes, max: usize) -> Vec<MessagePart> {
        let size = max.saturating_sub(HEADER).max(MIN_CONTENT);
        let count = message.len().div_ceil(size).max(1);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let parts = (0..count).map(|index| {
            let start = (index as usize).saturating_mul(size).min(message.len());
            let end = start.saturating_add(size).min(message.len());
            let number = self.next;
            self.next += 1;
            MessagePart {
                publisher: self.publisher,
                number,
                index,
                count,
                content: message.slice(start..end),
            }
        });
        parts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_as_it_was_written() {
        let mut divider = Divider::new(7);
        for (len, max, parts) in [(0, 100, 1), (75, 100, 1), (76, 100, 2), (200, 3, 4)] {
            let message = Bytes::from_iter((0..=255).cycle().take(len));
            let divided = divider.divide(&message, max);
            assert_eq!(divided.len(), parts, "{len}");
            let read: Vec<_> = { divided.iter() }
                .map(|part| MessagePart::decode(&part.encode()).unwrap())
                .collect();
            assert_eq!(read, divided);
            let content: Vec<u8> = read.iter().flat_map(|part| part.content.clone()).collect();
            assert_eq!(content, message);
            assert!(read.last().unwrap().is_last());
        }
        assert_eq!(divider.next, 8);
    }

    #[test]
    fn anything_else_is_no_part() {
        let part = Divider::new(1)
            .divide(&Bytes::from_static(b"x"), 100)
            .remove(0);
        let bytes = part.encode();
        for len in 0..HEADER {
            assert_eq!(MessagePart::decode(&bytes.slice(..len)), None);
        }
        for (at, byte) in [(0, 2), (20, 1), (24, 0)] {
            let mut other = bytes.to_vec();
            other[at] = byte;
            assert_eq!(MessagePart::decode(&other.into()), None, "byte {at}");
        }
        let mut empty = bytes.slice(..HEADER).to_vec();
        assert!(MessagePart::decode(&empty.clone().into()).is_some());
        empty[24] = 2;
        assert_eq!(MessagePart::decode(&empty.into()), None);
    }
}
