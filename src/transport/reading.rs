//! The buffers of one read, which all connections of a thread share.

use std::cell::Cell;
use std::collections::VecDeque;

use proto::engine_io::{Message, Packet};

/// The maximum number of bytes read in one turn. A connection then yields to the others.
pub(super) const SCRATCH: usize = 64 * 1024;

/// The maximum number of frames of any kind processed in one turn, for fairness as well.
pub(super) const FRAMES: usize = 128;

/// The size at which a batch is full, in bytes. Compressed messages may be much longer than the bytes that are read.
const FULL: usize = SCRATCH;

thread_local! {
    static SPARE: Cell<Option<Box<Reading>>> = const { Cell::new(None) };
}

/// The buffers of one read. A connection takes them for each read and puts them back, so that an idle one has none.
pub(crate) struct Reading {
    pub(super) scratch: Box<[u8]>,
    pub(crate) batch: Batch,
}

/// Packets that have been read and not been handled. There are at most 128; together they are at most 64 KiB longer
/// than the longest of them.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    packets: VecDeque<Packet>,
    /// The size of all packets that have been pushed, in bytes.
    bytes: usize,
    /// The number of packets at which the batch is full.
    at_most: usize,
}

impl Reading {
    /// Takes the buffers of the thread, for a read of many packets.
    pub(crate) fn many() -> Box<Self> {
        Self::at_most(FRAMES)
    }

    /// Takes the buffers of the thread, for a read of one packet.
    pub(crate) fn one() -> Box<Self> {
        Self::at_most(1)
    }

    fn at_most(packets: usize) -> Box<Self> {
        let mut reading = SPARE.take().unwrap_or_else(|| {
            Box::new(Self {
                scratch: vec![0; SCRATCH].into_boxed_slice(),
                batch: Batch::default(),
            })
        });
        reading.batch.at_most = packets;
        reading
    }

    /// Gives the buffers back to the thread. Packets that are left in them are dropped.
    pub(crate) fn put_back(mut self: Box<Self>) {
        if !self.batch.is_empty() {
            self.batch.packets.clear();
        }
        self.batch.bytes = 0;
        SPARE.set(Some(self));
    }
}

impl Batch {
    pub(super) fn push(&mut self, packet: Packet, size: usize) {
        self.bytes += size;
        self.packets.push_back(packet);
    }

    /// Returns true if no more packets should be decoded in this read.
    pub(super) fn is_full(&self) -> bool {
        self.packets.len() >= self.at_most || self.bytes >= FULL
    }

    /// Takes the next packet.
    pub(crate) fn next(&mut self) -> Option<Packet> {
        self.packets.pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Returns the number of packets that are left.
    pub(crate) fn len(&self) -> usize {
        self.packets.len()
    }

    /// Returns the size of all packets of the read, in bytes, including those that have been taken.
    pub(crate) const fn read_bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the memory that the packets hold, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        let data: usize = self.packets.iter().map(size).sum();
        data + self.packets.len() * size_of::<Packet>()
    }
}

fn size(packet: &Packet) -> usize {
    match packet {
        Packet::Message(Message::Text(text)) => text.len(),
        Packet::Message(Message::Binary(data)) => data.len(),
        Packet::Open(data) | Packet::Ping(data) | Packet::Pong(data) => data.len(),
        Packet::Close | Packet::Upgrade | Packet::Noop => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(text: &'static str) -> Packet {
        Packet::decode_text(text.into()).unwrap()
    }

    #[test]
    fn a_batch_is_full_after_a_number_of_packets_or_bytes() {
        let mut reading = Reading::many();
        for _ in 1..FRAMES {
            reading.batch.push(packet("4a"), 2);
        }
        assert!(!reading.batch.is_full());
        reading.batch.push(packet("4a"), 2);
        assert!(reading.batch.is_full());
        reading.put_back();

        let mut reading = Reading::many();
        assert!(reading.batch.is_empty(), "what was left has been dropped");
        reading.batch.push(packet("4a"), FULL - 1);
        assert!(!reading.batch.is_full());
        reading.batch.push(packet("4a"), 1);
        assert!(reading.batch.is_full());
        reading.put_back();

        let mut reading = Reading::one();
        reading.batch.push(packet("2probe"), 6);
        assert!(reading.batch.is_full());
    }

    #[test]
    fn packets_that_have_been_taken_are_not_held_any_more() {
        let mut batch = Batch::default();
        batch.push(packet("4abc"), 4);
        batch.push(packet("3"), 1);
        let both = batch.held_bytes();
        assert_eq!(batch.next(), Some(packet("4abc")));
        assert!(batch.held_bytes() < both);
        assert_eq!(batch.read_bytes(), 5);
        assert_eq!(batch.next(), Some(packet("3")));
        assert_eq!((batch.held_bytes(), batch.len()), (0, 0));
    }

    #[test]
    fn a_second_reading_of_a_thread_has_buffers_of_its_own() {
        let mut first = Reading::many();
        first.batch.push(packet("4a"), 2);
        let second = Reading::many();
        assert!(second.batch.is_empty());
        second.put_back();
        assert_eq!(first.batch.len(), 1);
        first.put_back();
        assert!(Reading::many().batch.is_empty());
    }

    #[test]
    fn a_reading_that_a_panic_drops_takes_its_packets_along() {
        let mut reading = Reading::many();
        reading.batch.push(packet("4a"), 2);
        drop(reading);
        assert!(Reading::many().batch.is_empty());
    }
}
