//! The handlers that go on after their connections have closed.
//!
//! Nobody is refused for them. When there are too many, the connection that has most of them loses its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use rustc_hash::FxHashMap;

use crate::sync::Lock;

/// The closed connections of a server whose handlers have not ended.
#[derive(Debug)]
pub(super) struct Detached {
    max: usize,
    table: Lock<Table>,
}

#[derive(Debug, Default)]
struct Table {
    entries: FxHashMap<u64, Entry>,
    /// The number of the next connection.
    next: u64,
    /// How many handlers there are, without those that are about to be cancelled.
    handlers: usize,
}

#[derive(Debug)]
struct Entry {
    handlers: usize,
    bytes: usize,
    order: Arc<Order>,
}

/// What a connection is told.
#[derive(Debug, Default)]
struct Order {
    cancel: AtomicBool,
    waker: AtomicWaker,
}

/// A closed connection whose handlers are counted.
#[derive(Debug)]
pub(super) struct Detachment {
    number: u64,
    order: Arc<Order>,
    handlers: usize,
}

impl Detached {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            table: Lock::default(),
        }
    }

    pub(super) const fn max(&self) -> usize {
        self.max
    }

    /// Counts a connection that has just closed.
    pub(super) fn begin(&self) -> Detachment {
        let mut table = self.table.lock();
        table.next += 1;
        let (number, order) = (table.next, Arc::<Order>::default());
        let entry = Entry {
            handlers: 0,
            bytes: 0,
            order: Arc::clone(&order),
        };
        table.entries.insert(number, entry);
        Detachment {
            number,
            order,
            handlers: 0,
        }
    }

    /// The connection has so many handlers now, which hold so many bytes. Cancels those of others, or its own, while there
    /// are too many.
    pub(super) fn set(&self, of: &mut Detachment, handlers: usize, bytes: usize) {
        of.handlers = handlers;
        let mut table = self.table.lock();
        table.set(of.number, handlers, bytes);
        let mut cancelled = Vec::new();
        while table.handlers > self.max {
            let Some(order) = table.cancel(|entry| entry.handlers) else {
                break;
            };
            cancelled.push(order);
        }
        drop(table);
        cancelled.iter().for_each(|order| order.waker.wake());
    }

    /// Cancels the handlers of the connection that holds most bytes, if that is more than `bytes`. One at a time: what it
    /// gives back may be enough.
    pub(super) fn relieve(&self, bytes: usize) {
        let mut table = self.table.lock();
        if table.is_being_relieved() {
            return;
        }
        let holds_more = |entry: &Entry| if entry.bytes > bytes { entry.bytes } else { 0 };
        let cancelled = table.cancel(holds_more);
        drop(table);
        if let Some(order) = cancelled {
            order.waker.wake();
        }
    }

    /// All handlers of the connection have ended.
    pub(super) fn end(&self, of: &Detachment) {
        let mut table = self.table.lock();
        table.set(of.number, 0, 0);
        table.entries.remove(&of.number);
        if table.entries.is_empty() {
            table.entries = FxHashMap::default();
        }
    }
}

impl Table {
    /// Whether a connection has been told to cancel its handlers, and has not yet.
    fn is_being_relieved(&self) -> bool {
        let mut entries = self.entries.values();
        entries.any(|entry| entry.order.cancel.load(Ordering::Acquire))
    }

    fn set(&mut self, number: u64, handlers: usize, bytes: usize) {
        let Some(entry) = self.entries.get_mut(&number) else {
            return;
        };
        // Those about to be cancelled have been taken off already.
        if !entry.order.cancel.load(Ordering::Acquire) {
            self.handlers = self.handlers - entry.handlers + handlers;
        }
        entry.handlers = handlers;
        entry.bytes = bytes;
    }

    /// Orders the connection that has most to cancel its handlers.
    fn cancel(&mut self, measure: impl Fn(&Entry) -> usize) -> Option<Arc<Order>> {
        let running = self.entries.values().filter(|entry| {
            measure(entry) > 0 && entry.handlers > 0 && !entry.order.cancel.load(Ordering::Acquire)
        });
        let largest = running.max_by_key(|entry| measure(entry))?;
        let (handlers, order) = (largest.handlers, Arc::clone(&largest.order));
        order.cancel.store(true, Ordering::Release);
        self.handlers -= handlers;
        Some(order)
    }
}

impl Detachment {
    /// How many handlers were counted last.
    pub(super) const fn handlers(&self) -> usize {
        self.handlers
    }

    /// Wakes the task when its handlers are to be cancelled.
    pub(super) fn register(&self, waker: &Waker) {
        self.order.waker.register(waker);
    }

    /// Whether its handlers are to be cancelled.
    pub(super) fn is_cancelled(&self) -> bool {
        self.order.cancel.load(Ordering::Acquire)
    }

    /// They have been cancelled, and `left` are left, which are counted again.
    pub(super) fn cancelled(&mut self, detached: &Detached, left: usize, bytes: usize) {
        let mut table = detached.table.lock();
        table.set(self.number, 0, 0);
        self.order.cancel.store(false, Ordering::Release);
        drop(table);
        detached.set(self, left, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_with_most_handlers_loses_them_and_no_other_one() {
        let detached = Detached::new(10);
        let mut all: Vec<_> = (0..3).map(|_| detached.begin()).collect();
        for (of, handlers) in all.iter_mut().zip([1, 6, 3]) {
            detached.set(of, handlers, 100);
        }
        assert!(!all.iter().any(Detachment::is_cancelled));
        detached.set(&mut all[0], 2, 100);
        let cancelled: Vec<_> = all.iter().map(Detachment::is_cancelled).collect();
        assert_eq!(cancelled, [false, true, false]);
        // The order is not given twice, and what is left counts again.
        detached.set(&mut all[1], 6, 100);
        all[1].cancelled(&detached, 1, 0);
        assert_eq!(detached.table.lock().handlers, 6);
        all.iter().for_each(|of| detached.end(of));
        let table = detached.table.lock();
        assert_eq!((table.handlers, table.entries.len()), (0, 0));
    }

    #[test]
    fn whoever_holds_more_bytes_than_a_connection_that_is_open_loses_its_handlers() {
        let detached = Detached::new(10);
        let (mut small, mut large) = (detached.begin(), detached.begin());
        detached.set(&mut small, 3, 100);
        detached.set(&mut large, 1, 300);
        detached.relieve(300);
        assert!(!large.is_cancelled());
        detached.relieve(299);
        assert!(large.is_cancelled() && !small.is_cancelled());
        detached.relieve(99);
        assert!(!small.is_cancelled(), "the other one may be enough");
        large.cancelled(&detached, 0, 0);
        detached.relieve(100);
        assert!(!small.is_cancelled());
        detached.relieve(99);
        assert!(small.is_cancelled());
    }
}
