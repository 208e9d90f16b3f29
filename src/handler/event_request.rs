//! An event on its way through tower layers.

use crate::extract::EventContext;
use crate::socket::{AckBody, BoxHandler};

/// An event, as the request of tower layers.
#[derive(Debug)]
pub struct EventRequest {
    pub(super) context: EventContext,
    pub(super) handler: BoxHandler<AckBody>,
}

impl EventRequest {
    /// Returns the event's context: the socket, the event's name, the handshake.
    #[must_use]
    pub fn context(&self) -> &EventContext {
        &self.context
    }

    /// Returns the event's context, to change the extensions of the request that the handler's extractors get.
    pub fn context_mut(&mut self) -> &mut EventContext {
        &mut self.context
    }
}
