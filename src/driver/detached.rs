//! The handlers that go on after their connections have closed.
//!
//! No connection is refused because of them. If there are too many, those of the closed connection with most of them
//! are cancelled. If an open connection cannot be read because all connections together hold too much, those of the
//! closed connection that holds most bytes are cancelled, if that is more than the open connection holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use rustc_hash::FxHashMap;

use crate::sync::Lock;

/// The closed connections of a server whose handlers have not ended.
#[derive(Debug)]
pub(super) struct DetachedHandlers {
    max: usize,
    table: Lock<Table>,
}

#[derive(Debug, Default)]
struct Table {
    entries: FxHashMap<u64, Entry>,
    /// The number of the next connection.
    next: u64,
    /// The number of handlers, without those that are about to be cancelled.
    handlers: usize,
    /// The number of connections with an order that they have not carried out.
    ordered: usize,
    /// An upper bound of the bytes that a connection with handlers and without an order holds.
    most_bytes: usize,
}

#[derive(Debug, Default)]
struct Entry {
    handlers: usize,
    bytes: usize,
    ordered: Option<Limit>,
    order: Arc<Order>,
}

/// The limit for which handlers are cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// The number of handlers whose connections have closed.
    Handlers,
    /// The bytes that all connections hold.
    Bytes,
}

/// The order to cancel the handlers of one connection.
#[derive(Debug, Default)]
struct Order {
    given: AtomicBool,
    waker: AtomicWaker,
}

/// A closed connection whose handlers are counted.
#[derive(Debug)]
pub(super) struct Detachment {
    number: u64,
    order: Arc<Order>,
    handlers: usize,
    bytes: usize,
}

impl DetachedHandlers {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            table: Lock::default(),
        }
    }

    pub(super) const fn max(&self) -> usize {
        self.max
    }

    /// Enters a connection that has just closed.
    pub(super) fn begin(&self) -> Detachment {
        let mut table = self.table.lock();
        table.next += 1;
        let (number, order) = (table.next, Arc::<Order>::default());
        let entry = Entry {
            order: Arc::clone(&order),
            ..Entry::default()
        };
        table.entries.insert(number, entry);
        Detachment {
            number,
            order,
            handlers: 0,
            bytes: 0,
        }
    }

    /// Sets the number of handlers of a connection and the bytes that it holds. Cancels the handlers of connections,
    /// which may be this one, while there are too many.
    pub(super) fn set(&self, of: &mut Detachment, handlers: usize, bytes: usize) {
        (of.handlers, of.bytes) = (handlers, bytes);
        let mut table = self.table.lock();
        table.set(of.number, handlers, bytes);
        let mut cancelled = Vec::new();
        while table.handlers > self.max {
            let Some(order) = table.cancel(Limit::Handlers, |entry| entry.handlers) else {
                break;
            };
            cancelled.push(order);
        }
        drop(table);
        cancelled.iter().for_each(|order| order.waker.wake());
    }

    /// Cancels the handlers of the connection that holds most bytes, if that is more than `bytes` and no other order is
    /// being carried out: the bytes of one connection may be enough.
    pub(super) fn relieve(&self, bytes: usize) {
        let mut table = self.table.lock();
        if table.ordered > 0 || table.most_bytes <= bytes {
            return;
        }
        let holds_more = |entry: &Entry| if entry.bytes > bytes { entry.bytes } else { 0 };
        let cancelled = table.cancel(Limit::Bytes, holds_more);
        if cancelled.is_none() {
            // Else each open connection that is paused would search all entries again and again.
            table.most_bytes = bytes;
        }
        drop(table);
        if let Some(order) = cancelled {
            order.waker.wake();
        }
    }

    /// Returns the limit for which the handlers of a connection are to be cancelled, if they are.
    pub(super) fn ordered(&self, of: &Detachment) -> Option<Limit> {
        if !of.order.given.load(Ordering::Acquire) {
            return None;
        }
        let table = self.table.lock();
        table.entries.get(&of.number)?.ordered
    }

    /// Notes that the handlers of a connection have been cancelled. Those that are `left` count again.
    pub(super) fn cancelled(&self, of: &mut Detachment, left: usize, bytes: usize) {
        let mut table = self.table.lock();
        table.set(of.number, 0, 0);
        table.carried_out(of.number);
        drop(table);
        self.set(of, left, bytes);
    }

    /// Removes a connection, all of whose handlers have ended.
    pub(super) fn end(&self, of: &Detachment) {
        let mut table = self.table.lock();
        table.set(of.number, 0, 0);
        table.carried_out(of.number);
        table.entries.remove(&of.number);
        if table.entries.is_empty() {
            table.entries = FxHashMap::default();
        }
    }
}

impl Table {
    fn set(&mut self, number: u64, handlers: usize, bytes: usize) {
        let Some(entry) = self.entries.get_mut(&number) else {
            return;
        };
        // The order has taken off the handlers already.
        if entry.ordered.is_none() {
            self.handlers = self.handlers - entry.handlers + handlers;
            self.most_bytes = self.most_bytes.max(bytes);
        }
        entry.handlers = handlers;
        entry.bytes = bytes;
    }

    /// Orders the connection with the largest measure to cancel its handlers, unless the measures of all are zero.
    fn cancel(&mut self, limit: Limit, measure: impl Fn(&Entry) -> usize) -> Option<Arc<Order>> {
        let running = self
            .entries
            .values_mut()
            .filter(|entry| measure(entry) > 0 && entry.handlers > 0 && entry.ordered.is_none());
        let largest = running.max_by_key(|entry| measure(entry))?;
        largest.ordered = Some(limit);
        largest.order.given.store(true, Ordering::Release);
        self.ordered += 1;
        self.handlers -= largest.handlers;
        Some(Arc::clone(&largest.order))
    }

    /// Ends an order, if the connection has one.
    fn carried_out(&mut self, number: u64) {
        let Some(entry) = self.entries.get_mut(&number) else {
            return;
        };
        if entry.ordered.take().is_some() {
            entry.order.given.store(false, Ordering::Release);
            self.ordered -= 1;
        }
    }
}

impl Detachment {
    /// Returns the number of handlers and the bytes that were set last.
    pub(super) const fn counted(&self) -> (usize, usize) {
        (self.handlers, self.bytes)
    }

    /// Wakes the task when its handlers are to be cancelled.
    pub(super) fn register(&self, waker: &Waker) {
        self.order.waker.register(waker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_with_most_handlers_loses_them_and_no_other_one() {
        let detached = DetachedHandlers::new(10);
        let mut all: Vec<_> = (0..3).map(|_| detached.begin()).collect();
        for (of, handlers) in all.iter_mut().zip([1, 6, 3]) {
            detached.set(of, handlers, 100);
        }
        assert!(all.iter().all(|of| detached.ordered(of).is_none()));
        detached.set(&mut all[0], 2, 100);
        let ordered: Vec<_> = all.iter().map(|of| detached.ordered(of)).collect();
        assert_eq!(ordered, [None, Some(Limit::Handlers), None]);
        // The order is not given twice, and what is left counts again.
        detached.set(&mut all[1], 6, 100);
        detached.cancelled(&mut all[1], 1, 0);
        assert_eq!(detached.table.lock().handlers, 6);
        all.iter().for_each(|of| detached.end(of));
        let table = detached.table.lock();
        assert_eq!((table.handlers, table.ordered), (0, 0));
        assert!(table.entries.is_empty());
    }

    #[test]
    fn the_detached_connection_with_most_bytes_loses_its_handlers() {
        let detached = DetachedHandlers::new(10);
        let (mut small, mut large) = (detached.begin(), detached.begin());
        detached.set(&mut small, 3, 100);
        detached.set(&mut large, 1, 300);
        detached.relieve(300);
        assert_eq!(detached.ordered(&large), None);
        detached.relieve(299);
        assert_eq!(detached.ordered(&large), Some(Limit::Bytes));
        assert_eq!(detached.ordered(&small), None);
        detached.relieve(99);
        assert_eq!(detached.ordered(&small), None, "one may be enough");
        detached.cancelled(&mut large, 0, 0);
        detached.relieve(100);
        assert_eq!(detached.ordered(&small), None);
        detached.relieve(99);
        assert_eq!(detached.ordered(&small), Some(Limit::Bytes));
        // Another one may be relieved when this one has ended instead of being cancelled.
        detached.end(&small);
        detached.set(&mut large, 1, 50);
        detached.relieve(49);
        assert_eq!(detached.ordered(&large), Some(Limit::Bytes));
    }

    #[test]
    fn all_connections_are_searched_only_if_one_may_hold_more() {
        let detached = DetachedHandlers::new(10);
        let mut of = detached.begin();
        detached.set(&mut of, 1, 300);
        detached.set(&mut of, 1, 200);
        detached.relieve(250);
        assert_eq!(detached.table.lock().most_bytes, 250);
        detached.set(&mut of, 1, 260);
        detached.relieve(250);
        assert_eq!(detached.ordered(&of), Some(Limit::Bytes));
    }
}
