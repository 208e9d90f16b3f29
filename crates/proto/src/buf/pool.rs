//! Reused buffers for large messages.
//!
//! An allocator returns memory of this size to the system and gets it back page by page, which took half of the time of
//! an echo of 64 KiB. Each thread therefore retains a few buffers for reuse.

use std::cell::RefCell;

use bytes::Bytes;

/// The smallest capacity that is reused, in bytes. The allocator itself retains smaller blocks.
const SMALL: usize = 32 * 1024;
/// The largest capacity that is reused, in bytes.
const LARGE: usize = 256 * 1024;
/// The maximum number of idle buffers per thread, a megabyte in total.
const KEPT: usize = 4;
/// The step of capacities, in bytes. Capacities are multiples of it, so that messages of similar size can share
/// buffers.
const STEP: usize = 16 * 1024;

thread_local! {
    /// The idle buffers, or `None` on a thread that has never requested one: such a thread frees the buffers that it
    /// drops.
    static IDLE: RefCell<Option<Vec<Vec<u8>>>> = const { RefCell::new(None) };
}

/// Returns an empty buffer for `len` bytes, with little more capacity than that.
pub(crate) fn buffer(len: usize) -> Vec<u8> {
    if !(SMALL..=LARGE).contains(&len) {
        return Vec::with_capacity(len);
    }
    let fits = |buffer: &Vec<u8>| buffer.capacity() >= len && buffer.capacity() / 2 <= len;
    let idle = IDLE.try_with(|idle| {
        let mut idle = idle.try_borrow_mut().ok()?;
        let idle = idle.get_or_insert_default();
        let at = idle.iter().position(fits)?;
        Some(idle.swap_remove(at))
    });
    let idle = idle.ok().flatten();
    idle.unwrap_or_else(|| Vec::with_capacity(len.next_multiple_of(STEP)))
}

/// Shares the content of a buffer, which becomes idle on the thread that drops the last handle. A buffer that is less
/// than half full is shrunk instead, so that its unused capacity is not held for that long.
pub(crate) fn share(buffer: Vec<u8>) -> Bytes {
    if buffer.capacity() / 2 > buffer.len() {
        Bytes::from(buffer.into_boxed_slice())
    } else if (SMALL..=LARGE).contains(&buffer.capacity()) {
        Bytes::from_owner(Shared(buffer))
    } else {
        Bytes::from(buffer)
    }
}

struct Shared(Vec<u8>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0);
        buffer.clear();
        let _ = IDLE.try_with(|idle| {
            if let Ok(mut idle) = idle.try_borrow_mut()
                && let Some(idle) = &mut *idle
                && idle.len() < KEPT
            {
                idle.push(buffer);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle() -> usize {
        IDLE.with_borrow(|idle| idle.as_ref().map_or(0, Vec::len))
    }

    fn shared(len: usize) -> Bytes {
        let mut data = buffer(len);
        data.resize(len, 1);
        share(data)
    }

    #[test]
    fn a_buffer_is_used_again_for_a_message_of_about_its_size() {
        let at = shared(40_000).as_ptr();
        assert_eq!(idle(), 1);
        let next = shared(42_000);
        assert_eq!((next.as_ptr(), idle()), (at, 0));
        assert!(next.iter().all(|&byte| byte == 1) && next.len() == 42_000);
        drop(next);
        assert_eq!(buffer(200_000).capacity(), 13 * STEP);
        assert_eq!(idle(), 1, "too small for that");
    }

    #[test]
    fn few_are_kept_and_none_that_is_small_or_huge() {
        drop([100, SMALL - 1, LARGE + 1].map(shared));
        assert_eq!(idle(), 0);
        let many: Vec<_> = (0..2 * KEPT).map(|_| shared(SMALL)).collect();
        drop(many);
        assert_eq!(idle(), KEPT);
    }

    #[test]
    fn a_thread_that_only_drops_messages_keeps_nothing_of_them() {
        let message = shared(SMALL);
        let kept = std::thread::spawn(move || {
            drop(message);
            idle()
        });
        assert_eq!(kept.join().unwrap(), 0);
    }

    #[test]
    fn a_mostly_empty_buffer_is_copied_before_it_is_shared() {
        let mut data = buffer(LARGE);
        data.push(1);
        drop(share(data));
        assert_eq!(idle(), 0);
    }
}
