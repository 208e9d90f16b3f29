//! An open connection, as the counters and its requests see it.

use std::sync::Arc;

use super::sessions::Entry;
use crate::engine::DisconnectReason;
use crate::metrics::{Counted, Counters};

/// That the connection is open, as the counters and its requests see it.
pub(super) struct Presence {
    counters: Arc<Counters>,
    pub(super) entry: Arc<Entry>,
    over: bool,
    /// It ends since its client has sent more than `max_payload`.
    pub(super) too_large: bool,
}

impl Presence {
    pub(super) fn begin(counters: &Arc<Counters>, entry: Arc<Entry>) -> Self {
        let transport = entry.client.transport().as_str();
        counters.add_for(Counted::ConnectionsOpened, transport, 1);
        counters.add_for(Counted::Connections, transport, 1);
        Self {
            counters: Arc::clone(counters),
            entry,
            over: false,
            too_large: false,
        }
    }

    pub(super) fn end(&mut self, reason: DisconnectReason) {
        if !std::mem::replace(&mut self.over, true) {
            let transport = self.entry.client.transport().as_str();
            let counters = &self.counters;
            // Clients, and handlers, get Node's reason.
            let reason = match reason {
                DisconnectReason::TransportError if self.too_large => "payload too large",
                reason => reason.as_str(),
            };
            counters.add_for(Counted::ConnectionsClosed, reason, 1);
            counters.sub_for(Counted::Connections, transport);
        }
    }
}

/// Also if its task is dropped in the middle, nobody must wait for it.
impl Drop for Presence {
    fn drop(&mut self) {
        self.end(DisconnectReason::TransportClose);
        self.entry.inbox.close();
    }
}
