//! Handlers that have failed: counts them, and tells who wants to hear of them.

use http::StatusCode;

use crate::hub::{Failed, Failure, Refusal, Socket, words};
use crate::metrics::Counted;
use crate::panics::guarded;
use crate::protocol::EncodedArgs;

/// The handler of an event has answered with an error.
pub(super) fn failed(socket: &Socket, event: &str, error: &EncodedArgs, failure: Failure) {
    let counters = socket.counters();
    let (status, panicked) = match failure {
        Failure::Handler(status) => (status, false),
        Failure::Panic => (StatusCode::INTERNAL_SERVER_ERROR, true),
        Failure::Rejection => return counters.add(Counted::EventsRejected, 1),
        Failure::Stopped(cause) => {
            return counters.add_for(Counted::EventsStopped, cause.as_str(), 1);
        }
        Failure::Unhandled => return,
    };
    tell(socket, event, status, panicked, || {
        let [error]: [&serde_json::value::RawValue; 1] = serde_json::from_str(error.json()).ok()?;
        words(error).or_else(|| Some(error.get().to_owned()))
    });
}

/// The handler of a connect or a disconnect has failed.
pub(super) fn refused(socket: &Socket, event: &str, refusal: &Refusal) {
    let (status, message) = (StatusCode::INTERNAL_SERVER_ERROR, refusal.message.clone());
    tell(socket, event, status, refusal.panicked, || Some(message));
}

fn tell(
    socket: &Socket,
    event: &str,
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
    // The panic is traced. The client is to hear of the first error all the same.
    let _ = guarded(|| {
        hook(&Failed {
            socket,
            event,
            status,
            message: &message,
            panicked,
        });
    });
}
