//! Handlers of a single socket.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::sync::Lock;

/// The table of a socket's own handlers, each an `H`. It is created for the first handler and dropped when the socket
/// ends, because a handler may hold the socket that holds it.
pub(super) struct OwnHandlers<H> {
    /// True if there may be handlers. Avoids the lock in the usual case of none.
    any: AtomicBool,
    state: Lock<State<H>>,
}

enum State<H> {
    None,
    Some(Box<Table<H>>),
    Released,
}

struct Table<H> {
    events: HashMap<Box<str>, Own<H>>,
    any: Vec<NumberedHandler<H>>,
    before: Vec<NumberedHandler<H>>,
    /// The number of listeners that have been added.
    added: u64,
}

/// A handler of a list, with the number of its addition.
struct NumberedHandler<H> {
    number: u64,
    handler: H,
}

/// A list of handlers for all events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListenerKind {
    /// Those that see an event.
    Any,
    /// Those that may refuse an event.
    Before,
}

/// The end of a list to which a handler is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListenerEnd {
    First,
    Last,
}

/// The events that a handler is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Calls {
    /// Every event of its name.
    Every,
    /// The next event of its name.
    Next,
}

struct Own<H> {
    handler: H,
    calls: Calls,
}

impl<H> Default for OwnHandlers<H> {
    fn default() -> Self {
        Self {
            any: AtomicBool::new(false),
            state: Lock::new(State::None),
        }
    }
}

impl<H> Default for Table<H> {
    fn default() -> Self {
        Self {
            events: HashMap::new(),
            any: Vec::new(),
            before: Vec::new(),
            added: 0,
        }
    }
}

impl<H> Table<H> {
    fn list(&mut self, kind: ListenerKind) -> &mut Vec<NumberedHandler<H>> {
        match kind {
            ListenerKind::Any => &mut self.any,
            ListenerKind::Before => &mut self.before,
        }
    }
}

impl<H: Clone> OwnHandlers<H> {
    pub(super) fn add(&self, event: &str, handler: H, calls: Calls) {
        let own = Own { handler, calls };
        let replaced = self.change(|table| table.events.insert(event.into(), own));
        drop(replaced);
    }

    /// Adds a handler for all events. Returns the number that removes it; `None` if the table has been released.
    pub(super) fn listen(&self, kind: ListenerKind, end: ListenerEnd, handler: H) -> Option<u64> {
        self.change(|table| {
            table.added += 1;
            let number = table.added;
            let added = NumberedHandler { number, handler };
            let list = table.list(kind);
            let at = match end {
                ListenerEnd::First => 0,
                ListenerEnd::Last => list.len(),
            };
            list.insert(at, added);
            number
        })
    }

    /// Removes one handler for all events. Returns false if it is not there any more.
    pub(super) fn unlisten(&self, kind: ListenerKind, number: u64) -> bool {
        let removed = self.look(|table| {
            let list = table.list(kind);
            let at = list.iter().position(|listener| listener.number == number)?;
            Some(list.remove(at))
        });
        removed.is_some()
    }

    /// Changes the table, unless it has been released. Values of users are dropped without holding a lock: those that
    /// `change` returns by the caller, and those that it captures after the lock is released.
    fn change<T>(&self, change: impl FnOnce(&mut Table<H>) -> T) -> Option<T> {
        let mut state = self.state.lock();
        if let State::None = &*state {
            *state = State::Some(Box::default());
            self.any.store(true, Ordering::Release);
        }
        match &mut *state {
            State::Some(table) => Some(change(table)),
            State::None | State::Released => None,
        }
    }

    /// Applies `look` to the table, if there is one.
    fn look<T: Default>(&self, look: impl FnOnce(&mut Table<H>) -> T) -> T {
        if !self.any.load(Ordering::Acquire) {
            return T::default();
        }
        match &mut *self.state.lock() {
            State::Some(table) => look(table),
            State::None | State::Released => T::default(),
        }
    }

    pub(super) fn remove(&self, event: &str) {
        let removed = self.look(|table| table.events.remove(event));
        drop(removed);
    }

    pub(super) fn remove_any(&self) {
        let removed = self.look(|table| std::mem::take(&mut table.any));
        drop(removed);
    }

    /// Returns the handler of an event, and removes it if it is for a single event.
    pub(super) fn find(&self, event: &str) -> Option<H> {
        self.look(|table| {
            let own = table.events.get(event)?;
            if own.calls == Calls::Next {
                return table.events.remove(event).map(|own| own.handler);
            }
            Some(own.handler.clone())
        })
    }

    /// Returns the handlers for all events.
    pub(super) fn listeners(&self, kind: ListenerKind) -> Vec<H> {
        self.look(|table| {
            let list = table.list(kind).iter();
            list.map(|listener| listener.handler.clone()).collect()
        })
    }

    /// Drops all handlers and accepts no more, since no event will be handled.
    pub(super) fn release(&self) {
        let before = std::mem::replace(&mut *self.state.lock(), State::Released);
        drop(before);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_handler_for_one_event_is_found_once() {
        let handlers = OwnHandlers::default();
        handlers.add("always", "a", Calls::Every);
        handlers.add("once", "o", Calls::Next);
        assert_eq!(
            (handlers.find("always"), handlers.find("once")),
            (Some("a"), Some("o"))
        );
        assert_eq!(
            (handlers.find("always"), handlers.find("once")),
            (Some("a"), None)
        );
    }

    #[test]
    fn a_released_table_holds_nothing_and_takes_nothing() {
        let value = Arc::new(());
        let handlers = OwnHandlers::default();
        handlers.add("event", Arc::clone(&value), Calls::Every);
        for kind in [ListenerKind::Any, ListenerKind::Before] {
            let number = handlers.listen(kind, ListenerEnd::Last, Arc::clone(&value));
            assert!(number.is_some());
        }
        handlers.release();
        handlers.add("event", Arc::clone(&value), Calls::Every);
        let number = handlers.listen(ListenerKind::Any, ListenerEnd::Last, Arc::clone(&value));
        assert_eq!((Arc::strong_count(&value), number), (1, None));
        assert!(handlers.find("event").is_none());
        assert!(handlers.listeners(ListenerKind::Any).is_empty());
    }

    #[test]
    fn a_listener_is_removed_by_its_number_alone() {
        let handlers = OwnHandlers::default();
        let [any, before] = [ListenerKind::Any, ListenerKind::Before];
        let second = handlers.listen(any, ListenerEnd::Last, "second").unwrap();
        let first = handlers.listen(any, ListenerEnd::First, "first").unwrap();
        handlers.listen(any, ListenerEnd::Last, "third").unwrap();
        handlers.listen(before, ListenerEnd::Last, "other").unwrap();
        assert_eq!(handlers.listeners(any), ["first", "second", "third"]);
        assert!(handlers.unlisten(any, second) && !handlers.unlisten(any, second));
        assert!(!handlers.unlisten(before, first));
        assert_eq!(handlers.listeners(any), ["first", "third"]);
        assert_eq!(handlers.listeners(before), ["other"]);
    }
}
