//! The handle that everybody clones.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{
    AckStream, Broadcast, Emitted, Hooks, Nsps, RemoteSocket, ServerAckFuture, ServerLogs, Socket,
};
use crate::adapter::{AdapterError, BoxFuture};
use crate::engine::Config;
use crate::metrics::{Counters, Metrics};
use crate::protocol::Sid;
use crate::protocol::socket_io::{Codec, Limits};
use crate::rooms::{Rooms, Target};

/// A Socket.IO server, and the handle to it: cloning it is cheap, and it may be kept anywhere.
///
/// Built once with [`SocketIo::builder`]; [`layer`](Self::layer), [`router`](Self::router) and [`service`](Self::service)
/// are views of it that mount it in an application. It is also an extractor, in HTTP routes and in events:
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
/// `emit`, `to` and the like speak to the namespace `/`; [`of`](Self::of) chooses another. Node's `Server`.
#[derive(Clone)]
pub struct SocketIo(Reference);

#[derive(Clone)]
enum Reference {
    Strong(Arc<Server>),
    /// Made before the server, so that the application's state can hold it: it keeps nothing alive.
    Weak(Arc<OnceLock<Weak<Server>>>),
}

/// Limits and habits of the whole server.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) engine: Config,
    pub(crate) codec: Codec,
    pub(crate) limits: Limits,
    pub(crate) path: String,
    pub(crate) max_namespaces: usize,
    /// Of the auth in a CONNECT, in bytes.
    pub(crate) max_auth_len: usize,
    /// Of one pattern.
    pub(crate) max_dynamic_namespaces: usize,
    /// The events of a connection that wait for handlers, in bytes.
    pub(crate) max_queued_bytes: usize,
    /// The events of a connection whose handlers run, in bytes; there once the server is built.
    pub(crate) max_running_bytes: Option<usize>,
    /// The attachments of a packet, in bytes; goes into `limits` when the server is built.
    pub(crate) max_packet_bytes: Option<usize>,
    /// What all connections hold of their clients' input, in bytes.
    pub(crate) max_inbound_bytes: usize,
    /// Handlers that go on after their connections have closed, of all connections.
    pub(crate) max_detached_handlers: usize,
    /// Handlers under way, over all namespaces of a connection.
    pub(crate) max_handlers: usize,
    pub(crate) max_connections: usize,
    pub(crate) max_connections_per_address: usize,
    /// Warnings and errors that clients cause, in a minute.
    pub(crate) max_log_records: u32,
    pub(crate) max_log_records_per_connection: u32,
    pub(crate) drain_window: Duration,
    pub(crate) drain_limit: Duration,
}

/// The least default of `max_running_bytes`.
const MAX_RUNNING_BYTES: usize = 16 * 1024 * 1024;

impl Settings {
    /// Gives the limits that depend on others their defaults.
    pub(crate) fn fill_limits(&mut self) {
        let largest = self.engine.max_payload;
        let packet = self.limits.max_attachments.saturating_mul(largest);
        self.limits.max_packet_bytes = self.max_packet_bytes.unwrap_or(packet);
        let running = packet.max(MAX_RUNNING_BYTES);
        self.max_running_bytes.get_or_insert(running);
    }
}

pub(crate) struct Server {
    pub(crate) settings: Settings,
    pub(crate) hooks: Hooks,
    pub(crate) nsps: Nsps,
    pub(crate) counters: Arc<Counters>,
    pub(crate) logs: Arc<ServerLogs>,
    pub(crate) connections: Arc<dyn Connections>,
}

/// The connections, which the layer above holds.
pub(crate) trait Connections: Any + Send + Sync {
    /// Refuses new connections from now on, and drains the existing ones, beginning one after another over `window`. They and
    /// their handlers have `limit` to end, counted from the first call.
    fn shut_down(&self, window: Duration, limit: Duration);
    /// Whether new connections are taken.
    fn is_open(&self) -> bool;
    fn count(&self) -> usize;
    /// Resolves when a shutdown begins.
    fn shutting_down(&self) -> BoxFuture<()>;
    /// Resolves when, after [`shut_down`](Self::shut_down), all connections and their handlers are done, or the time for it
    /// is over.
    fn closed(&self) -> BoxFuture<()>;
}

impl SocketIo {
    pub(crate) fn new(server: Server) -> Self {
        Self(Reference::Strong(Arc::new(server)))
    }

    /// An empty handle, for a state that the server's own handlers need: give it to `build_into` later.
    ///
    /// Until then, and after the server is gone, what it emits goes nowhere.
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

    /// Points an empty handle to this server. The first server it is pointed to stays.
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

    /// A namespace: `of("admin")` is `of("/admin")`. Never fails: what is emitted to a namespace that this server does
    /// not have goes nowhere. The pattern of [dynamic namespaces](crate::SocketIoBuilder::namespace), as it was registered,
    /// is all those that there are when something is sent.
    pub fn of(&self, nsp: &str) -> Broadcast {
        let Some(server) = self.server() else {
            tracing::debug!(nsp, "this handle has no server");
            return Broadcast::nowhere();
        };
        let nsp = if nsp.starts_with('/') {
            Cow::Borrowed(nsp)
        } else {
            Cow::Owned(format!("/{nsp}"))
        };
        if let Some(family) = server.nsps.family(&nsp) {
            return Broadcast::family(Arc::clone(family));
        }
        if let Some(found) = server.nsps.fixed(&nsp) {
            return Broadcast::new(Arc::clone(found), Target::default());
        }
        if let Some(family) = server.nsps.family_of(&nsp) {
            return Broadcast::child(Arc::clone(family), &nsp);
        }
        tracing::debug!(nsp = &*nsp, "this server has no such namespace");
        Broadcast::nowhere()
    }

    /// The sockets of `/` that are in any of the rooms.
    pub fn to(&self, rooms: impl Rooms) -> Broadcast {
        self.of("/").to(rooms)
    }

    /// The sockets of `/` that are in none of the rooms.
    pub fn except(&self, rooms: impl Rooms) -> Broadcast {
        self.of("/").except(rooms)
    }

    /// The sockets of `/` on this server.
    pub fn local(&self) -> Broadcast {
        self.of("/").local()
    }

    /// The sockets of `/`; what is emitted is dropped for each client that cannot be written to at once.
    pub fn volatile(&self) -> Broadcast {
        self.of("/").volatile()
    }

    /// The sockets of `/`; whether what is emitted may be compressed.
    pub fn compress(&self, compress: bool) -> Broadcast {
        self.of("/").compress(compress)
    }

    /// The sockets of `/`; how long `emit_with_ack` waits for their answers.
    pub fn timeout(&self, timeout: Duration) -> Broadcast {
        self.of("/").timeout(timeout)
    }

    /// All sockets of `/`, wherever they are held; see [`Broadcast::fetch_sockets`].
    ///
    /// # Errors
    ///
    /// When other servers do not answer.
    pub async fn fetch_sockets(&self) -> Result<Vec<RemoteSocket>, AdapterError> {
        self.of("/").fetch_sockets().await
    }

    /// Sends an event to all sockets of `/`. Arguments as in [`Socket::emit`].
    pub fn emit<T: Serialize>(&self, event: impl AsRef<str>, args: T) -> Emitted {
        self.of("/").emit(event, args)
    }

    /// Asks all sockets of `/`; see [`Broadcast::emit_with_ack`].
    pub fn emit_with_ack<R: DeserializeOwned>(
        &self,
        event: impl AsRef<str>,
        args: impl Serialize,
    ) -> AckStream<R> {
        self.of("/").emit_with_ack(event, args)
    }

    /// Sends an event to the other servers; see [`Broadcast::server_side_emit`].
    pub fn server_side_emit<T: Serialize>(&self, event: impl AsRef<str>, args: T) -> Emitted {
        self.of("/").server_side_emit(event, args)
    }

    /// Asks the other servers; see [`Broadcast::server_side_emit_with_ack`].
    pub fn server_side_emit_with_ack<R: DeserializeOwned>(
        &self,
        event: impl AsRef<str>,
        args: impl Serialize,
    ) -> ServerAckFuture<R> {
        self.of("/").server_side_emit_with_ack(event, args)
    }

    /// The socket of that id in `/`, if this server holds it.
    #[must_use]
    pub fn socket(&self, id: Sid) -> Option<Socket> {
        self.of("/").socket(id)
    }

    /// How many clients are connected to this server, over all namespaces. Node's `engine.clientsCount`.
    #[must_use]
    pub fn client_count(&self) -> usize {
        self.server().map_or(0, |server| server.connections.count())
    }

    /// What this server has counted, and how many of what there are now, as plain numbers: for tests and pages of your own. The
    /// [table](crate::guide::metrics) says what each of them means.
    ///
    /// Counters are there whether or not anybody looks, and cost a few additions for each event. To publish them, see the
    /// feature `metrics`.
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
            Metrics::read(&server.counters, server.nsps.sockets())
        })
    }

    /// Whether new connections are taken: false from the start of a shutdown. For `/readyz`.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.server()
            .is_some_and(|server| server.connections.is_open())
    }

    /// Shuts down at once: [`graceful`](Self::graceful) with a window of zero, and without a signal to wait for. It returns
    /// immediately; await [`closed`](Self::closed). During a longer window of `graceful`, all connections that have not begun to
    /// drain do so now.
    ///
    /// Node's `io.close()`, which does not wait for handlers.
    pub fn close(&self) {
        if let Some(server) = self.server() {
            server.shut_down(Duration::ZERO);
        }
    }

    /// A signal for `axum::serve(…).with_graceful_shutdown(…)`: waits for `signal`, then drains this server.
    ///
    /// - New connections are refused with 503, and [`ready`](Self::ready) is false at once.
    /// - The existing connections begin to drain one after another, spread over the builder's `drain_window`. A connection
    ///   that drains starts no more events; those that wait are dropped without an acknowledgement. Handlers that are running
    ///   finish, and what they emit and their acknowledgements are sent.
    /// - Then its sockets disconnect with [`ServerShuttingDown`](crate::DisconnectReason::ServerShuttingDown), their disconnect
    ///   handlers run, and the connection closes; the client reconnects by itself.
    /// - After the builder's `drain_limit`, counted from the signal, handlers that are still running are dropped and their
    ///   connections closed.
    ///
    /// It resolves when all connections and handlers have ended, one second after `drain_limit` at the latest. See
    /// [Operations](crate::guide::operations) for deploys. Usually `signal` is
    /// [`shutdown_signal()`](crate::shutdown_signal).
    ///
    /// # Panics
    ///
    /// When it is polled outside of a Tokio runtime, as [`closed`](Self::closed).
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

    /// Resolves when a shutdown begins; at once if one has. For handlers that run until their client leaves: a connection is
    /// not closed before its handlers have finished, or `drain_limit` has passed.
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
        // Not kept alive by who waits for its end.
        drop(server);
        begun.await;
    }

    /// Waits until [`close`](Self::close) or [`graceful`](Self::graceful) has begun a shutdown and all connections and handlers
    /// have ended, one second after the builder's `drain_limit` at the latest, which counts from the start of the shutdown.
    pub async fn closed(&self) {
        if let Some(server) = self.server() {
            server.closed().await;
        }
    }
}

impl Server {
    fn shut_down(&self, window: Duration) {
        self.connections
            .shut_down(window, self.settings.drain_limit);
    }

    async fn closed(&self) {
        self.connections.closed().await;
        // Not before: what handlers emit when their sockets leave is for the other servers too.
        self.nsps.close();
    }
}

impl fmt::Debug for SocketIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nsps = self
            .server()
            .map(|server| server.nsps.names().map(str::to_owned).collect::<Vec<_>>());
        f.debug_struct("SocketIo")
            .field("namespaces", &nsps)
            .finish_non_exhaustive()
    }
}
