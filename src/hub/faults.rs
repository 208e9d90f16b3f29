//! Faults of the application or of its setup: errors with a status of 5xx. They are counted by their cause, and logged
//! with the names of the handler and the event. Clients can cause them, so the log is limited; the counters are not.

use std::borrow::Cow;

use http::StatusCode;

use super::{Server, Socket};
use crate::metrics::Counted;

/// A function that returns the name of a type.
pub(crate) type TypeName = fn() -> &'static str;

/// The cause of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// An extractor has failed through no fault of the client.
    Extractor,
    /// A handler has returned a status of 5xx.
    Handler,
    /// An acknowledgement cannot be serialized.
    Serialize,
    /// A tower layer has failed with an error that the library does not know.
    Layer,
    /// `allow_request`, or one of its extractors, has returned a status of 5xx.
    AllowRequest,
}

impl Cause {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Extractor => "extractor",
            Self::Handler => "handler",
            Self::Serialize => "serialize",
            Self::Layer => "layer",
            Self::AllowRequest => "allow_request",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Extractor => "cannot take an argument of a handler",
            Self::Handler => "handler failed",
            Self::Serialize => "cannot serialize the acknowledgement of a handler",
            Self::Layer => "a layer failed",
            Self::AllowRequest => "allow_request failed",
        }
    }
}

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

impl Cause {
    /// Counts a fault, and logs it unless the connection has reached its limit of records. `fault` is called only for
    /// the log.
    pub(crate) fn report<'a>(self, socket: &Socket, fault: impl FnOnce() -> Fault<'a>) {
        let cause = self.as_str();
        socket.counters().add_for(Counted::ServerErrors, cause, 1);
        if socket.client().logs.allow() {
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
            self.words()
        );
    }
}

/// Reports a failure of `allow_request`, which runs before there is a connection.
pub(crate) fn report_not_allowed(
    server: &Server,
    handler: TypeName,
    status: StatusCode,
    error: &str,
) {
    let cause = Cause::AllowRequest;
    server
        .counters
        .add_for(Counted::ServerErrors, cause.as_str(), 1);
    if server.logs.allow_refusal() {
        let (handler, status) = (handler(), status.as_u16());
        tracing::warn!(handler, status, error, "{}", cause.words());
    }
}
