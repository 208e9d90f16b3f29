//! The name of an event, for the records of its handler.

use std::sync::Arc;

use super::{AckBody, BoxHandler, Socket};

/// The name of the event that a handler was called for. It outlives the event.
#[derive(Clone, Debug)]
pub(crate) enum EventName {
    /// The id of the registration in the namespace, which has the name. Nothing is copied in this usual case.
    Registered(usize),
    /// The name itself: the handler is for several events, or may be removed while it runs.
    Copied(Arc<str>),
}

impl EventName {
    pub(crate) fn new(event: &str, handler: &BoxHandler<AckBody>) -> Self {
        if handler.options.by_name {
            Self::Registered(handler.id())
        } else {
            Self::copied(event)
        }
    }

    pub(crate) fn copied(event: &str) -> Self {
        Self::Copied(event.into())
    }

    /// Returns the name. It may search all handlers of the namespace.
    pub(crate) fn find<'a>(&'a self, socket: &'a Socket) -> &'a str {
        match self {
            Self::Copied(name) => name,
            Self::Registered(id) => {
                let mut events = socket.namespace().handlers.events.iter();
                let found = events.find(|(_, handler)| handler.id() == *id);
                found.map_or("", |(event, _)| event)
            }
        }
    }
}
