//! The handle of a server.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use contract::Contract;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ClusterHandle, Server};
use crate::adapter::AdapterError;
use crate::emit::{
    AckStream, BroadcastOperator, Emitted, NamespaceHandle, RemoteSocket, ServerAckFuture, Typed,
};
use crate::metrics::Metrics;
use crate::rooms::Rooms;
use crate::socket::Socket;
use proto::Sid;

/// A Socket.IO server, and the handle to it. It can be cloned cheaply and stored anywhere.
///
/// [`SocketIo::builder`] builds a server. [`layer`](Self::layer), [`router`](Self::router) and
/// [`service`](Self::service) mount it in an application. The handle is also an extractor, in HTTP routes and in
/// events:
///
/// ```
/// use axum::{Json, http::StatusCode};
/// use axum_socketio::SocketIo;
///
/// async fn announce(io: SocketIo, Json(text): Json<String>) -> StatusCode {
///     io.to("news").emit("announcement", text);
///     StatusCode::ACCEPTED
/// }
/// ```
///
/// `emit`, `to` and similar methods use the namespace `/`; [`of`](Self::of) selects another. Node's `Server`.
#[derive(Clone)]
pub struct SocketIo(Reference);

#[derive(Clone)]
enum Reference {
    Strong(Arc<Server>),
    /// A handle that was created before the server, for the application's state. It does not keep the server alive.
    Weak(Arc<OnceLock<Weak<Server>>>),
}

impl SocketIo {
    pub(crate) fn new(server: Server) -> Self {
        Self(Reference::Strong(Arc::new(server)))
    }

    /// Creates an empty handle for a state that the server's own handlers need. Pass it to `build_into` later.
    ///
    /// Until then, and after the server is dropped, its emits fail with
    /// [`EmitError::NoServer`](crate::emit::EmitError::NoServer).
    ///
    /// ```
    /// use axum_socketio::{Namespace, SocketIo};
    ///
    /// #[derive(Clone)]
    /// struct AppState { io: SocketIo }
    ///
    /// let io = SocketIo::handle();
    /// let state = AppState { io: io.clone() };
    /// let io = SocketIo::builder().namespace("/", Namespace::new()).with_state(state).build_into(io);
    /// ```
    #[must_use]
    pub fn handle() -> Self {
        Self(Reference::Weak(Arc::default()))
    }

    /// Connects an empty handle to this server. A handle that is already connected to a server is not changed.
    pub(crate) fn fill(&self, handle: &Self) {
        let (Reference::Strong(server), Reference::Weak(cell)) = (&self.0, &handle.0) else {
            tracing::warn!("not a handle from `SocketIo::handle`: it stays with its own server");
            return;
        };
        if cell.set(Arc::downgrade(server)).is_err() {
            tracing::warn!("the handle belongs to another server already");
        }
    }

    pub(crate) fn server(&self) -> Option<Arc<Server>> {
        match &self.0 {
            Reference::Strong(server) => Some(Arc::clone(server)),
            Reference::Weak(cell) => cell.get()?.upgrade(),
        }
    }

    /// Returns the handle of a namespace: `of("admin")` is `of("/admin")`.
    ///
    /// Events to a namespace that this server does not have fail with
    /// [`EmitError::NoNamespace`](crate::emit::EmitError::NoNamespace), and are logged; the name of a [dynamic
    /// namespace](crate::SocketIoBuilder::namespace) that does not exist yet is no error. The pattern of dynamic
    /// namespaces, as it was registered, selects all those that exist when an event is sent.
    pub fn of(&self, nsp: &str) -> NamespaceHandle {
        let Some(server) = self.server() else {
            return NamespaceHandle::missing(nsp, None);
        };
        let nsp = if nsp.starts_with('/') {
            Cow::Borrowed(nsp)
        } else {
            Cow::Owned(format!("/{nsp}"))
        };
        if let Some(dynamic) = server.namespaces.dynamic(&nsp) {
            return NamespaceHandle::dynamic(Arc::clone(dynamic));
        }
        if let Some(found) = server.namespaces.fixed(&nsp) {
            return NamespaceHandle::fixed(Arc::clone(found));
        }
        if let Some(dynamic) = server.namespaces.dynamic_of(&nsp) {
            return NamespaceHandle::child(Arc::clone(dynamic), &nsp);
        }
        NamespaceHandle::missing(&nsp, Some(Arc::clone(&server.logs)))
    }

    /// Returns the handle of a contract's namespace, which sends only events of the contract. If the contract is for
    /// [dynamic namespaces](crate::SocketIoBuilder::namespace), it is all those that exist when an event is sent.
    ///
    /// [`Typed`] has an example.
    pub fn typed<C: Contract>(&self) -> Typed<C, NamespaceHandle> {
        self.typed_at(C::NAMESPACE)
    }

    /// Returns the handle of one namespace of a contract for
    /// [dynamic namespaces](crate::SocketIoBuilder::namespace): `typed_at::<Orders>("/orders-17")`.
    pub fn typed_at<C: Contract>(&self, nsp: &str) -> Typed<C, NamespaceHandle> {
        Typed::new(self.of(nsp))
    }

    /// Selects the sockets of `/` that are in any of the rooms.
    pub fn to(&self, rooms: impl Rooms) -> BroadcastOperator {
        self.of("/").to(rooms)
    }

    /// Selects the sockets of `/` that are in none of the rooms.
    pub fn except(&self, rooms: impl Rooms) -> BroadcastOperator {
        self.of("/").except(rooms)
    }

    /// Selects the sockets of `/` on this server.
    pub fn local(&self) -> BroadcastOperator {
        self.of("/").local()
    }

    /// Selects the sockets of `/` for volatile events, which are dropped for each client that cannot be written to at
    /// once.
    pub fn volatile(&self) -> BroadcastOperator {
        self.of("/").volatile()
    }

    /// Selects the sockets of `/` for events that must not be compressed; see [`BroadcastOperator::uncompressed`].
    pub fn uncompressed(&self) -> BroadcastOperator {
        self.of("/").uncompressed()
    }

    /// Selects the sockets of `/`, and sets the time that `emit_with_ack` waits for acknowledgements.
    pub fn timeout(&self, timeout: Duration) -> BroadcastOperator {
        self.of("/").timeout(timeout)
    }

    /// Returns all sockets of `/` of all servers; see [`NamespaceHandle::fetch_sockets`].
    ///
    /// # Errors
    ///
    /// Fails if the handle has no server, or other servers do not answer.
    pub async fn fetch_sockets(&self) -> Result<Vec<RemoteSocket>, AdapterError> {
        self.of("/").fetch_sockets().await
    }

    /// Sends an event to all sockets of `/`. Arguments are as in [`Socket::emit`].
    pub fn emit<T: Serialize>(&self, event: impl AsRef<str>, args: T) -> Emitted {
        self.of("/").emit(event, args)
    }

    /// Sends an event to all sockets of `/` and collects their acknowledgements; see
    /// [`BroadcastOperator::emit_with_ack`].
    pub fn emit_with_ack<R: DeserializeOwned>(
        &self,
        event: impl AsRef<str>,
        args: impl Serialize,
    ) -> AckStream<R> {
        self.of("/").emit_with_ack(event, args)
    }

    /// Sends an event to the other servers; see [`NamespaceHandle::server_side_emit`].
    pub fn server_side_emit<T: Serialize>(&self, event: impl AsRef<str>, args: T) -> Emitted {
        self.of("/").server_side_emit(event, args)
    }

    /// Sends an event to the other servers and returns their answers; see
    /// [`NamespaceHandle::server_side_emit_with_ack`].
    pub fn server_side_emit_with_ack<R: DeserializeOwned>(
        &self,
        event: impl AsRef<str>,
        args: impl Serialize,
    ) -> ServerAckFuture<R> {
        self.of("/").server_side_emit_with_ack(event, args)
    }

    /// Returns the socket of this id in `/`, if this server holds it.
    #[must_use]
    pub fn socket(&self, id: Sid) -> Option<Socket> {
        self.of("/").socket(id)
    }

    /// Returns the number of clients that are connected to this server, over all namespaces. Node's
    /// `engine.clientsCount`.
    #[must_use]
    pub fn client_count(&self) -> usize {
        self.server().map_or(0, |server| server.connections.count())
    }

    /// Returns the metrics of this server as plain numbers, for tests and status pages. The
    /// [table](crate::guide::metrics) describes each of them.
    ///
    /// Counters are always maintained, and cost a few additions for each event. To publish them, see the feature
    /// `metrics`.
    ///
    /// ```
    /// # use axum_socketio::SocketIo;
    /// # let io = SocketIo::builder().build();
    /// let metrics = io.metrics();
    /// assert_eq!(metrics.events_received, 0);
    /// assert_eq!(metrics.connections["websocket"], 0);
    /// assert_eq!(metrics.sockets["/"], 0);
    /// ```
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.server().map_or_else(Metrics::default, |server| {
            Metrics::collect(
                |counted| server.counters.numbers(counted),
                server.namespaces.sockets(),
            )
        })
    }

    /// Returns the cluster of this server.
    #[must_use]
    pub fn cluster(&self) -> ClusterHandle {
        let server = self.server();
        ClusterHandle::new(server.as_ref().and_then(|server| server.cluster.as_ref()))
    }

    /// Returns true if new connections are accepted: false from the start of a shutdown. Useful for `/readyz`.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.server()
            .is_some_and(|server| server.connections.is_open())
    }

    /// Shuts the server down at once, like [`graceful`](Self::graceful) with a window of zero and without a signal.
    ///
    /// It returns immediately; await [`closed`](Self::closed). During a longer window of `graceful`, all connections
    /// that have not begun to drain do so now. Node's `io.close()`, which does not wait for handlers.
    pub fn close(&self) {
        if let Some(server) = self.server() {
            server.shut_down(Duration::ZERO);
        }
    }

    /// Waits for `signal`, then drains this server; to be passed to `axum::serve(…).with_graceful_shutdown(…)`.
    ///
    /// - New connections are refused with 503, and [`ready`](Self::ready) is false at once.
    /// - The existing connections begin to drain one after another, spread over the builder's `drain_window`. A
    ///   connection that drains starts no more events; waiting events are dropped without an acknowledgement. Running
    ///   handlers finish, and their events and acknowledgements are sent.
    /// - Then its sockets disconnect with [`ServerShuttingDown`](crate::DisconnectReason::ServerShuttingDown), their
    ///   disconnect handlers run, and the connection closes; the client reconnects automatically.
    /// - After the builder's `drain_limit`, counted from the signal, handlers that are still running are dropped and
    ///   their connections closed.
    ///
    /// It resolves when all connections and handlers have ended, one second after `drain_limit` at the latest. See
    /// [Operations](crate::guide::operations) for deployments. Usually `signal` is
    /// [`shutdown_signal()`](crate::shutdown_signal).
    ///
    /// # Panics
    ///
    /// Panics if it is polled outside of a Tokio runtime, like [`closed`](Self::closed).
    #[must_use = "give it to the server that listens"]
    pub fn graceful<F>(&self, signal: F) -> impl Future<Output = ()> + Send + use<F>
    where
        F: Future<Output = ()> + Send,
    {
        let io = self.clone();
        async move {
            signal.await;
            if let Some(server) = io.server() {
                server.shut_down(server.settings.drain_window);
                server.closed().await;
            }
        }
    }

    /// Resolves when a shutdown begins; at once if one has begun.
    ///
    /// It is meant for handlers that run until their client leaves: a connection is not closed before its handlers have
    /// finished, or `drain_limit` has passed.
    ///
    /// ```
    /// # use axum_socketio::{Socket, SocketIo};
    /// async fn stream(socket: Socket, io: SocketIo) {
    ///     tokio::select! {
    ///         () = rows(&socket) => {}
    ///         _ = socket.closed() => {}
    ///         () = io.shutting_down() => {}
    ///     }
    /// }
    /// # async fn rows(_: &Socket) {}
    /// ```
    pub async fn shutting_down(&self) {
        let Some(server) = self.server() else {
            return std::future::pending().await;
        };
        let begun = server.connections.shutting_down();
        // Waiting for the shutdown does not keep the server alive.
        drop(server);
        begun.await;
    }

    /// Resolves when [`close`](Self::close) or [`graceful`](Self::graceful) has begun a shutdown and all connections
    /// and handlers have ended, at the latest one second after the builder's `drain_limit`, which counts from the start
    /// of the shutdown. With a cluster, it also waits until the last messages to other servers have been sent, for at
    /// most one second more.
    pub async fn closed(&self) {
        if let Some(server) = self.server() {
            server.closed().await;
        }
    }
}

impl fmt::Debug for SocketIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nsps = self.server().map(|server| {
            server
                .namespaces
                .names()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        });
        f.debug_struct("SocketIo")
            .field("namespaces", &nsps)
            .finish_non_exhaustive()
    }
}
