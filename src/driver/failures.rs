//! The failures of handlers. They are counted, logged and passed to `on_error`.

use http::StatusCode;

use crate::http::error_message;
use crate::logs::{TypeName, with_sources};
use crate::metrics::{Counted, FaultCause, Hook, StopCause};
use crate::panics::guarded;
use crate::socket::{EventName, Failed, Failure, Fault, Refusal, Socket};
use proto::EncodedArgs;

/// Reports that the handler of an event has answered with an error.
pub(super) fn failed(socket: &Socket, event: &EventName, error: &EncodedArgs, failure: &Failure) {
    let counters = socket.counters();
    let words = || message_of(error).unwrap_or_default();
    let mut panicked = false;
    let status = match failure {
        Failure::Handler(status, name) => {
            if status.is_server_error() {
                report(socket, event, (FaultCause::Handler, *name), *status, words);
            }
            *status
        }
        Failure::Serialize(error, name) => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            let error = || with_sources(&**error);
            report(socket, event, (FaultCause::Serialize, *name), status, error);
            status
        }
        Failure::Panic => {
            panicked = true;
            StatusCode::INTERNAL_SERVER_ERROR
        }
        Failure::Rejection => return counters.add(Counted::EventsRejected, 1),
        Failure::Stopped(cause) => {
            if *cause == StopCause::Other {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                report(socket, event, (FaultCause::Layer, None), status, words);
            }
            return counters.add(Counted::EventsStopped(*cause), 1);
        }
        Failure::Unhandled => return,
    };
    let event = || socket.event_name(event);
    call_on_error(socket, event, status, panicked, || message_of(error));
}

/// Returns the text of an error for the log and the hooks.
fn message_of(error: &EncodedArgs) -> Option<String> {
    let [error]: [&serde_json::value::RawValue; 1] = serde_json::from_str(error.json()).ok()?;
    error_message(error.get()).or_else(|| Some(error.get().to_owned()))
}

fn report(
    socket: &Socket,
    event: &EventName,
    (cause, name): (FaultCause, Option<TypeName>),
    status: StatusCode,
    error: impl FnOnce() -> String,
) {
    cause.report(socket, || Fault {
        event: socket.event_name(event),
        handler: name,
        argument: None,
        status,
        error: error().into(),
    });
}

/// Reports that a middleware has failed, so that its client is refused.
pub(super) fn not_admitted(socket: &Socket, refusal: &Refusal) {
    if refusal.panicked {
        socket.counters().add(Counted::HandlerPanics, 1);
    }
    report_refusal(socket, "middleware", refusal);
}

/// Reports that the handler of a connect or a disconnect has failed.
pub(super) fn refused(socket: &Socket, event: &str, refusal: &Refusal) {
    if refusal.server_error().is_some() {
        report_refusal(socket, event, refusal);
    } else if !refusal.reported && socket.client().logs.allow() {
        let (nsp, error) = (socket.nsp(), &refusal.message);
        let handler = refusal.handler.map(|name| name());
        tracing::warn!(socket = %socket.id(), nsp, event, handler, error, "{event} handler failed");
    }
    let message = || Some(refusal.message.clone());
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    call_on_error(socket, || event, status, refusal.panicked, message);
}

fn report_refusal(socket: &Socket, event: &str, refusal: &Refusal) {
    let Some(status) = refusal.server_error() else {
        return;
    };
    FaultCause::Handler.report(socket, || Fault {
        event,
        handler: refusal.handler,
        argument: None,
        status,
        error: (&*refusal.message).into(),
    });
}

fn call_on_error<'a>(
    socket: &Socket,
    event: impl FnOnce() -> &'a str,
    status: StatusCode,
    panicked: bool,
    message: impl FnOnce() -> Option<String>,
) {
    let counted = if panicked {
        Counted::HandlerPanics
    } else {
        Counted::HandlerErrors
    };
    socket.counters().add(counted, 1);
    let Some(hook) = &socket.namespace().handlers.on_error else {
        return;
    };
    let message = message().unwrap_or_else(|| status.to_string());
    let failed = Failed {
        socket,
        event: event(),
        status,
        message: &message,
        panicked,
    };
    // The client receives the first error, even if the hook panics.
    if let Err(panicked) = guarded(|| hook(&failed)) {
        socket.report_panic(Hook::OnError, &panicked);
    }
}
