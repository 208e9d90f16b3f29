//! Events that middleware emit: they are held until the socket is connected, and sent after the CONNECT packet.

use super::Socket;
use crate::metrics::{Counted, UndeliveredReason};
use crate::outbox::{EmitError, Pushed, SendOptions};
use crate::sync::Lock;
use proto::EncodedArgs;

/// The maximum number of events that are held for a socket.
const MAX: usize = 256;

/// The events of a socket that is not connected yet; `None` from then on.
#[derive(Debug)]
pub(super) struct EarlyEvents(Lock<Option<Vec<EarlyEvent>>>);

#[derive(Debug)]
struct EarlyEvent {
    args: EncodedArgs,
    /// The id of the acknowledgement, if one is requested.
    id: Option<u64>,
    options: SendOptions,
}

impl Default for EarlyEvents {
    fn default() -> Self {
        Self(Lock::new(Some(Vec::new())))
    }
}

impl Socket {
    /// Returns true if events are held until middleware have decided.
    pub(crate) fn holds_events(&self) -> bool {
        self.0.early.0.lock().is_some()
    }

    /// Holds an event until the socket is connected. Returns `None` if it is to be sent at once.
    pub(super) fn hold_event(
        &self,
        args: &EncodedArgs,
        id: Option<u64>,
        options: SendOptions,
    ) -> Option<Result<bool, EmitError>> {
        // A session that is resumed stores the events that are emitted meanwhile.
        if self.connected() || (id.is_none() && self.resumes()) {
            return None;
        }
        let mut early = self.0.early.0.lock();
        let events = early.as_mut()?;
        if options.is_volatile() {
            drop(early);
            return Some(self.0.namespace.sent(Pushed::Dropped));
        }
        if events.len() >= MAX {
            return Some(Err(EmitError::Full(self.queued().bytes)));
        }
        let args = args.clone();
        events.push(EarlyEvent { args, id, options });
        Some(Ok(true))
    }

    /// Sends the events that were held, after the socket has connected.
    pub(crate) fn send_held_events(&self) {
        let events = self.0.early.0.lock().take();
        for EarlyEvent { args, id, options } in events.into_iter().flatten() {
            let sent = match id {
                Some(id) => self.send_with_ack(args, id, options),
                None => self.send(args, options),
            };
            if let Err(error) = sent {
                tracing::debug!(socket = %self.id(), error = error.to_string(), "not emitted");
                self.count_unsent(1);
            }
        }
    }

    /// Drops the events that were held, since the socket has ended.
    pub(super) fn drop_held_events(&self) {
        let events = self.0.early.0.lock().take();
        self.count_unsent(events.map_or(0, |events| events.len()));
    }

    fn count_unsent(&self, events: usize) {
        if events > 0 {
            let counted = Counted::Undelivered(UndeliveredReason::Closed);
            self.counters().add(counted, events);
        }
    }

    fn resumes(&self) -> bool {
        let recovery = self.0.recovery.as_ref();
        recovery.is_some_and(|recovery| recovery.lock().id().is_some())
    }
}
