//! The buffer into which a thread writes its packets.
//!
//! A small packet is written here and copied into an allocation of its exact size: it costs one small allocation, and a
//! queued packet holds no spare capacity. A large packet is not copied: it takes the buffer along, which returns to the
//! thread when the packet has been sent.

use crate::always::always;
use std::cell::Cell;
use std::ops::Deref;
use std::sync::Arc;

/// The largest capacity of a buffer that is reused, in bytes.
const KEPT: usize = 256 * 1024;
/// The initial capacity, in bytes: enough for most packets.
const TYPICAL: usize = 512;
/// The size, in bytes, from which a copy costs more than a new buffer. Some C libraries copy byte by byte from about
/// this size on.
const LARGE: usize = 4 * 1024;

thread_local! {
    /// The spare buffer, or `None` on a thread that has never written a packet: such a thread frees the buffers that it
    /// drops.
    static SPARE: Cell<Option<Vec<u8>>> = const { Cell::new(None) };
}

/// Takes the buffer, with `free` bytes that are to be overwritten and capacity behind them.
pub(crate) fn take(free: usize) -> Vec<u8> {
    // An empty buffer is left behind, which marks the thread as one that writes. The result is `None` if the thread is
    // ending.
    let spare = SPARE.try_with(|spare| spare.replace(Some(Vec::new())));
    let mut buf = spare.ok().flatten().unwrap_or_default();
    if buf.capacity() == 0 {
        buf.reserve(TYPICAL.max(free));
    }
    // The previous packet is cleared, including the bytes that will be overwritten.
    buf.clear();
    buf.resize(free, 0);
    buf
}

/// Returns a buffer to this thread, for its next packet.
pub(crate) fn recycle(buf: Vec<u8>) {
    if buf.capacity() <= KEPT {
        let _ = SPARE.try_with(|spare| spare.set(Some(buf)));
    }
}

/// Returns true if this thread has written packets.
fn writes() -> bool {
    let writes = SPARE.try_with(|spare| {
        let kept = spare.take();
        let writes = kept.is_some();
        spare.set(kept);
        writes
    });
    writes == Ok(true)
}

/// The bytes of an encoded packet, shared by all of its recipients.
#[derive(Clone, Debug)]
pub struct PacketBytes(Storage);

#[derive(Clone, Debug)]
enum Storage {
    /// The bytes in an allocation of their exact size.
    Exact(Arc<[u8]>),
    /// The bytes in the buffer into which they were written.
    Whole(Arc<Whole>),
}

/// A buffer, and the offset at which its content begins.
#[derive(Debug)]
struct Whole {
    buf: Vec<u8>,
    start: usize,
}

impl PacketBytes {
    /// Shares the content of a buffer from `start` on.
    pub(crate) fn new(buf: Vec<u8>, start: usize) -> Self {
        let content = always(buf.get(start..), "the content begins in the buffer");
        if content.len() >= LARGE && buf.capacity() / 2 <= content.len() {
            return Self(Storage::Whole(Arc::new(Whole { buf, start })));
        }
        let exact = Self(Storage::Exact(Arc::from(content)));
        recycle(buf);
        exact
    }
}

/// The default is empty and does not allocate.
impl Default for PacketBytes {
    fn default() -> Self {
        Self(Storage::Exact(Arc::default()))
    }
}

impl Deref for PacketBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Storage::Exact(content) => content,
            Storage::Whole(whole) => always(
                whole.buf.get(whole.start..),
                "the content begins in the buffer",
            ),
        }
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if writes() {
            recycle(std::mem::take(&mut self.buf));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(len: usize) -> PacketBytes {
        let mut buf = take(10);
        buf.resize(10 + len, 7);
        PacketBytes::new(buf, 10)
    }

    fn kept() -> Option<usize> {
        let spare = SPARE.take();
        let kept = spare.as_ref().map(Vec::capacity);
        SPARE.set(spare);
        kept
    }

    #[test]
    fn a_small_packet_is_copied_and_the_buffer_is_the_next_ones() {
        let packet = written(100);
        assert!(matches!(&packet.0, Storage::Exact(content) if **content == [7; 100]));
        assert_eq!(kept(), Some(TYPICAL));
    }

    #[test]
    fn a_large_packet_takes_its_buffer_with_it_until_it_is_sent() {
        let packet = written(LARGE);
        let (copy, at) = (packet.clone(), packet.as_ptr());
        assert!(matches!(packet.0, Storage::Whole(_)));
        assert_eq!(*copy, [7; LARGE]);
        assert_eq!(kept(), Some(0));
        drop((packet, copy));
        assert_eq!(written(LARGE).as_ptr(), at);
        assert!(
            matches!(written(100).0, Storage::Exact(_)),
            "in a buffer that is much larger"
        );
    }

    #[test]
    fn a_huge_buffer_is_not_kept_nor_any_by_a_thread_that_writes_nothing() {
        drop(written(KEPT + 1));
        assert_eq!(kept(), Some(0));
        let packet = written(LARGE);
        let elsewhere = std::thread::spawn(move || {
            drop(packet);
            kept()
        });
        assert_eq!(elsewhere.join().unwrap(), None);
    }
}
