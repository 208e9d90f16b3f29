//! The acknowledgement, for handlers that answer early or late.

use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;

use super::{EventContext, FromEvent, phase, via};
use crate::hub::{AckBody, Socket, reply};

/// The client's acknowledgement, taken over by the handler: what the handler returns is then not sent.
///
/// `T` is what is answered; as with `emit`, a tuple is several arguments.
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
/// Dropped unsent, it answers nothing: the client's own timeout decides.
pub struct Ack<T> {
    socket: Socket,
    id: Option<u64>,
    answer: PhantomData<fn(T)>,
}

impl<T: Serialize> Ack<T> {
    /// Answers. Does nothing if the client did not ask for an acknowledgement.
    pub fn send(self, answer: T) {
        reply(&self.socket, self.id, AckBody::ok(&answer));
    }
}

impl<T> Ack<T> {
    /// Answers with `{"error": message}`.
    pub fn error(self, message: impl AsRef<str>) {
        reply(&self.socket, self.id, AckBody::error(message.as_ref()));
    }

    /// Whether the client asked for an acknowledgement.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.id.is_some()
    }
}

impl<S: Sync, T> FromEvent<S, phase::Event, via::Event> for Ack<T> {
    type Rejection = Infallible;

    async fn from_event(cx: &mut EventContext, _: &S) -> Result<Self, Infallible> {
        let socket = cx.socket().clone();
        let id = cx.event_call().and_then(|call| {
            call.ack_taken = true;
            call.ack
        });
        Ok(Self {
            socket,
            id,
            answer: PhantomData,
        })
    }
}

impl<T> fmt::Debug for Ack<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
