//! The registration of handlers with a single socket.

use std::future::ready;

use super::own_handlers::Calls;
use super::{AckBody, BoxHandler, ErasedHandler, EventContext, Socket};
use crate::adapter::BoxFuture;
use crate::panics::drop_guarded;

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
        self.0.handlers.add_any(Contained::handler(handler));
    }

    pub(crate) fn add_before(&self, handler: BoxHandler<AckBody>) {
        self.0.handlers.add_before(Contained::handler(handler));
    }

    pub(crate) fn add_handler(&self, event: &str, handler: BoxHandler<AckBody>, calls: Calls) {
        self.0
            .handlers
            .add(event, Contained::handler(handler), calls);
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

/// A handler whose captured values may panic when they are dropped, usually in the connection's task. The panic is
/// caught.
struct Contained(Option<BoxHandler<AckBody>>);

impl Contained {
    /// Wraps a handler.
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
        drop_guarded(self.0.take());
    }
}
