//! The name of an event, for the records of its handler.

use std::sync::Arc;

/// The name of the event that a handler was called for. It outlives the event.
#[derive(Clone, Debug)]
pub(crate) enum EventName {
    /// The id of the registration in the namespace, which has the name. Nothing is copied in this usual case.
    Registered(usize),
    /// The name itself: the handler is for several events, or may be removed while it runs.
    Copied(Arc<str>),
}

impl EventName {
    pub(crate) fn copied(event: &str) -> Self {
        Self::Copied(event.into())
    }
}
