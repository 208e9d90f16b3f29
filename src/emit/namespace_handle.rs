//! The handle of a namespace.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ack_stream::AckStream;
use super::broadcast::BroadcastOperator;
use super::emitted::Emitted;
use super::selection::{Missing, SelectedNamespaces};
use super::server_side_emit::{self, ServerAckFuture};
use super::wait::Wait;
use crate::adapter::AdapterError;
use crate::logs::ServerLogs;
use crate::namespace::DynamicNamespace;
use crate::rooms::{Room, RoomEvents, Rooms, Target};
use crate::socket::{NamespaceHandlers, Socket, SocketNamespace};
use proto::Sid;

/// A namespace of a running server, or all those of a pattern; returned by [`SocketIo::of`](crate::SocketIo::of). It
/// can be cloned cheaply and stored anywhere.
///
/// It has the rooms of the namespace and the events to other servers. [`to`](Self::to), [`except`](Self::except) and
/// similar methods select some of its sockets; the other methods concern all of them. Node's `Namespace`.
///
/// ```
/// # use axum_socketio::SocketIo;
/// # use axum_socketio::cluster::AdapterError;
/// # async fn f(io: SocketIo) -> Result<(), AdapterError> {
/// let chat = io.of("/chat");
/// chat.emit("announcement", "down at six");
/// for (room, count) in chat.rooms().await? {
///     chat.to(&room).emit("present", count);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "a handle does nothing by itself"]
pub struct NamespaceHandle {
    namespaces: SelectedNamespaces,
    /// The time limit of questions to other servers.
    wait: Wait,
}

impl NamespaceHandle {
    pub(crate) fn fixed(namespace: Arc<SocketNamespace>) -> Self {
        Self::at(SelectedNamespaces::One(namespace))
    }

    pub(crate) fn dynamic(dynamic: Arc<DynamicNamespace<NamespaceHandlers>>) -> Self {
        Self::at(SelectedNamespaces::Pattern(dynamic))
    }

    pub(crate) fn child(dynamic: Arc<DynamicNamespace<NamespaceHandlers>>, name: &str) -> Self {
        Self::at(SelectedNamespaces::Named(dynamic, name.into()))
    }

    /// Creates the handle of a namespace that the server does not have, or of a handle without a server.
    pub(crate) fn missing(name: &str, server: Option<Arc<ServerLogs>>) -> Self {
        let name = name.into();
        Self::at(SelectedNamespaces::Missing(Missing { name, server }))
    }

    pub(super) const fn at(namespaces: SelectedNamespaces) -> Self {
        Self {
            namespaces,
            wait: Wait::Default,
        }
    }

    /// Returns the name of the namespace, with the slash, or the pattern. Node's `namespace.name`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.namespaces.name()
    }

    /// Selects all sockets of the namespace.
    pub fn broadcast(&self) -> BroadcastOperator {
        BroadcastOperator::at(self.namespaces.clone(), Target::default())
    }

    /// Selects the sockets that are in any of these rooms. A socket's id is a room too. If only empty lists or `None`
    /// are given, no socket is selected.
    pub fn to(&self, rooms: impl Rooms) -> BroadcastOperator {
        self.broadcast().to(rooms)
    }

    /// Selects the sockets that are in none of these rooms.
    pub fn except(&self, rooms: impl Rooms) -> BroadcastOperator {
        self.broadcast().except(rooms)
    }

    /// Selects the sockets on this server.
    pub fn local(&self) -> BroadcastOperator {
        self.broadcast().local()
    }

    /// Selects all sockets for volatile events; see [`BroadcastOperator::volatile`].
    pub fn volatile(&self) -> BroadcastOperator {
        self.broadcast().volatile()
    }

    /// Selects all sockets for events that must not be compressed; see [`BroadcastOperator::uncompressed`].
    pub fn uncompressed(&self) -> BroadcastOperator {
        self.broadcast().uncompressed()
    }

    /// Selects all sockets, and sets the time that `emit_with_ack` waits for acknowledgements. Default: the builder's
    /// `ack_timeout`.
    pub fn timeout(&self, timeout: Duration) -> BroadcastOperator {
        self.broadcast().timeout(timeout)
    }

    /// Selects all sockets, and lets `emit_with_ack` wait for acknowledgements as long as the clients stay connected.
    pub fn no_timeout(&self) -> BroadcastOperator {
        self.broadcast().no_timeout()
    }

    /// Sends an event to all sockets, encoded once. Arguments are as in [`Socket::emit`].
    pub fn emit<T: Serialize>(&self, event: impl AsRef<str>, args: T) -> Emitted {
        self.broadcast().emit(event, args)
    }

    /// Sends an event to all sockets and collects their acknowledgements; see [`BroadcastOperator::emit_with_ack`].
    pub fn emit_with_ack<R: DeserializeOwned>(
        &self,
        event: impl AsRef<str>,
        args: impl Serialize,
    ) -> AckStream<R> {
        self.broadcast().emit_with_ack(event, args)
    }

    /// Returns the sockets on this server, without asking others. Node's `namespace.sockets`.
    #[must_use]
    pub fn local_sockets(&self) -> Vec<Socket> {
        self.broadcast().local_sockets()
    }

    /// Returns the number of sockets of all servers, without fetching them.
    ///
    /// # Errors
    ///
    /// Fails if the server has no such namespace, or other servers do not answer.
    pub async fn count(&self) -> Result<usize, AdapterError> {
        self.broadcast().count().await
    }

    /// Makes all sockets join rooms, within the limits of [`Socket::join`]. Node's `socketsJoin`.
    pub fn join(&self, rooms: impl Rooms) {
        self.broadcast().join(rooms);
    }

    /// Makes all sockets leave rooms. Node's `socketsLeave`.
    pub fn leave(&self, rooms: impl Rooms) {
        self.broadcast().leave(rooms);
    }

    /// Disconnects all sockets from the namespace. Node's `disconnectSockets`.
    pub fn disconnect(&self) {
        self.broadcast().disconnect();
    }

    /// Closes the connections of all sockets; see [`Socket::disconnect_all`]. Node's `disconnectSockets(true)`.
    pub fn disconnect_all(&self) {
        self.broadcast().disconnect_all();
    }

    /// Disconnects the sockets of this server for which `condition` returns true, and returns their number.
    pub fn disconnect_where(&self, condition: impl FnMut(&Socket) -> bool) -> usize {
        self.broadcast().disconnect_where(condition)
    }

    /// Returns the socket of this id, if this server holds it and it is connected to the namespace.
    #[must_use]
    pub fn socket(&self, id: Sid) -> Option<Socket> {
        let here = self.namespaces.here().unwrap_or_default();
        here.iter()
            .find_map(|namespace| Socket::find(namespace, id))
    }

    /// Returns the rooms of the namespace on all servers with their numbers of sockets, without the rooms of the
    /// sockets' own ids.
    ///
    /// # Errors
    ///
    /// Fails if the server has no such namespace, or other servers do not answer.
    pub async fn rooms(&self) -> Result<HashMap<Room, usize>, AdapterError> {
        let recipients = self.namespaces.recipients()?.into_owned();
        Ok(recipients.adapter.rooms().await?.into_iter().collect())
    }

    /// Returns the number of servers that have the namespace, this one included. Without a
    /// [cluster](crate::SocketIoBuilder::cluster) it is 1. Node's `namespace.adapter.serverCount()`.
    ///
    /// Servers of Node.js count as well. Redis counts those that are subscribed now. With PostgreSQL, a server counts
    /// from its first heartbeat until it has left or has been silent for 10 seconds.
    ///
    /// ```
    /// # use axum_socketio::SocketIo;
    /// # use axum_socketio::cluster::AdapterError;
    /// # async fn f(io: SocketIo) -> Result<(), AdapterError> {
    /// let servers = io.of("/").server_count().await?;
    /// println!("{servers} servers share the clients");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the server has no such namespace, or the engine does not answer.
    pub async fn server_count(&self) -> Result<usize, AdapterError> {
        let recipients = self.namespaces.recipients()?.into_owned();
        recipients.adapter.server_count().await
    }

    /// Returns a stream of the changes, from now on, to the rooms of the namespace on this server. For a pattern, it
    /// covers the namespaces that exist now. The rooms of the sockets' own ids cause no events. Each server of a
    /// cluster has its own events, as in Node.js: `create-room` and the others of `namespace.adapter`.
    ///
    /// The stream buffers a thousand events; beyond that the oldest are lost, and
    /// [`RoomEvent::Missed`](crate::rooms::RoomEvent::Missed) reports it.
    ///
    /// ```
    /// # use axum_socketio::rooms::RoomEvent;
    /// # use axum_socketio::SocketIo;
    /// # async fn f(io: SocketIo) {
    /// let mut events = io.of("/").room_events();
    /// while let Some(event) = events.next().await {
    ///     if let RoomEvent::Created { room } = event {
    ///         println!("somebody opened {room}");
    ///     }
    /// }
    /// # }
    /// ```
    pub fn room_events(&self) -> RoomEvents {
        let here = self.namespaces.here().unwrap_or_default();
        RoomEvents::of(here.iter().map(|namespace| namespace.members.watch()))
    }

    /// Sends an event to the other servers of the namespace, where [`on_server`](crate::Namespace::on_server) handles
    /// it. Node's `serverSideEmit`.
    ///
    /// The names `connect`, `connection`, `new_namespace` and `error` are reserved, as a server of Node.js in the
    /// cluster would take such an event for its own.
    ///
    /// Without a [cluster](crate::cluster::LocalCluster) there are no other servers.
    pub fn server_side_emit<T: Serialize>(&self, event: impl AsRef<str>, args: T) -> Emitted {
        match self.namespaces.recipients() {
            Ok(recipients) => server_side_emit::emit_to_servers(&recipients, event.as_ref(), &args),
            Err(missing) => Emitted::missing(missing),
        }
    }

    /// Sends an event to the other servers and returns the answers that arrive within the
    /// [`server_timeout`](Self::server_timeout). The event is sent at once, even if the future is not awaited. Node's
    /// `serverSideEmitWithAck`.
    ///
    /// ```
    /// # use axum_socketio::emit::AckError;
    /// # use axum_socketio::SocketIo;
    /// # async fn f(io: SocketIo) -> Result<(), AckError> {
    /// let others = io.of("/").server_side_emit_with_ack::<u64>("memory", ()).await?;
    /// let all: u64 = others.answers.iter().sum();
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the server has no such namespace, the name is reserved, the arguments cannot be serialized, or an
    /// answer is of another type than `R`.
    pub fn server_side_emit_with_ack<R: DeserializeOwned>(
        &self,
        event: impl AsRef<str>,
        args: impl Serialize,
    ) -> ServerAckFuture<R> {
        match self.namespaces.recipients() {
            Ok(recipients) => ServerAckFuture::ask(&recipients, event.as_ref(), &args, self.wait),
            Err(missing) => ServerAckFuture::failed(Emitted::missing(missing)),
        }
    }

    /// Sets the time that `server_side_emit_with_ack` waits for the answers of other servers. Default: the builder's
    /// `ack_timeout`.
    pub fn server_timeout(mut self, timeout: Duration) -> Self {
        self.wait = Wait::For(timeout);
        self
    }
}

impl fmt::Debug for NamespaceHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamespaceHandle")
            .field("name", &self.namespaces.name())
            .finish_non_exhaustive()
    }
}
