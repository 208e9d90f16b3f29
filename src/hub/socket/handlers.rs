//! The handlers that are registered for one socket.

use super::Socket;
use crate::hub::{AckBody, BoxHandler};

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
