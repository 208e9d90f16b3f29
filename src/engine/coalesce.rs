//! Several pieces in one write.

use std::cell::Cell;

/// Pieces that are no longer than this together are copied into one; of more, the copy would cost more than it spares.
pub(crate) const COALESCE: usize = 16 * 1024;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Hands the pieces to `write` as one, in a buffer of the thread.
pub(crate) fn coalesce<'p, T>(
    pieces: impl IntoIterator<Item = &'p [u8]>,
    write: impl FnOnce(&[u8]) -> T,
) -> T {
    // A thread that is ending has none any more.
    let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
    buffer.clear();
    pieces
        .into_iter()
        .for_each(|piece| buffer.extend_from_slice(piece));
    let result = write(&buffer);
    let _ = BUFFER.try_with(|kept| kept.set(buffer));
    result
}
