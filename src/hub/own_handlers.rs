//! Handlers of one socket alone.

use std::collections::HashMap;
use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{AckBody, BoxHandler, ErasedHandler, EventContext};
use crate::adapter::BoxFuture;
use crate::panics::let_go;
use crate::sync::Lock;

/// A table that is made when the first handler is added, and gone when its socket is: a handler may hold the socket that
/// holds it.
#[derive(Default)]
pub(super) struct OwnHandlers {
    /// Spares the lock in the usual case, that there are none.
    any: AtomicBool,
    state: Lock<State>,
}

#[derive(Default)]
enum State {
    #[default]
    None,
    Some(HashMap<Box<str>, Own>),
    Released,
}

struct Own {
    handler: BoxHandler<AckBody>,
    once: bool,
}

/// What the handler has captured may panic when it is dropped, wherever that is: in the connection's task, most often.
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
            // Only while it is dropped.
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
        let mut state = self.state.lock();
        let replaced = match &mut *state {
            State::None => {
                let table = HashMap::from([(event.into(), own)]);
                *state = State::Some(table);
                self.any.store(true, Ordering::Release);
                None
            }
            State::Some(table) => table.insert(event.into(), own),
            State::Released => Some(own),
        };
        drop(state);
        // What users have written is dropped with no lock held.
        drop(replaced);
    }

    pub(super) fn remove(&self, event: &str) {
        let mut state = self.state.lock();
        let removed = match &mut *state {
            State::Some(table) => table.remove(event),
            State::None | State::Released => None,
        };
        drop(state);
        drop(removed);
    }

    /// The handler for an event; one for a single event is taken out.
    pub(super) fn find(&self, event: &str) -> Option<BoxHandler<AckBody>> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let mut state = self.state.lock();
        let State::Some(table) = &mut *state else {
            return None;
        };
        let own = table.get(event)?;
        if own.once {
            return table.remove(event).map(|own| own.handler);
        }
        Some(own.handler.clone())
    }

    /// No event will come any more.
    pub(super) fn release(&self) {
        let before = std::mem::replace(&mut *self.state.lock(), State::Released);
        drop(before);
    }
}
