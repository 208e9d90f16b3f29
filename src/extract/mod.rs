//! Extractors: the arguments of handlers, made of an event and its handshake.
//!
//! Every extractor of axum that needs no body ([`FromRequestParts`]) works in handlers unchanged: it gets the request
//! that opened the connection. The extractors of this crate add the data of the event.
//!
//! | argument | middleware | connect | event | disconnect |
//! |---|:-:|:-:|:-:|:-:|
//! | any `FromRequestParts<S>`: `State`, `HeaderMap`, `Query`, `Extension`, `ConnectInfo` | ● | ● | ● | ● |
//! | cookies, sessions, your own `FromRequestParts<S>`, [`SocketIo`](crate::SocketIo) | ● | ● | ● | ● |
//! | [`Socket`](crate::Socket), [`Typed`](crate::emit::Typed), [`Auth`], [`Recovered`] | ● | ● | ● | ● |
//! | [`Data`], [`Json`](axum::Json), [`RawArgs`], [`Event`], [`Ack`] | | | ● | |
//! | a typed event: a [`ClientEvent`](contract::ClientEvent), [`On`] | | | ● | |
//! | [`DisconnectReason`](crate::DisconnectReason) | | | | ● |
//!
//! `Option<_>` and `Result<_, _>` of `Data`, `Json` and `Auth` make an argument optional, or pass its rejection to the
//! handler. `Option<Socket>` is also an argument of HTTP handlers, in which it is `None`, for a function that serves
//! both. In a middleware, a `Socket` cannot emit yet.
//!
//! An event of another server has no socket: [`FromServerSideEvent`] lists the arguments of its handlers.

mod ack;
mod auth;
mod data;
mod declared;
mod from_server_side_event;
mod rejection;
mod request_use;
mod server;
mod socket;
mod typed;

use std::future::Future;

use axum_core::extract::FromRequestParts;
use axum_core::response::IntoResponse;
use futures_util::FutureExt;
use http::Request;

pub use ack::Ack;
pub use auth::{Auth, AuthRejection};
pub use data::Data;
pub use declared::On;
pub use from_server_side_event::FromServerSideEvent;
pub use rejection::DataRejection;
use request_use::RequestUse;
pub use server::SocketIoRejection;
pub use socket::{Event, Recovered};
pub use typed::ContractRejection;

pub use crate::socket::EventContext;
pub use proto::{Binary, RawArgs, Rest};

/// The kinds of handlers, as type parameters.
pub mod phase {
    /// A handler that runs before a socket is admitted.
    #[derive(Debug)]
    pub enum Middleware {}
    /// A handler that runs when a socket has been admitted.
    #[derive(Debug)]
    pub enum Connect {}
    /// A handler that runs when an event has been received.
    #[derive(Debug)]
    pub enum Event {}
    /// A handler that runs when a socket has disconnected.
    #[derive(Debug)]
    pub enum Disconnect {}
}

/// The sources of arguments, as type parameters. They are inferred, never written.
pub mod via {
    /// An argument made of the event.
    #[derive(Debug)]
    pub enum Event {}
    /// An argument that is a typed event.
    #[derive(Debug)]
    pub enum Declared {}
    /// An argument made of the handshake's request.
    #[derive(Debug)]
    pub enum Parts {}
}

/// An argument of a handler.
///
/// `P` is the kind of handler, `M` is inferred. Implement [`FromRequestParts`] if you need only the request, and this
/// trait if you need the event; never both for one type, or the compiler cannot choose.
///
/// ```
/// use axum_socketio::extract::{EventContext, FromEvent};
/// use axum_socketio::Sid;
///
/// /// The sender of the event.
/// struct Sender(Sid);
///
/// impl<S: Sync, P> FromEvent<S, P> for Sender {
///     type Rejection = std::convert::Infallible;
///
///     async fn from_event(cx: &mut EventContext, _state: &S) -> Result<Self, Self::Rejection> {
///         Ok(Self(cx.socket().id()))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an argument that this kind of Socket.IO handler can take",
    label = "not an argument of this kind of handler, where the state is `{S}`",
    note = "handlers take axum's extractors that need no body, `Socket` and `Auth<T>`; for an event also `Data<T>`, \
            `Json<T>`, `RawArgs`, `Event` and `Ack<T>`; on disconnect also `DisconnectReason`",
    note = "`T` in `State<T>` must implement `FromRef<{S}>`, `T` in `Extension<T>` must be `Clone`, `Send` and `Sync`",
    note = "`T` in `Data<T>`, `Json<T>` and `Auth<T>` must implement `serde::de::DeserializeOwned`"
)]
pub trait FromEvent<S, P = phase::Event, M = via::Event>: Sized {
    /// The answer that the client's callback gets instead of an acknowledgement. It is the body of an HTTP response:
    /// JSON is sent unchanged, text as `{"error": text}`.
    type Rejection: IntoResponse;

    /// True if it extracts the data of an event, which a handler can do only once.
    #[doc(hidden)]
    const DATA: bool = false;

    /// Extracts the argument.
    fn from_event(
        cx: &mut EventContext,
        state: &S,
    ) -> impl Future<Output = Result<Self, Self::Rejection>> + Send;
}

#[diagnostic::do_not_recommend]
impl<S, P, T> FromEvent<S, P, via::Parts> for T
where
    T: FromRequestParts<S> + 'static,
    S: Send + Sync,
{
    type Rejection = T::Rejection;

    async fn from_event(cx: &mut EventContext, state: &S) -> Result<Self, Self::Rejection> {
        let used = RequestUse::of::<T>();
        if used == RequestUse::None
            && let Some(argument) = without_request(state)
        {
            return argument;
        }
        let parts = match used {
            RequestUse::Write => cx.parts_mut(),
            RequestUse::None | RequestUse::Read => cx.parts(),
        };
        T::from_request_parts(parts, state).await
    }
}

/// Runs an extractor without a request, so that a socket whose handlers only extract `State` needs no copy of its
/// request.
fn without_request<T: FromRequestParts<S>, S: Send + Sync>(
    state: &S,
) -> Option<Result<T, T::Rejection>> {
    let mut none = Request::new(()).into_parts().0;
    T::from_request_parts(&mut none, state).now_or_never()
}
