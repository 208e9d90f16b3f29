//! Handlers of a single socket.

use std::collections::HashMap;
use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{AckBody, BoxHandler, ErasedHandler, EventContext, Socket};
use crate::adapter::BoxFuture;
use crate::panics::let_go;
use crate::sync::Lock;

/// The table of a socket's own handlers. It is created for the first handler and dropped when the socket ends, because
/// a handler may hold the socket that holds it.
#[derive(Default)]
pub(super) struct OwnHandlers {
    /// True if there may be handlers. Avoids the lock in the usual case of none.
    any: AtomicBool,
    state: Lock<State>,
}

#[derive(Default)]
enum State {
    #[default]
    None,
    Some(Box<Table>),
    Released,
}

#[derive(Default)]
struct Table {
    events: HashMap<Box<str>, Own>,
    any: Vec<BoxHandler<AckBody>>,
    before: Vec<BoxHandler<AckBody>>,
}

struct Own {
    handler: BoxHandler<AckBody>,
    once: bool,
}

/// A handler whose captured values may panic when they are dropped, usually in the connection's task. The panic is
/// caught.
struct Contained(Option<BoxHandler<AckBody>>);

impl Contained {
    fn handler(handler: BoxHandler<AckBody>) -> BoxHandler<AckBody> {
        let options = handler.options;
        let mut contained = BoxHandler::new(Self(Some(handler)));
        contained.options = options;
        contained
    }
}

impl ErasedHandler<AckBody> for Contained {
    fn call(&self, cx: EventContext) -> BoxFuture<AckBody> {
        match &self.0 {
            Some(handler) => handler.call(cx),
            // The handler is absent only while this value is dropped.
            None => Box::pin(ready(AckBody::SILENT)),
        }
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        let_go(self.0.take());
    }
}

impl OwnHandlers {
    pub(super) fn add(&self, event: &str, handler: BoxHandler<AckBody>, once: bool) {
        let handler = Contained::handler(handler);
        let own = Own { handler, once };
        let replaced = self.change(|table| table.events.insert(event.into(), own));
        drop(replaced);
    }

    pub(super) fn add_any(&self, handler: BoxHandler<AckBody>) {
        let handler = Contained::handler(handler);
        self.change(|table| table.any.push(handler));
    }

    pub(super) fn add_before(&self, handler: BoxHandler<AckBody>) {
        let handler = Contained::handler(handler);
        self.change(|table| table.before.push(handler));
    }

    /// Changes the table, unless it has been released. Values of users are dropped without holding a lock: those that
    /// `change` returns by the caller, and those that it captures after the lock is released.
    fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> Option<T> {
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
    fn look<T: Default>(&self, look: impl FnOnce(&mut Table) -> T) -> T {
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
    pub(super) fn find(&self, event: &str) -> Option<BoxHandler<AckBody>> {
        self.look(|table| {
            let own = table.events.get(event)?;
            if own.once {
                return table.events.remove(event).map(|own| own.handler);
            }
            Some(own.handler.clone())
        })
    }

    /// Returns the handlers that are called for every event.
    pub(super) fn any(&self) -> Vec<BoxHandler<AckBody>> {
        self.look(|table| table.any.clone())
    }

    /// Returns the handlers that may refuse an event.
    pub(super) fn before(&self) -> Vec<BoxHandler<AckBody>> {
        self.look(|table| table.before.clone())
    }

    /// Drops all handlers and accepts no more, since no event will be handled.
    pub(super) fn release(&self) {
        let before = std::mem::replace(&mut *self.state.lock(), State::Released);
        drop(before);
    }
}

impl Socket {
    pub(crate) fn own_handler(&self, event: &str) -> Option<BoxHandler<AckBody>> {
        self.0.handlers.find(event)
    }

    pub(crate) fn own_any(&self) -> Vec<BoxHandler<AckBody>> {
        self.0.handlers.any()
    }

    pub(crate) fn own_before(&self) -> Vec<BoxHandler<AckBody>> {
        self.0.handlers.before()
    }

    pub(crate) fn add_any(&self, handler: BoxHandler<AckBody>) {
        self.0.handlers.add_any(handler);
    }

    pub(crate) fn add_before(&self, handler: BoxHandler<AckBody>) {
        self.0.handlers.add_before(handler);
    }

    pub(crate) fn add_handler(&self, event: &str, handler: BoxHandler<AckBody>, once: bool) {
        self.0.handlers.add(event, handler, once);
    }

    /// Removes the handler of an event that was added to this socket. The handlers of the namespace stay.
    pub fn off(&self, event: &str) {
        self.0.handlers.remove(event);
    }

    /// Removes all handlers that were added with [`on_any`](Self::on_any); those of the namespace stay. Node's
    /// `offAny`.
    pub fn off_any(&self) {
        self.0.handlers.remove_any();
    }

    /// Drops the socket's own handlers, which may hold it, after it has ended and all its events were handled or
    /// dropped.
    pub(crate) fn release(&self) {
        self.0.handlers.release();
    }
}
