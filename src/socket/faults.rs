//! Reports of faults and panics of the application's code. They are counted, and logged with the names of the handler
//! and the event. Clients can cause them, so the log is limited; the counters are not.

use std::borrow::Cow;

use http::StatusCode;

use super::Socket;
use crate::logs::TypeName;
use crate::metrics::{Counted, FaultCause, Hook};
use crate::panics::Panicked;

/// The details of a fault of one handler, for the log.
#[derive(Debug)]
pub(crate) struct Fault<'a> {
    /// The event's name, or `middleware`, `connect` or `disconnect` for these handlers.
    pub(crate) event: &'a str,
    /// The type of the handler's function, if it is known.
    pub(crate) handler: Option<TypeName>,
    /// The type of the argument that could not be extracted, or that could not send its answer.
    pub(crate) argument: Option<TypeName>,
    pub(crate) status: StatusCode,
    pub(crate) error: Cow<'a, str>,
}

impl FaultCause {
    /// Counts a fault, and logs it unless the connection has reached its limit of records. `fault` is called only for
    /// the log.
    pub(crate) fn report<'a>(self, socket: &Socket, fault: impl FnOnce() -> Fault<'a>) {
        socket.counters().add(Counted::ServerErrors(self), 1);
        if socket.client().logs.allow_fault() {
            self.log(socket, &fault());
        }
    }

    fn log(self, socket: &Socket, fault: &Fault<'_>) {
        let handler = fault.handler.map(|name| name());
        let argument = fault.argument.map(|name| name());
        tracing::warn!(
            socket = %socket.id(),
            nsp = socket.nsp(),
            event = fault.event,
            handler,
            argument,
            status = fault.status.as_u16(),
            error = &*fault.error,
            "{}",
            self.message()
        );
    }
}

impl Socket {
    /// Counts and logs a panic in a hook of the application.
    pub(crate) fn report_panic(&self, hook: Hook, panicked: &Panicked) {
        self.counters().add(Counted::HookPanics(hook), 1);
        if self.client().logs.allow_fault() {
            let (socket, nsp, hook) = (self.id(), self.nsp(), hook.as_str());
            tracing::error!(%socket, nsp, hook, panic = panicked.message(), "hook panicked");
        }
    }

    /// Logs a panic in a handler, which is counted elsewhere.
    pub(crate) fn report_handler_panic<'a>(
        &self,
        handler: impl FnOnce() -> &'a str,
        panicked: &Panicked,
    ) {
        if self.client().logs.allow_fault() {
            let (socket, nsp, handler) = (self.id(), self.nsp(), handler());
            tracing::error!(%socket, nsp, handler, panic = panicked.message(), "handler panicked");
        }
    }
}
