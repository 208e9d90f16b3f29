//! The acknowledgement, for handlers that answer before or after they return.

use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;

use http::StatusCode;
use serde::Serialize;

use super::{EventContext, FromEvent, phase, via};
use crate::logs::with_sources;
use crate::metrics::FaultCause;
use crate::socket::{AckBody, AckClaim, EventName, Failure, Fault, HandlerAnswer, Socket, reply};
use proto::EncodeError;

/// The client's acknowledgement, sent by the handler itself. The handler's return value is then not sent, unless it is
/// an error and no answer was sent before.
///
/// `T` is the answer. A tuple, an array of fixed size included, is several arguments, `()` is none, and any other
/// value, a tuple struct included, is one; `(value,)` is always one.
///
/// ```
/// use axum_socketio::{Ack, Data};
///
/// async fn import(Data(url): Data<String>, ack: Ack<&'static str>) {
///     ack.send("queued");
///     // … goes on working
/// }
/// ```
///
/// An `Ack` that is dropped unsent by a handler without an error sends no answer: the client's own timeout decides.
pub struct Ack<T> {
    socket: Socket,
    wanted: Option<Wanted>,
    answer: PhantomData<fn(T)>,
}

/// An acknowledgement that the client waits for.
struct Wanted {
    id: u64,
    answered: AckClaim,
    /// The event's name.
    event: EventName,
}

impl<T: Serialize> Ack<T> {
    /// Sends the answer. Does nothing if the client did not ask for an acknowledgement, or has already got an error
    /// because the handler ended with one.
    pub fn send(self, answer: T) {
        self.answer(|| AckBody::ok(&answer));
    }
}

impl<T> Ack<T> {
    /// Sends the answer `{"error": message}`.
    pub fn error(self, message: impl AsRef<str>) {
        let failure = Failure::Handler(StatusCode::INTERNAL_SERVER_ERROR, None);
        self.answer(|| AckBody::error(message.as_ref(), failure));
    }

    fn answer(&self, body: impl FnOnce() -> AckBody) {
        if let Some(wanted) = &self.wanted
            && wanted.answered.claim()
        {
            let body = body();
            if let HandlerAnswer::Error(_, Failure::Serialize(error, _)) = &body.0 {
                self.report(&wanted.event, error);
            }
            reply(&self.socket, wanted.id, body);
        }
    }

    fn report(&self, event: &EventName, error: &EncodeError) {
        FaultCause::Serialize.report(&self.socket, || Fault {
            event: self.socket.event_name(event),
            handler: None,
            argument: Some(std::any::type_name::<Self>),
            status: StatusCode::INTERNAL_SERVER_ERROR,
            error: with_sources(error).into(),
        });
    }

    /// Returns true if the client asked for an acknowledgement.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.wanted.is_some()
    }
}

impl<T> Drop for Ack<T> {
    fn drop(&mut self) {
        if self.is_wanted() {
            self.socket.release_ack();
        }
    }
}

impl<S: Sync, T> FromEvent<S, phase::Event, via::Event> for Ack<T> {
    type Rejection = Infallible;

    async fn from_event(cx: &mut EventContext, _: &S) -> Result<Self, Infallible> {
        let socket = cx.socket().clone();
        let wanted = cx.take_ack().map(|(asked, event)| Wanted {
            id: asked.id,
            answered: socket.take_ack(asked),
            event,
        });
        Ok(Self {
            socket,
            wanted,
            answer: PhantomData,
        })
    }
}

impl<T> fmt::Debug for Ack<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack")
            .field("wanted", &self.is_wanted())
            .finish_non_exhaustive()
    }
}
