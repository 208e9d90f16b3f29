//! Emits to many sockets: operators that select them, and what can be done to them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ack_stream::AckStream;
use super::emitted::{Emitted, event_args};
use super::selection::SelectedNamespaces;
use super::server_events::{self, ServerAckFuture};
use super::wait::Wait;
use crate::adapter::AdapterError;
use crate::logs::may_log;
use crate::metrics::EMITS_TO_MANY;
use crate::namespace::DynamicNamespace;
use crate::rooms::{Room, RoomEvents, Rooms, Scope, Target};
use crate::socket::{NamespaceHandlers, Socket, SocketNamespace};
use proto::EncodedArgs;

/// A selection of sockets of a namespace by rooms, returned by `to`, `except`, `of` and `local`. Node's
/// `BroadcastOperator`.
///
/// Without rooms it selects the whole namespace. A socket in several of the rooms receives an event once.
///
/// ```
/// # use axum_socketio::SocketIo;
/// # fn f(io: SocketIo) {
/// io.of("/chat").to(["news", "vip"]).except("muted").emit("announcement", "down at six");
/// # }
/// ```
#[derive(Clone)]
#[must_use = "nothing is sent before `emit`"]
pub struct Broadcast {
    namespaces: SelectedNamespaces,
    pub(super) target: Target,
    pub(super) wait: Wait,
}

impl Broadcast {
    pub(crate) fn new(namespace: Arc<SocketNamespace>, target: Target) -> Self {
        Self::at(SelectedNamespaces::One(namespace), target)
    }

    pub(crate) fn dynamic(dynamic: Arc<DynamicNamespace<NamespaceHandlers>>) -> Self {
        Self::at(SelectedNamespaces::Pattern(dynamic), Target::default())
    }

    pub(crate) fn child(dynamic: Arc<DynamicNamespace<NamespaceHandlers>>, name: &str) -> Self {
        Self::at(
            SelectedNamespaces::Named(dynamic, name.into()),
            Target::default(),
        )
    }

    pub(crate) fn nowhere() -> Self {
        Self::at(SelectedNamespaces::None, Target::default())
    }

    fn at(namespaces: SelectedNamespaces, target: Target) -> Self {
        Self {
            namespaces,
            target,
            wait: Wait::Default,
        }
    }

    /// Adds the sockets that are in any of these rooms. A socket's id is a room too. If only empty lists or `None` are
    /// given, no socket is selected.
    pub fn to(mut self, rooms: impl Rooms) -> Self {
        let chosen = self.target.rooms.get_or_insert_default();
        rooms.for_each(&mut |room: Room| chosen.push(room));
        self
    }

    /// Excludes the sockets that are in any of these rooms.
    pub fn except(mut self, rooms: impl Rooms) -> Self {
        rooms.for_each(&mut |room: Room| self.target.except.push(room));
        self
    }

    /// Makes the event volatile: it is dropped for each client that cannot be written to at once.
    pub fn volatile(mut self) -> Self {
        self.target.volatile = true;
        self
    }

    /// Sets whether the event may be compressed, for clients with which compression was negotiated. Default: yes.
    /// Node's `compress`.
    pub fn compress(mut self, compress: bool) -> Self {
        self.target.uncompressed = !compress;
        self
    }

    /// Restricts the selection to sockets of this server.
    pub fn local(mut self) -> Self {
        self.target.local = true;
        self
    }

    /// Sets the time that `emit_with_ack` waits for acknowledgements. Default: the builder's `ack_timeout`.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.wait = Wait::For(timeout);
        self
    }

    /// Lets `emit_with_ack` wait for acknowledgements as long as the clients stay connected.
    pub fn no_timeout(mut self) -> Self {
        self.wait = Wait::Forever;
        self
    }

    /// Sends an event to all selected sockets, encoded once. Arguments are as in [`Socket::emit`].
    pub fn emit<T: Serialize>(&self, event: impl AsRef<str>, args: T) -> Emitted {
        let event = event.as_ref();
        let Some(counters) = self.namespaces.counters() else {
            return Emitted::nowhere();
        };
        // An emit counts once, however many namespaces the pattern has.
        counters.add_all([(EMITS_TO_MANY, 1)]);
        let args = event_args(event, &args);
        let sent = args.map(|args| match &self.namespaces {
            SelectedNamespaces::One(namespace) => self.send(namespace, event, args),
            _ => self
                .namespaces()
                .into_iter()
                .for_each(|namespace| self.send(&namespace, event, args.clone())),
        });
        Emitted::new(sent, counters)
    }

    /// Returns the namespaces of the selection.
    pub(super) fn namespaces(&self) -> Vec<Arc<SocketNamespace>> {
        if self.target.local {
            self.namespaces.here()
        } else {
            self.namespaces.all()
        }
    }

    fn send(&self, namespace: &Arc<SocketNamespace>, event: &str, args: EncodedArgs) {
        let delivered = namespace.broadcast(&self.target, args);
        tracing::trace!(nsp = &*namespace.name, event, ?delivered, "broadcast");
    }

    /// Sends an event to all selected sockets and collects their acknowledgements, each a value of type `R`.
    ///
    /// The stream ends when every socket has answered or left, or at the timeout; then [`summary`](AckStream::summary)
    /// lists the missing ones.
    pub fn emit_with_ack<R: DeserializeOwned>(
        &self,
        event: impl AsRef<str>,
        args: impl Serialize,
    ) -> AckStream<R> {
        let Some(counters) = self.namespaces.counters() else {
            return AckStream::failed(None);
        };
        counters.add_all([(EMITS_TO_MANY, 1)]);
        match event_args(event.as_ref(), &args) {
            Ok(args) => AckStream::ask(self.namespaces(), &self.target, &args, self.wait),
            Err(error) => AckStream::failed(Emitted::new(Err(error), counters).into_result().err()),
        }
    }

    /// Returns the number of selected sockets of all servers, without fetching them.
    ///
    /// # Errors
    ///
    /// Fails if other servers do not answer.
    pub async fn count(&self) -> Result<usize, AdapterError> {
        let mut count = 0;
        for namespace in self.namespaces() {
            count += namespace.adapter.count(&self.target).await?;
        }
        Ok(count)
    }

    /// Returns the rooms of the namespace on all servers with their numbers of sockets, without the rooms of the
    /// sockets' own ids. The selection by rooms is ignored.
    ///
    /// # Errors
    ///
    /// Fails if other servers do not answer.
    pub async fn rooms(&self) -> Result<HashMap<Room, usize>, AdapterError> {
        let mut rooms = HashMap::new();
        for namespace in self.namespaces() {
            for (room, count) in namespace.adapter.rooms().await? {
                *rooms.entry(room).or_default() += count;
            }
        }
        Ok(rooms)
    }

    /// Returns a stream of the changes, from now on, to the rooms of the namespace on this server. For a pattern, it
    /// covers the namespaces that exist now. The rooms of the sockets' own ids cause no events.
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
        RoomEvents::of(
            self.namespaces
                .here()
                .iter()
                .map(|namespace| namespace.members.watch()),
        )
    }

    /// Sends an event to the other servers of the namespace, where [`on_server`](crate::Namespace::on_server) handles
    /// it. The selection by rooms is ignored. Node's `serverSideEmit`.
    ///
    /// Without a [cluster](crate::config::LocalCluster) there are no other servers.
    pub fn server_side_emit<T: Serialize>(&self, event: impl AsRef<str>, args: T) -> Emitted {
        match self.namespaces.counters() {
            Some(counters) => {
                server_events::emit_to_servers(&self.namespaces(), event.as_ref(), &args, counters)
            }
            None => Emitted::nowhere(),
        }
    }

    /// Sends an event to the other servers and returns the answers that arrive within the [`timeout`](Self::timeout).
    /// The event is sent at once, even if the future is not awaited. Node's `serverSideEmitWithAck`.
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
    /// Fails if the arguments cannot be serialized, or if an answer is of another type than `R`.
    pub fn server_side_emit_with_ack<R: DeserializeOwned>(
        &self,
        event: impl AsRef<str>,
        args: impl Serialize,
    ) -> ServerAckFuture<R> {
        ServerAckFuture::ask(&self.namespaces(), event.as_ref(), &args, self.wait)
    }

    /// Makes all selected sockets join rooms, within the limits of [`Socket::join`]. Node's `socketsJoin`.
    pub fn join(&self, rooms: impl Rooms) {
        let mut rooms = names(rooms);
        for namespace in self.namespaces() {
            let limit = namespace.options.max_room_len;
            rooms.retain(|room| {
                let fits = room.len() <= limit;
                if !fits {
                    log_long_room(&namespace.name, limit);
                }
                fits
            });
            namespace.adapter.join(&self.target, &rooms);
        }
    }

    /// Makes all selected sockets leave rooms. Node's `socketsLeave`.
    pub fn leave(&self, rooms: impl Rooms) {
        let rooms = names(rooms);
        for namespace in self.namespaces() {
            namespace.adapter.leave(&self.target, &rooms);
        }
    }

    /// Disconnects all selected sockets from the namespace. Node's `disconnectSockets`.
    pub fn disconnect(&self) {
        self.disconnect_from(Scope::Namespace);
    }

    /// Closes the connections of all selected sockets; see [`Socket::disconnect_all`]. Node's
    /// `disconnectSockets(true)`.
    pub fn disconnect_all(&self) {
        self.disconnect_from(Scope::Connection);
    }

    fn disconnect_from(&self, scope: Scope) {
        for namespace in self.namespaces() {
            namespace.adapter.disconnect(&self.target, scope);
        }
    }

    /// Returns the socket of this id, if this server holds it and it is connected to the namespace.
    #[must_use]
    pub fn socket(&self, id: proto::Sid) -> Option<Socket> {
        self.namespaces
            .here()
            .iter()
            .find_map(|namespace| Socket::find(namespace, id))
    }

    /// Disconnects the selected sockets of this server for which `condition` returns true, and returns their number.
    pub fn disconnect_where(&self, mut condition: impl FnMut(&Socket) -> bool) -> usize {
        let mut chosen = Vec::new();
        for namespace in self.namespaces.here() {
            let members = namespace.members.select(&self.target);
            let sockets = members
                .iter()
                .filter_map(|member| Socket::from_link(member.link.upgrade()?));
            chosen.extend(sockets.filter(|socket| condition(socket)));
        }
        chosen.iter().for_each(Socket::disconnect);
        chosen.len()
    }
}

fn names(rooms: impl Rooms) -> Vec<Room> {
    let mut names = Vec::new();
    rooms.for_each(&mut |room| names.push(room));
    names
}

fn log_long_room(namespace: &str, limit: usize) {
    if may_log() {
        tracing::warn!(nsp = namespace, limit, "room not joined: name too long");
    }
}

impl fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast")
            .field("nsp", &self.namespaces.name())
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
