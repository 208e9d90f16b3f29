//! Extractors for the socket, its recovery, the event's name and the reason of a disconnect.

use std::convert::Infallible;

use super::{EventContext, FromEvent, phase, via};
use crate::socket::{Call, Socket};
use proto::DisconnectReason;
use proto::always;

/// The name of the event, for fallbacks and `on_any`.
///
/// ```
/// use axum_socketio::extract::RawArgs;
/// use axum_socketio::Event;
///
/// async fn log(Event(name): Event, args: RawArgs) {
///     println!("{name}: {}", args.json());
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event(pub String);

impl<S: Sync, P> FromEvent<S, P, via::Event> for Socket {
    type Rejection = Infallible;

    async fn from_event(cx: &mut EventContext, _: &S) -> Result<Self, Infallible> {
        Ok(cx.socket().clone())
    }
}

/// True if the client has resumed the session that it had before it lost its connection: [`Socket::recovered`].
///
/// ```
/// use axum_socketio::extract::Recovered;
/// use axum_socketio::Socket;
///
/// async fn connected(socket: Socket, Recovered(recovered): Recovered) {
///     if !recovered {
///         socket.join("news");
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered(pub bool);

impl<S: Sync, P> FromEvent<S, P, via::Event> for Recovered {
    type Rejection = Infallible;

    async fn from_event(cx: &mut EventContext, _: &S) -> Result<Self, Infallible> {
        Ok(Self(cx.socket().recovered()))
    }
}

impl<S: Sync> FromEvent<S, phase::Event, via::Event> for Event {
    type Rejection = Infallible;

    async fn from_event(cx: &mut EventContext, _: &S) -> Result<Self, Infallible> {
        Ok(Self(
            always(cx.event(), "this phase has an event").to_owned(),
        ))
    }
}

impl<S: Sync> FromEvent<S, phase::Disconnect, via::Event> for DisconnectReason {
    type Rejection = Infallible;

    async fn from_event(cx: &mut EventContext, _: &S) -> Result<Self, Infallible> {
        match cx.call() {
            Call::Disconnect(reason) => Ok(*reason),
            // Only disconnect handlers can extract it.
            Call::Middleware | Call::Connect | Call::Event(_) => Ok(Self::TransportClose),
        }
    }
}
