//! Sockets and selections that send only the events of a contract.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use contract::{Contract, SentIn};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{
    AckFuture, AckStream, BroadcastOperator, Emitted, NamespaceHandle, RemoteAckFuture,
    RemoteSocket, SocketOperator,
};
use crate::adapter::AdapterError;
use crate::rooms::Rooms;
use crate::socket::Socket;

/// A socket, a namespace or a selection of sockets that sends only events of the contract `C`. An event of another
/// contract does not compile.
///
/// `Typed<C>` is an argument of the handlers of a namespace that has the contract, in place of [`Socket`];
/// [`SocketIo::typed`](crate::SocketIo::typed) returns the namespace itself. [`untyped`](Self::untyped) has all that is
/// not sending.
///
/// ```
/// use axum_socketio::contract::{ClientEvent, ServerEvent, contract};
/// use axum_socketio::emit::Typed;
/// use axum_socketio::{Namespace, SocketIo};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize)]
/// struct Say { text: String }
///
/// impl ClientEvent for Say {
///     const NAME: &'static str = "say";
///     type Ack = ();
/// }
///
/// #[derive(Serialize)]
/// struct Said { text: String }
///
/// impl ServerEvent for Said {
///     const NAME: &'static str = "said";
///     type Ack = ();
/// }
///
/// contract! {
///     Chat = "/chat";
///     client: Say;
///     server: Said;
/// }
///
/// async fn say(socket: Typed<Chat>, Say { text }: Say) {
///     socket.broadcast().send_event(&Said { text });
/// }
///
/// let chat = Namespace::new().of::<Chat>().on_event(Say::EVENT, say);
/// let io = SocketIo::builder().contract(chat).build();
/// io.typed::<Chat>().send_event(&Said { text: "welcome".to_owned() });
/// ```
#[must_use = "nothing is sent before `send_event`"]
pub struct Typed<C, To = Socket> {
    to: To,
    contract: PhantomData<fn() -> C>,
}

impl<C: Contract, To> Typed<C, To> {
    pub(crate) const fn new(to: To) -> Self {
        Self {
            to,
            contract: PhantomData,
        }
    }

    /// Returns the socket, namespace or selection without the contract, which sends any event.
    pub const fn untyped(&self) -> &To {
        &self.to
    }

    /// Returns the socket, namespace or selection without the contract, which sends any event.
    pub fn into_untyped(self) -> To {
        self.to
    }
}

impl<C, To: Clone> Clone for Typed<C, To> {
    fn clone(&self) -> Self {
        Self {
            to: self.to.clone(),
            contract: PhantomData,
        }
    }
}

impl<C, To: fmt::Debug> fmt::Debug for Typed<C, To> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Typed").field(&self.to).finish()
    }
}

macro_rules! sends {
    ($($sender:ident $answer:ident;)*) => {$(
        impl<C: Contract> Typed<C, $sender> {
            #[doc = concat!("Sends an event of the contract; see [`", stringify!($sender), "::send_event`].")]
            pub fn send_event<E: SentIn<C> + Serialize + ?Sized>(&self, event: &E) -> Emitted {
                self.to.send_event(event)
            }

            /// Sends an event of the contract and returns the acknowledgement that it declares; see
            #[doc = concat!("[`", stringify!($sender), "::send_event_with_ack`].")]
            pub fn send_event_with_ack<E>(&self, event: &E) -> $answer<E::Ack>
            where
                E: SentIn<C, Ack: DeserializeOwned> + Serialize + ?Sized,
            {
                self.to.send_event_with_ack(event)
            }
        }
    )*};
}

sends! {
    Socket AckFuture;
    SocketOperator AckFuture;
    BroadcastOperator AckStream;
    NamespaceHandle AckStream;
    RemoteSocket RemoteAckFuture;
}

/// Defines operators whose selections keep the contract.
macro_rules! operators {
    ($sender:ident { $($me:ident $method:ident($($value:ident: $type:ty)?) -> $to:ident;)* }) => {
        impl<C: Contract> Typed<C, $sender> {$(
            #[doc = concat!("See [`", stringify!($sender), "::", stringify!($method), "`].")]
            pub fn $method(&$me $(, $value: $type)?) -> Typed<C, $to> {
                Typed::new($me.to.clone().$method($($value)?))
            }
        )*}
    };
}

operators!(Socket {
    self to(rooms: impl Rooms) -> BroadcastOperator;
    self except(rooms: impl Rooms) -> BroadcastOperator;
    self broadcast() -> BroadcastOperator;
    self volatile() -> SocketOperator;
    self uncompressed() -> SocketOperator;
    self timeout(timeout: Duration) -> SocketOperator;
    self no_timeout() -> SocketOperator;
});

operators!(SocketOperator {
    self to(rooms: impl Rooms) -> BroadcastOperator;
    self except(rooms: impl Rooms) -> BroadcastOperator;
    self broadcast() -> BroadcastOperator;
    self volatile() -> SocketOperator;
    self uncompressed() -> SocketOperator;
    self timeout(timeout: Duration) -> SocketOperator;
    self no_timeout() -> SocketOperator;
});

operators!(BroadcastOperator {
    self to(rooms: impl Rooms) -> BroadcastOperator;
    self except(rooms: impl Rooms) -> BroadcastOperator;
    self local() -> BroadcastOperator;
    self volatile() -> BroadcastOperator;
    self uncompressed() -> BroadcastOperator;
    self timeout(timeout: Duration) -> BroadcastOperator;
    self no_timeout() -> BroadcastOperator;
});

operators!(NamespaceHandle {
    self to(rooms: impl Rooms) -> BroadcastOperator;
    self except(rooms: impl Rooms) -> BroadcastOperator;
    self local() -> BroadcastOperator;
    self volatile() -> BroadcastOperator;
    self uncompressed() -> BroadcastOperator;
    self timeout(timeout: Duration) -> BroadcastOperator;
    self no_timeout() -> BroadcastOperator;
});

operators!(RemoteSocket {
    self timeout(timeout: Duration) -> RemoteSocket;
});

macro_rules! fetches {
    ($($sender:ident)*) => {$(
        impl<C: Contract> Typed<C, $sender> {
            #[doc = concat!("See [`", stringify!($sender), "::fetch_sockets`].")]
            ///
            /// # Errors
            ///
            /// Fails if the server has no such namespace, or other servers do not answer.
            pub async fn fetch_sockets(&self) -> Result<Vec<Typed<C, RemoteSocket>>, AdapterError> {
                let sockets = self.to.fetch_sockets().await?;
                Ok(sockets.into_iter().map(Typed::new).collect())
            }
        }
    )*};
}

fetches!(BroadcastOperator NamespaceHandle);
