//! The registration of handlers with a single socket.

use std::fmt;
use std::future::ready;

use super::handle::SocketReference;
use super::own_handlers::{Calls, ListenerEnd, ListenerKind};
use super::{AckBody, BoxHandler, ErasedHandler, EventContext, Socket};
use crate::adapter::BoxFuture;
use crate::panics::drop_guarded;

impl Socket {
    pub(crate) fn own_handler(&self, event: &str) -> Option<BoxHandler<AckBody>> {
        self.0.handlers.find(event)
    }

    pub(crate) fn own_any(&self) -> Vec<BoxHandler<AckBody>> {
        self.0.handlers.listeners(ListenerKind::Any)
    }

    pub(crate) fn own_before(&self) -> Vec<BoxHandler<AckBody>> {
        self.0.handlers.listeners(ListenerKind::Before)
    }

    pub(crate) fn add_any(&self, handler: BoxHandler<AckBody>, end: ListenerEnd) -> Listener {
        self.listen(ListenerKind::Any, end, handler)
    }

    pub(crate) fn add_before(&self, handler: BoxHandler<AckBody>) -> Listener {
        self.listen(ListenerKind::Before, ListenerEnd::Last, handler)
    }

    fn listen(
        &self,
        kind: ListenerKind,
        end: ListenerEnd,
        handler: BoxHandler<AckBody>,
    ) -> Listener {
        let handler = Contained::handler(handler);
        let number = self.0.handlers.listen(kind, end, handler);
        Listener {
            socket: self.reference(),
            kind,
            number,
        }
    }

    pub(crate) fn add_handler(&self, event: &str, handler: BoxHandler<AckBody>, calls: Calls) {
        self.0
            .handlers
            .add(event, Contained::handler(handler), calls);
    }

    /// Removes the handler of an event that was added to this socket. The handlers of the namespace stay.
    pub fn off(&self, event: impl AsRef<str>) {
        self.0.handlers.remove(event.as_ref());
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

/// A handler that was added to one socket, for all of its events; returned by [`Socket::on_any`],
/// [`Socket::prepend_any`] and [`Socket::before`].
///
/// It need not be kept: the handler stays until it is [removed](Self::remove) or the socket ends. It does not keep the
/// socket.
///
/// ```
/// # use axum_socketio::{Event, Socket};
/// async fn trace(socket: Socket) {
///     let listener = socket.on_any(async |Event(name): Event| println!("{name}"));
///     tokio::time::sleep(std::time::Duration::from_secs(60)).await;
///     listener.remove();
/// }
/// ```
#[derive(Clone)]
pub struct Listener {
    socket: SocketReference,
    kind: ListenerKind,
    /// The number of the handler; `None` if it was not added, because the socket had ended.
    number: Option<u64>,
}

impl Listener {
    /// Removes the handler from its socket. Events that it has been called for already are not affected. Returns false
    /// if the handler was removed before, or the socket has ended. Node's `offAny(listener)`.
    #[expect(clippy::must_use_candidate, reason = "the answer rarely matters")]
    pub fn remove(&self) -> bool {
        let socket = self.socket.socket();
        let found = socket.zip(self.number);
        found.is_some_and(|(socket, number)| socket.0.handlers.unlisten(self.kind, number))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
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
