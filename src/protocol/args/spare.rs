//! The buffer in which a thread writes its packets.
//!
//! A packet is written here, then copied to where it waits in just the size it has: a small packet costs one small allocation,
//! and nothing that waits holds room it does not need.

use std::cell::Cell;

/// A buffer that has grown larger is not kept.
const KEPT: usize = 256 * 1024;
/// What most packets need.
const TYPICAL: usize = 512;

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A buffer of so many bytes, to be overwritten, and room behind them.
pub(in crate::protocol) fn take(free: usize) -> Vec<u8> {
    // None when the thread is ending.
    let mut buf = SPARE.try_with(Cell::take).unwrap_or_default();
    if buf.capacity() == 0 {
        buf.reserve(TYPICAL.max(free));
    }
    // What was another packet's is not in it, not even where it is overwritten.
    buf.clear();
    buf.resize(free, 0);
    buf
}

/// Leaves a buffer for the next packet.
pub(in crate::protocol) fn give_back(buf: Vec<u8>) {
    if buf.capacity() <= KEPT {
        let _ = SPARE.try_with(|spare| spare.set(buf));
    }
}
