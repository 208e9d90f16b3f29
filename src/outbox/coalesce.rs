//! Several slices in one write.

use std::cell::Cell;

/// The maximum total size of slices that are copied into one, in bytes. Copying more would cost more than it saves.
pub(crate) const MAX_COALESCED: usize = 16 * 1024;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Passes the concatenated slices to `write`, in a buffer of the thread.
pub(crate) fn coalesce<'p, T>(
    pieces: impl IntoIterator<Item = &'p [u8]>,
    write: impl FnOnce(&[u8]) -> T,
) -> T {
    // The thread-local buffer is gone while the thread shuts down.
    let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
    buffer.clear();
    pieces
        .into_iter()
        .for_each(|piece| buffer.extend_from_slice(piece));
    let result = write(&buffer);
    let _ = BUFFER.try_with(|slot| slot.set(buffer));
    result
}
