//! The result of an emit, and the encoding of what is emitted.

use axum_core::response::{IntoResponse, Response};
use http::StatusCode;

use super::selection::Missing;
use crate::metrics::{Counted, Counters, EmitScope, UndeliveredReason};
use crate::outbox::EmitError;
use proto::EncodedArgs;
use proto::args::reserved;

/// The result of an emit. It may be ignored: every failure is counted and traced in any case.
///
/// ```
/// # use axum_socketio::emit::EmitError;
/// # use axum_socketio::Socket;
/// # fn f(socket: Socket) -> Result<(), EmitError> {
/// socket.emit("tick", 1);                     // not interested
/// let queued = socket.emit("tick", 2).ok();   // did it work?
/// socket.emit("tick", 3).into_result()?;      // why not?
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Emitted {
    result: Result<(), EmitError>,
    published: bool,
}

impl Emitted {
    pub(super) fn new(result: Result<(), EmitError>, counters: &Counters) -> Self {
        if let Err(error) = &result {
            tracing::debug!(error = error.to_string(), "not emitted");
            counters.add(Counted::Undelivered(error.reason()), 1);
        }
        Self {
            result,
            published: true,
        }
    }

    /// Creates the result of an emit that is for other servers too, and was published for them or not.
    pub(super) fn published_or_not(result: Result<bool, EmitError>, counters: &Counters) -> Self {
        let published = *result.as_ref().unwrap_or(&true);
        Self {
            published,
            ..Self::new(result.map(drop), counters)
        }
    }

    /// Counts an emit to a namespace that does not exist, and returns its result.
    pub(super) fn missing(missing: &Missing) -> Self {
        let error = EmitError::from(missing);
        let Some(counters) = missing.counters() else {
            return Self {
                result: Err(error),
                published: true,
            };
        };
        counters.add(Counted::Emits(EmitScope::Broadcast), 1);
        Self::new(Err(error), counters)
    }

    /// Returns true if the event was queued. A broadcast to an empty room counts as queued, and so does a volatile
    /// event that was dropped; a broadcast to a namespace that the server does not have does not.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.result.is_ok()
    }

    /// Returns false if the event did not get into the queue of messages to the other servers of a cluster: the queue
    /// is full, since the engine has been away for a while, or the event is larger than it. The clients of this server
    /// get the event all the same, so this is no failure of [`ok`](Self::ok).
    #[must_use]
    pub const fn published(&self) -> bool {
        self.published
    }

    /// Converts this value into a `Result`.
    ///
    /// # Errors
    ///
    /// Returns the reason if the event was not queued.
    pub fn into_result(self) -> Result<(), EmitError> {
        self.result
    }
}

impl EmitError {
    /// Returns the label of the error in the counters.
    const fn reason(&self) -> UndeliveredReason {
        match self {
            Self::Serialize(_) => UndeliveredReason::Serialize,
            Self::Reserved(_) => UndeliveredReason::Reserved,
            Self::NoNamespace(_) | Self::NoServer => UndeliveredReason::NoNamespace,
            Self::Full(_) => UndeliveredReason::Full,
            Self::Closed => UndeliveredReason::Closed,
        }
    }
}

/// Lets a handler return the error with `?`.
impl IntoResponse for EmitError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Serialize(_) | Self::Reserved(_) | Self::NoNamespace(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::NoServer | Self::Full(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Closed => StatusCode::GONE,
        };
        (status, self.to_string()).into_response()
    }
}

/// Encodes the arguments of an event, once for all recipients.
pub(super) fn event_args<T: serde::Serialize + ?Sized>(
    event: &str,
    args: &T,
) -> Result<EncodedArgs, EmitError> {
    if reserved(event).is_some() {
        return Err(EmitError::Reserved(event.to_owned()));
    }
    EncodedArgs::event(event, args).map_err(EmitError::Serialize)
}
