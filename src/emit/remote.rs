//! Sockets that may be held by another server.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ack_error::AckError;
use super::ack_stream::AckStream;
use super::broadcast::BroadcastOperator;
use super::emitted::Emitted;
use super::namespace_handle::NamespaceHandle;
use crate::adapter::{AdapterError, Facts};
use crate::rooms::{Room, Rooms};
use crate::socket::{DataError, Socket, read_data};
use proto::Sid;

/// A snapshot of a socket that may be held by another server. Node's `RemoteSocket`.
#[derive(Clone, Debug)]
pub struct RemoteSocket {
    facts: Facts,
    namespace: NamespaceHandle,
    here: BroadcastOperator,
}

impl RemoteSocket {
    fn new(facts: Facts, namespace: NamespaceHandle) -> Self {
        let here = namespace.to(facts.id);
        Self {
            facts,
            namespace,
            here,
        }
    }

    /// Returns the socket's id.
    #[must_use]
    pub fn id(&self) -> Sid {
        self.facts.id
    }

    /// Returns the rooms that the socket was in, starting with the room of its own id.
    #[must_use]
    pub fn rooms(&self) -> Vec<Room> {
        let mut rooms = self.facts.rooms.clone();
        rooms.insert(0, self.facts.id.as_str().into());
        rooms
    }

    /// Returns the socket itself, if this server holds it and it is still connected.
    #[must_use]
    pub fn socket(&self) -> Option<Socket> {
        self.namespace.socket(self.facts.id)
    }

    /// Returns the data that was attached with [`Socket::set_data`] when the socket was fetched; `{}` if there is none.
    ///
    /// # Errors
    ///
    /// Fails if the data is of another type.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, DataError> {
        read_data(&self.facts.data)
    }

    /// Returns the request and the CONNECT packet with which the client has connected. Node's `handshake`.
    ///
    /// It is read from a JSON object with the members `headers` and `query` (objects of texts), `auth`, `url`,
    /// `xdomain` (true if the request had an `Origin`), `secure`, `issued` (milliseconds since 1970), `time` and
    /// `address`. A server of this crate does not know the address of a client, and sends an empty text.
    ///
    /// The headers contain cookies and tokens. All servers of a cluster, and whoever can read its engine, see them.
    ///
    /// ```
    /// use axum_socketio::SocketIo;
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize)]
    /// struct Handshake { query: Query }
    /// #[derive(Deserialize)]
    /// struct Query { language: Option<String> }
    ///
    /// async fn languages(io: SocketIo) -> Vec<Option<String>> {
    ///     let sockets = io.fetch_sockets().await.unwrap_or_default();
    ///     let handshakes = sockets.iter().filter_map(|socket| socket.handshake::<Handshake>().ok());
    ///     handshakes.map(|handshake| handshake.query.language).collect()
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the handshake is of another type.
    pub fn handshake<T: DeserializeOwned>(&self) -> Result<T, DataError> {
        read_data(&self.facts.handshake.json())
    }

    /// Sets the time that `emit_with_ack` waits for the acknowledgement. Default: the builder's `ack_timeout`.
    #[must_use = "nothing is sent before `emit_with_ack`"]
    pub fn timeout(&self, timeout: Duration) -> Self {
        let mut limited = self.clone();
        limited.here = limited.here.timeout(timeout);
        limited
    }

    /// Sends an event to the socket and waits for its acknowledgement. The event is sent at once, even if the future is
    /// not awaited.
    ///
    /// # Errors
    ///
    /// As those of [`Socket::emit_with_ack`]. [`AckError::Dropped`] also means that the client's outbox is full.
    pub fn emit_with_ack<R: DeserializeOwned>(
        &self,
        event: impl AsRef<str>,
        args: impl Serialize,
    ) -> RemoteAckFuture<R> {
        RemoteAckFuture(self.here.emit_with_ack(event, args))
    }

    /// Sends an event to the socket.
    pub fn emit<T: Serialize>(&self, event: impl AsRef<str>, args: T) -> Emitted {
        self.here.emit(event, args)
    }

    /// Makes the socket join rooms.
    pub fn join(&self, rooms: impl Rooms) {
        self.here.join(rooms);
    }

    /// Makes the socket leave rooms.
    pub fn leave(&self, rooms: impl Rooms) {
        self.here.leave(rooms);
    }

    /// Disconnects the socket from its namespace.
    pub fn disconnect(&self) {
        self.here.disconnect();
    }

    /// Closes the socket's whole connection; see [`Socket::disconnect_all`].
    pub fn disconnect_all(&self) {
        self.here.disconnect_all();
    }
}

impl NamespaceHandle {
    /// Returns all sockets of all servers. Node's `fetchSockets`.
    ///
    /// # Errors
    ///
    /// Fails if the server has no such namespace, or other servers do not answer.
    pub async fn fetch_sockets(&self) -> Result<Vec<RemoteSocket>, AdapterError> {
        self.broadcast().fetch_sockets().await
    }
}

impl BroadcastOperator {
    /// Returns the selected sockets of all servers. Node's `fetchSockets`.
    ///
    /// # Errors
    ///
    /// Fails if the server has no such namespace, or other servers do not answer.
    pub async fn fetch_sockets(&self) -> Result<Vec<RemoteSocket>, AdapterError> {
        let recipients = self.namespaces.recipients()?.into_owned();
        let facts = recipients.adapter.fetch(&self.target).await?;
        let namespace = NamespaceHandle::at(self.namespaces.clone());
        let sockets = facts.into_iter();
        Ok(sockets
            .map(|facts| RemoteSocket::new(facts, namespace.clone()))
            .collect())
    }
}

/// The acknowledgement of a socket that may be held by another server; returned by [`RemoteSocket::emit_with_ack`].
#[derive(Debug)]
#[must_use = "the event is sent, but nobody hears the answer"]
pub struct RemoteAckFuture<R>(AckStream<R>);

impl<R: DeserializeOwned> Future for RemoteAckFuture<R> {
    type Output = Result<R, AckError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_single(cx)
    }
}
