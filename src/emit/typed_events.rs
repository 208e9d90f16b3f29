//! Emits of typed events.

use contract::{Sent, ServerEvent};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{
    AckFuture, AckStream, BroadcastOperator, Emitted, NamespaceHandle, RemoteAckFuture,
    RemoteSocket, SocketOperator,
};
use crate::socket::Socket;

macro_rules! typed_events {
    ($($sender:ident $answer:ident;)*) => {$(
        impl $sender {
            /// Sends a typed event, under its own name and in its own shape. Otherwise it is as [`emit`](Self::emit).
            ///
            /// ```
            /// use axum_socketio::contract::ServerEvent;
            #[doc = concat!("# use axum_socketio::{emit::*, *};")]
            /// use serde::Serialize;
            ///
            /// #[derive(Serialize)]
            /// struct Said { text: String }
            ///
            /// impl ServerEvent for Said {
            ///     const NAME: &'static str = "said";
            ///     type Ack = ();
            /// }
            ///
            #[doc = concat!("fn send(recipient: &", stringify!($sender), ") {")]
            ///     recipient.send_event(&Said { text: "hello".to_owned() });
            /// }
            /// ```
            pub fn send_event<E: ServerEvent + Serialize + ?Sized>(&self, event: &E) -> Emitted {
                self.emit(E::NAME, Sent(event))
            }

            /// Sends a typed event and returns the acknowledgement that it declares. Otherwise it is as
            /// [`emit_with_ack`](Self::emit_with_ack).
            pub fn send_event_with_ack<E>(&self, event: &E) -> $answer<E::Ack>
            where
                E: ServerEvent<Ack: DeserializeOwned> + Serialize + ?Sized,
            {
                self.emit_with_ack(E::NAME, Sent(event))
            }
        }
    )*};
}

typed_events! {
    Socket AckFuture;
    SocketOperator AckFuture;
    BroadcastOperator AckStream;
    NamespaceHandle AckStream;
    RemoteSocket RemoteAckFuture;
}
