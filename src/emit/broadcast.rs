//! Emits to many sockets: operators that select them, and what can be done to them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ack_stream::AckStream;
use super::emitted::{Emitted, event_args};
use super::selection::{Missing, SelectedNamespaces};
use super::wait::Wait;
use crate::adapter::AdapterError;
use crate::logs::may_log;
use crate::metrics::EMITS_TO_MANY;
use crate::rooms::{Room, Rooms, Scope, Target};
use crate::socket::{Socket, SocketNamespace};
use proto::EncodedArgs;

/// A selection of sockets of a namespace, with options for what is sent to them; returned by `to`, `except`, `local`
/// and similar methods of a [`NamespaceHandle`](crate::NamespaceHandle), of [`SocketIo`](crate::SocketIo) and of a
/// [`Socket`]. Node's `BroadcastOperator`.
///
/// Without rooms it selects the whole namespace. A socket in several of the rooms receives an event once.
///
/// ```
/// # use axum_socketio::SocketIo;
/// # fn f(io: SocketIo) {
/// io.of("/chat").to(["news", "vip"]).except("muted").emit("announcement", "down at six");
/// # }
/// ```
///
/// The rooms of a namespace, its changes and its other servers are not part of a selection; the
/// [`NamespaceHandle`](crate::NamespaceHandle) has them:
///
/// ```compile_fail,E0599
/// # async fn f(io: axum_socketio::SocketIo) {
/// io.to("news").rooms().await;
/// # }
/// ```
/// ```compile_fail,E0599
/// # fn f(io: axum_socketio::SocketIo) {
/// io.to("news").room_events();
/// # }
/// ```
/// ```compile_fail,E0599
/// # fn f(io: axum_socketio::SocketIo) {
/// io.to("news").server_side_emit("forget", "key");
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

    pub(super) fn at(namespaces: SelectedNamespaces, target: Target) -> Self {
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
        let counters = match self.namespaces.counters() {
            Ok(counters) => counters,
            Err(missing) => return Emitted::missing(missing),
        };
        // An emit counts once, however many namespaces the pattern has.
        counters.add_all([(EMITS_TO_MANY, 1)]);
        let args = event_args(event, &args);
        let sent = args.map(|args| match &self.namespaces {
            SelectedNamespaces::One(namespace) => self.send(namespace, event, args),
            _ => self
                .namespaces()
                .into_iter()
                .flatten()
                .for_each(|namespace| self.send(&namespace, event, args.clone())),
        });
        Emitted::new(sent, counters)
    }

    /// Returns the namespaces of the selection. A missing one is logged.
    pub(super) fn namespaces(&self) -> Result<Vec<Arc<SocketNamespace>>, &Missing> {
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
        let counters = match self.namespaces.counters() {
            Ok(counters) => counters,
            Err(missing) => return AckStream::failed(Emitted::missing(missing)),
        };
        counters.add_all([(EMITS_TO_MANY, 1)]);
        match event_args(event.as_ref(), &args) {
            Ok(args) => {
                let namespaces = self.namespaces().unwrap_or_default();
                AckStream::ask(namespaces, &self.target, &args, self.wait)
            }
            Err(error) => AckStream::failed(Emitted::new(Err(error), counters)),
        }
    }

    /// Returns the number of selected sockets of all servers, without fetching them.
    ///
    /// # Errors
    ///
    /// Fails if the server has no such namespace, or other servers do not answer.
    pub async fn count(&self) -> Result<usize, AdapterError> {
        let mut count = 0;
        for namespace in self.namespaces()? {
            count += namespace.adapter.count(&self.target).await?;
        }
        Ok(count)
    }

    /// Makes all selected sockets join rooms, within the limits of [`Socket::join`]. Node's `socketsJoin`.
    pub fn join(&self, rooms: impl Rooms) {
        let mut rooms = names(rooms);
        for namespace in self.namespaces().unwrap_or_default() {
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
        for namespace in self.namespaces().unwrap_or_default() {
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
        for namespace in self.namespaces().unwrap_or_default() {
            namespace.adapter.disconnect(&self.target, scope);
        }
    }

    /// Disconnects the selected sockets of this server for which `condition` returns true, and returns their number.
    pub fn disconnect_where(&self, mut condition: impl FnMut(&Socket) -> bool) -> usize {
        let mut chosen = Vec::new();
        for namespace in self.namespaces.here().unwrap_or_default() {
            let members = namespace.members.select(&self.target);
            let sockets = members.iter().filter_map(|member| Socket::of(member));
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
