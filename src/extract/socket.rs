//! Extractors for the socket, its recovery, the event's name and the reason of a disconnect.

use std::convert::Infallible;

use axum_core::extract::OptionalFromRequestParts;
use http::request::Parts;

use super::{EventContext, FromEvent, phase, via};
use crate::socket::{Call, Socket, SocketReference};
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

/// `Option<Socket>` is the socket in a handler of this crate, and `None` in an HTTP handler, so that one function can
/// serve both.
impl<S: Sync> OptionalFromRequestParts<S> for Socket {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        let reference = parts.extensions.get::<SocketReference>();
        Ok(reference.and_then(SocketReference::socket))
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
