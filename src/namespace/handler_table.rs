//! The table of handlers that are registered for a namespace, as the namespace uses it.

use std::fmt;
use std::sync::Arc;

use tracing::Instrument;

use super::server_side_event::{ServerHandler, ServerSideEvent, ServerSideEventFailure};
use crate::adapter::{BoxFuture, ServerSide};
use crate::logs::ServerLogs;
use crate::metrics::{Counted, Hook};
use crate::panics::{Panicked, guarded_future};
use crate::rooms::Link;
use proto::{Args, Surplus};

/// A table of handlers. A namespace calls those for events of other servers itself; the others need a socket.
pub(crate) trait HandlerTable: Send + Sync + 'static {
    /// The sockets that join the namespace.
    type Link: Link;

    /// Returns the handler for an event of another server.
    fn server_handler(&self, event: &str) -> Option<&ServerHandler>;
    /// Returns true if there are hooks for the events that are sent to clients.
    fn observes_outgoing(&self) -> bool;
}

/// The handlers of a namespace for events of other servers.
pub(super) struct ServerSideEventHandlers<H> {
    pub(super) nsp: Arc<str>,
    pub(super) handlers: Arc<H>,
    pub(super) logs: Arc<ServerLogs>,
    pub(super) surplus: Surplus,
}

impl<H: HandlerTable> ServerSide for ServerSideEventHandlers<H> {
    fn handle(&self, event: &str, args: Args) -> BoxFuture<Option<Args>> {
        let Some(handler) = self.handlers.server_handler(event) else {
            tracing::debug!(
                nsp = &*self.nsp,
                event,
                "no handler for this event of a server"
            );
            return Box::pin(std::future::ready(None));
        };
        let (handler, logs, nsp) = (
            Arc::clone(handler),
            Arc::clone(&self.logs),
            Arc::clone(&self.nsp),
        );
        let name: Box<str> = event.into();
        // The span has no parent, since the event may come from another process.
        let span = tracing::debug_span!(parent: None, "server event", nsp = &*self.nsp, event);
        let event = ServerSideEvent {
            nsp: Arc::clone(&self.nsp),
            event: name.clone(),
            args,
            surplus: self.surplus,
        };
        let answer = async move {
            match guarded_future(|| handler(event)).await {
                Ok(Ok(answer)) => return Some(answer),
                Ok(Err(failure)) => report_failure(&logs, &nsp, &name, &failure),
                Err(panicked) => report_panic(&logs, &nsp, &name, &panicked),
            }
            None
        };
        Box::pin(answer.instrument(span))
    }
}

/// Counts and logs a panic in a handler for events of other servers.
fn report_panic(logs: &ServerLogs, nsp: &str, event: &str, panicked: &Panicked) {
    let hook = Hook::OnServer;
    logs.counters().add(Counted::HookPanics(hook), 1);
    if logs.allow_fault() {
        tracing::error!(
            hook = hook.as_str(),
            nsp,
            event,
            panic = panicked.message(),
            "hook panicked"
        );
    }
}

/// Counts and logs that a handler gives no answer to another server.
fn report_failure(logs: &ServerLogs, nsp: &str, event: &str, failure: &ServerSideEventFailure) {
    let ServerSideEventFailure { cause, error } = failure;
    logs.counters().add(Counted::ServerErrors(*cause), 1);
    if logs.allow_fault() {
        let cause = cause.as_str();
        tracing::warn!(nsp, event, cause, error, "no answer to another server");
    }
}

impl<H> fmt::Debug for ServerSideEventHandlers<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSideEventHandlers")
            .field("nsp", &self.nsp)
            .finish_non_exhaustive()
    }
}
