//! Memory of queues that were long for a short time.

use std::collections::VecDeque;

/// The largest capacity that an empty queue retains, in elements.
const RETAINED: usize = 32;

/// Releases the memory of a queue that is empty after a burst.
pub fn shrink_if_empty<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() && queue.capacity() > RETAINED {
        *queue = VecDeque::new();
    }
}
