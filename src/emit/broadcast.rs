//! Emits to many sockets: operators that select them, and what can be done to them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ack_stream::AckStream;
use super::emitted::{Emitted, event_args};
use super::selection::SelectedNamespaces;
use super::wait::Wait;
use crate::adapter::{AdapterError, Publication};
use crate::logs::may_log;
use crate::metrics::{Counted, EmitScope};
use crate::outbox::Reliability;
use crate::rooms::{Room, Rooms, Scope, Target};
use crate::socket::{Socket, SocketNamespace};

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
pub struct BroadcastOperator {
    pub(super) namespaces: SelectedNamespaces,
    pub(super) target: Target,
    pub(super) wait: Wait,
}

impl BroadcastOperator {
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
        self.target.options.reliability = Reliability::Volatile;
        self
    }

    /// Sends the event without compression to clients with which compression was negotiated, because it is compressed
    /// already or holds a secret. Node's `compress(false)`.
    pub fn uncompressed(mut self) -> Self {
        self.target.options.uncompressed = true;
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
        let recipients = match self.namespaces.recipients() {
            Ok(recipients) => recipients,
            Err(missing) => return Emitted::missing(missing),
        };
        let counters = &recipients.counters;
        // An emit counts once, however many namespaces the pattern has.
        counters.add(Counted::Emits(EmitScope::Broadcast), 1);
        let sent = event_args(event, &args).map(|args| {
            let target = &self.target;
            let delivered = recipients.adapter.broadcast(Publication { args, target });
            tracing::trace!(nsp = &*recipients.name, event, ?delivered, "broadcast");
            !delivered.is_unpublished
        });
        Emitted::published_or_not(sent, counters)
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
        let recipients = match self.namespaces.recipients() {
            Ok(recipients) => recipients,
            Err(missing) => return AckStream::failed(Emitted::missing(missing)),
        };
        recipients
            .counters
            .add(Counted::Emits(EmitScope::Broadcast), 1);
        match event_args(event.as_ref(), &args) {
            Ok(args) => AckStream::ask(recipients.into_owned(), &self.target, args, self.wait),
            Err(error) => AckStream::failed(Emitted::new(Err(error), &recipients.counters)),
        }
    }

    /// Returns the number of selected sockets of all servers, without fetching them.
    ///
    /// # Errors
    ///
    /// Fails if the server has no such namespace, or other servers do not answer.
    pub async fn count(&self) -> Result<usize, AdapterError> {
        let recipients = self.namespaces.recipients()?.into_owned();
        recipients.adapter.count(&self.target).await
    }

    /// Makes all selected sockets join rooms, within the limits of [`Socket::join`]. Node's `socketsJoin`.
    pub fn join(&self, rooms: impl Rooms) {
        let mut rooms = names(rooms);
        let Ok(recipients) = self.namespaces.recipients() else {
            return;
        };
        let limit = recipients.max_room_len;
        rooms.retain(|room| {
            let fits = room.len() <= limit;
            if !fits {
                log_long_room(&recipients.name, limit);
            }
            fits
        });
        recipients.adapter.join(&self.target, &rooms);
    }

    /// Makes all selected sockets leave rooms. Node's `socketsLeave`.
    pub fn leave(&self, rooms: impl Rooms) {
        let rooms = names(rooms);
        if let Ok(recipients) = self.namespaces.recipients() {
            recipients.adapter.leave(&self.target, &rooms);
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
        if let Ok(recipients) = self.namespaces.recipients() {
            recipients.adapter.disconnect(&self.target, scope);
        }
    }

    /// Returns the selected sockets of this server, without asking others.
    #[must_use]
    pub fn local_sockets(&self) -> Vec<Socket> {
        let mut sockets = Vec::new();
        for namespace in self.namespaces.here().unwrap_or_default() {
            let members = namespace.members.select(&self.target);
            sockets.extend(members.iter().filter_map(|member| Socket::of(member)));
        }
        sockets
    }

    /// Disconnects the selected sockets of this server for which `condition` returns true, and returns their number.
    pub fn disconnect_where(&self, mut condition: impl FnMut(&Socket) -> bool) -> usize {
        let mut chosen = self.local_sockets();
        chosen.retain(|socket| condition(socket));
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

impl fmt::Debug for BroadcastOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BroadcastOperator")
            .field("nsp", &self.namespaces.name())
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
