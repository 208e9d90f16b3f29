//! The handlers of a namespace.

use std::any::TypeId;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::handle::Inner;
use super::{
    AckBody, Admission, BoxHandler, Done, EventContext, EventName, Failed, OutgoingHooks, Rejected,
};
use crate::adapter::BoxFuture;
use crate::namespace::{HandlerTable, RunningNamespace, ServerHandler};
use crate::rooms::Member;

/// A namespace with its handlers.
pub(crate) type SocketNamespace = RunningNamespace<NamespaceHandlers>;

/// A socket, as a member of its namespace's rooms.
pub(crate) type SocketMember = Member<Inner>;

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
    /// The contract of the namespace, if it has one.
    pub(crate) contract: Option<TypeId>,
    pub(crate) on_rejection: Option<Arc<dyn Fn(&Rejected<'_>) + Send + Sync>>,
    pub(crate) on_error: Option<Arc<dyn Fn(&Failed<'_>) + Send + Sync>>,
}

impl NamespaceHandlers {
    /// Returns the name of an event. It may search all handlers.
    pub(crate) fn name<'a>(&'a self, event: &'a EventName) -> &'a str {
        match event {
            EventName::Copied(name) => name,
            EventName::Registered(id) => {
                let mut events = self.events.iter();
                let found = events.find(|(_, handler)| handler.id() == *id);
                found.map_or("", |(event, _)| event)
            }
        }
    }
}

impl HandlerTable for NamespaceHandlers {
    type Link = Inner;

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
