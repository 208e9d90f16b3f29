//! The registration of an open connection with the counters and its requests.

use std::sync::Arc;

use super::sessions::SessionEntry;
use crate::metrics::{CloseReason, Counted, Counters};
use proto::DisconnectReason;

/// The registration of an open connection with the counters and its requests.
pub(super) struct Registration {
    counters: Arc<Counters>,
    pub(super) entry: Arc<SessionEntry>,
    over: bool,
    /// True if the connection ends because its client has sent more than `max_payload`.
    pub(super) too_large: bool,
}

impl Registration {
    pub(super) fn begin(counters: &Arc<Counters>, entry: Arc<SessionEntry>) -> Self {
        let transport = entry.client.transport();
        counters.add(Counted::ConnectionsOpened(transport), 1);
        counters.add(Counted::Connections(transport), 1);
        Self {
            counters: Arc::clone(counters),
            entry,
            over: false,
            too_large: false,
        }
    }

    /// Counts the connection as closed, and refuses all further requests.
    pub(super) fn close(&mut self) {
        self.end(DisconnectReason::TransportClose);
        self.entry.inbox.close();
    }

    /// Counts the connection as closed for a reason. Only the first reason counts.
    pub(super) fn end(&mut self, reason: DisconnectReason) {
        if !std::mem::replace(&mut self.over, true) {
            let transport = self.entry.client.transport();
            let counters = &self.counters;
            // Clients and handlers receive Node's reason.
            let reason = match reason {
                DisconnectReason::TransportError if self.too_large => CloseReason::PayloadTooLarge,
                reason => CloseReason::Disconnect(reason),
            };
            counters.add(Counted::ConnectionsClosed(reason), 1);
            counters.sub(Counted::Connections(transport), 1);
        }
    }
}

/// The task may be dropped with its runtime. Requests must not wait for it.
impl Drop for Registration {
    fn drop(&mut self) {
        self.close();
    }
}
