//! The handlers of a namespace.

use std::sync::Arc;

use http::StatusCode;
use rustc_hash::FxHashMap;

use super::{AckBody, Admission, BoxHandler, Done, EventContext, OutgoingHooks, Socket};
use crate::adapter::BoxFuture;
use crate::namespace::{HandlerTable, RunningNamespace, ServerHandler};

/// A namespace with its handlers.
pub(crate) type SocketNamespace = RunningNamespace<NamespaceHandlers>;

/// The handlers that are registered for a namespace.
#[derive(Default)]
pub(crate) struct NamespaceHandlers {
    pub(crate) middleware: Vec<BoxHandler<Admission>>,
    pub(crate) connect: Option<BoxHandler<Done>>,
    pub(crate) any: Vec<BoxHandler<AckBody>>,
    pub(crate) before: Vec<BoxHandler<AckBody>>,
    /// The map of handlers by event name. Its keys are chosen by the application, so the hasher need not resist chosen
    /// keys.
    pub(crate) events: FxHashMap<Box<str>, BoxHandler<AckBody>>,
    pub(crate) fallback: Option<BoxHandler<AckBody>>,
    pub(crate) disconnect: Option<BoxHandler<Done>>,
    /// The namespace's own tower layers, which wrap each handler.
    pub(crate) layered: Option<Arc<dyn HandlerLayers>>,
    pub(crate) outgoing: OutgoingHooks,
    /// The handlers for events of other servers.
    pub(crate) servers: FxHashMap<Box<str>, ServerHandler>,
    pub(crate) on_rejection: Option<Arc<dyn Fn(&Rejected<'_>) + Send + Sync>>,
    pub(crate) on_error: Option<Arc<dyn Fn(&Failed<'_>) + Send + Sync>>,
}

impl HandlerTable for NamespaceHandlers {
    fn server_handler(&self, event: &str) -> Option<&ServerHandler> {
        self.servers.get(event)
    }

    fn observes_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }
}

/// The tower layers round the handlers of events.
pub(crate) trait HandlerLayers: Send + Sync {
    /// Calls a handler through the layers.
    fn dispatch(&self, cx: EventContext, handler: BoxHandler<AckBody>) -> BoxFuture<AckBody>;
}

/// A rejection of the arguments of an event; see [`Namespace::on_rejection`](crate::Namespace::on_rejection).
#[derive(Debug)]
#[non_exhaustive]
pub struct Rejected<'a> {
    /// The socket that sent the event.
    pub socket: &'a Socket,
    /// The event's name.
    pub event: &'a str,
    /// The status that the extractor's rejection has over HTTP.
    pub status: StatusCode,
    /// The error message that the client receives.
    pub message: &'a str,
}

/// A failure of a handler; see [`Namespace::on_error`](crate::Namespace::on_error).
#[derive(Debug)]
#[non_exhaustive]
pub struct Failed<'a> {
    /// The socket that the handler was called for.
    pub socket: &'a Socket,
    /// The event's name, or `connect` or `disconnect` for these handlers.
    pub event: &'a str,
    /// The status that the error of an event's handler has over HTTP; 500 for all others.
    pub status: StatusCode,
    /// The message of the error: the `message` or the `error` of its JSON body, or its text. The client receives no
    /// more than this, and less for a panic.
    pub message: &'a str,
    /// True if the handler has panicked. The panic's message is in the server's log.
    pub panicked: bool,
}
