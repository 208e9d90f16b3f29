//! The builder of the server and its general options.

use std::fmt;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use super::check::{check, check_namespace};
use super::limits::{ChosenLimits, MAX_RUNNING_BYTES};
use super::{Limits, Namespace, Timeouts};
use crate::adapter::ClusterConnection;
use crate::driver::SessionTable;
use crate::emit::NamespaceHandle;
use crate::http::{AllowRequest, Hooks};
use crate::ids::new_sid;
use crate::logs::ServerLogs;
use crate::metrics::Counters;
use crate::namespace::{AckFormat, DynamicNamespace, NamespaceOptions, Namespaces, Pattern};
use crate::rooms::recovery::Recovery;
use crate::rooms::recovery::Stores;
use crate::server::{EngineSettings, NewNamespaceHook, Server, Settings, SocketIo};
use crate::socket::{NamespaceHandlers, SocketNamespace};
use proto::cluster::Wire;
use proto::engine_io::Transport;
use proto::socket_io::{Codec, Parser};

/// Builds a [`SocketIo`]: namespaces and options. Every option has a default that suits most.
///
/// ```
/// use axum_socketio::{Limits, Namespace, SocketIo};
///
/// let io = SocketIo::builder()
///     .limits(Limits::new().max_payload(10_000_000))
///     .namespace("/", Namespace::new())
///     .build();
/// ```
#[must_use = "call `build`"]
pub struct SocketIoBuilder<S = ()> {
    namespaces: Vec<(String, Namespace<S>)>,
    pub(super) settings: Settings,
    pub(super) chosen: ChosenLimits,
    pub(super) options: NamespaceOptions,
    pub(super) hooks: Hooks,
    pub(super) allow: Option<MakeAllow<S>>,
    pub(super) cluster: Option<Box<dyn Wire>>,
    new_namespace: Option<NewNamespaceHook>,
}

/// Makes the handler of `allow_request` from the state.
pub(super) type MakeAllow<S> = Box<dyn FnOnce(&Arc<S>) -> AllowRequest + Send>;

impl SocketIo {
    /// Starts to build a server.
    pub fn builder<S: Send + Sync + 'static>() -> SocketIoBuilder<S> {
        SocketIoBuilder {
            namespaces: Vec::new(),
            settings: Settings {
                engine: EngineSettings::default(),
                codec: Codec::Default,
                limits: proto::socket_io::PacketLimits::default(),
                path: "/socket.io".to_owned(),
                max_namespaces: 64,
                max_auth_len: 64 * 1024,
                max_dynamic_namespaces: 10_000,
                max_queued_bytes: 8 * 1024 * 1024,
                max_running_bytes: MAX_RUNNING_BYTES,
                max_inbound_bytes: 512 * 1024 * 1024,
                max_detached_handlers: 10_000,
                max_handlers: 1024,
                max_connections: usize::MAX,
                max_connections_per_address: usize::MAX,
                max_log_records: 600,
                max_log_records_per_connection: 10,
                drain_window: Duration::from_secs(5),
                drain_limit: Duration::from_secs(30),
            },
            chosen: ChosenLimits::default(),
            options: NamespaceOptions::default(),
            hooks: Hooks::default(),
            allow: None,
            cluster: None,
            new_namespace: None,
        }
    }
}

impl<S: Send + Sync + 'static> SocketIoBuilder<S> {
    /// Adds a namespace. `"/"` exists even if it is not added: it then admits every client and handles no event. The
    /// leading slash may be left out.
    ///
    /// A name with parameters, in the syntax of axum's routes, is a pattern: a namespace is created when a client asks
    /// for a name that matches it, and is removed with its last socket. Handlers read the parameters with axum's
    /// `Path`, and a middleware that returns `false` reports that the namespace does not exist. The first matching
    /// pattern wins. [`SocketIo::of`] takes the pattern for all of its namespaces. In Node: `of(/regex/)` and `of(fn)`.
    ///
    /// ```
    /// use axum::extract::Path;
    /// use axum_socketio::{Namespace, SocketIo};
    ///
    /// async fn is_open(Path(order): Path<u64>) -> bool { order > 0 }
    ///
    /// let orders = Namespace::new().middleware(is_open);
    /// let io = SocketIo::builder().namespace("/orders-{id}", orders).build();
    /// io.of("/orders-7").emit("shipped", ());        // to one of them
    /// io.of("/orders-{id}").emit("closing", ());     // to all there are
    /// ```
    ///
    /// # Panics
    ///
    /// When the server is built, if axum rejects the pattern.
    pub fn namespace(mut self, name: impl Into<String>, namespace: Namespace<S>) -> Self {
        let mut name = name.into();
        if !name.starts_with('/') {
            name.insert(0, '/');
        }
        self.namespaces.push((name, namespace));
        self
    }

    /// Sets a hook that is called for each new [dynamic namespace](Self::namespace) of this server, when its first
    /// socket has been admitted and before `on_connect` runs. Node's `new_namespace` event.
    ///
    /// A namespace that middleware refuse is not new. A namespace whose last socket has left is new again when the next
    /// one joins.
    ///
    /// It is called on the task of the socket's connection, and should be quick: spawn longer work.
    ///
    /// ```
    /// use axum_socketio::{Namespace, SocketIo};
    ///
    /// let io = SocketIo::builder()
    ///     .namespace("/orders-{id}", Namespace::new())
    ///     .on_new_namespace(|namespace| println!("somebody watches {}", namespace.name()))
    ///     .build();
    /// ```
    pub fn on_new_namespace(
        mut self,
        hook: impl Fn(&NamespaceHandle) + Send + Sync + 'static,
    ) -> Self {
        self.new_namespace = Some(Arc::new(hook));
        self
    }

    /// Supplies the state of all handlers, as `Router::with_state` does. It comes after the namespaces that need the
    /// state.
    pub fn with_state(self, state: S) -> SocketIoBuilder {
        let Self {
            namespaces,
            settings,
            chosen,
            options,
            mut hooks,
            allow,
            cluster,
            new_namespace,
        } = self;
        let state = Arc::new(state);
        if let Some(allow) = allow {
            hooks.allow = Some(allow(&state));
        }
        let namespaces = namespaces
            .into_iter()
            .map(|(name, namespace)| (name, namespace.with_shared_state(Arc::clone(&state))))
            .collect();
        SocketIoBuilder {
            namespaces,
            settings,
            chosen,
            options,
            hooks,
            allow: None,
            cluster,
            new_namespace,
        }
    }

    /// Sets limits of the memory and the work that clients can cost the server. Limits that are not set in `limits`
    /// keep their values; the type lists the defaults.
    pub fn limits(mut self, limits: Limits) -> Self {
        limits.apply(&mut self.settings, &mut self.options, &mut self.chosen);
        self
    }

    /// Sets intervals, timeouts and deadlines. Times that are not set in `timeouts` keep their values; the type lists
    /// the defaults.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        timeouts.apply(&mut self.settings, &mut self.options);
        self
    }

    /// Sets the path that [`SocketIo::layer`] and [`SocketIo::router`] answer. Default: `/socket.io`. Node's `path`.
    ///
    /// Clients ask for it with a slash at the end; both forms are answered.
    pub fn path(mut self, path: impl AsRef<str>) -> Self {
        self.settings.path = format!("/{}", path.as_ref().trim_matches('/'));
        self
    }

    /// Sets the transports that are served. Default: both. Node's `transports`.
    pub fn transports(mut self, transports: impl IntoIterator<Item = Transport>) -> Self {
        self.settings.engine.transports = transports.into_iter().collect();
        self
    }

    /// Refuses upgrades from polling to WebSocket, which are possible by default. A connection may start with WebSocket
    /// in any case; see [`transports`](Self::transports). Node's `allowUpgrades: false`.
    pub fn without_upgrades(mut self) -> Self {
        self.settings.engine.allow_upgrades = false;
        self
    }

    /// Compresses WebSocket messages if the client offers permessage-deflate; see
    /// [`Compression`](crate::config::Compression). Default: no compression, as in Node, whose option is
    /// `perMessageDeflate`. Polling responses are compressed by a tower layer around the server.
    #[cfg(feature = "compression")]
    #[cfg_attr(docsrs, doc(cfg(feature = "compression")))]
    pub fn compression(mut self, compression: crate::config::Compression) -> Self {
        self.settings.engine.compression = Some(compression);
        self
    }

    /// Lets clients of Engine.IO revision 3 connect: those of Socket.IO 2 and older. By default, they are refused with
    /// 400 `{"code":5,"message":"Unsupported protocol version"}`. Node's `allowEIO3`.
    ///
    /// They join `/` by connecting, and send no auth: [`Auth`](crate::Auth) is made of the query. In `/`, that is the
    /// query of the handshake; elsewhere, it is the query behind the namespace's name (`/admin?token=x`). The id of
    /// their socket is that of their session: do not show it to other clients. They send the pings, and cannot
    /// [recover](crate::config::Recovery).
    #[cfg(feature = "v3")]
    #[cfg_attr(docsrs, doc(cfg(feature = "v3")))]
    pub fn allow_eio3(mut self) -> Self {
        self.settings.engine.allow_eio3 = true;
        self
    }

    /// Sets the format in which packets are written, for clients that use the same [`Parser`]. Default: the format that
    /// every client supports. Node's `parser`. See [`parser`](crate::parser).
    pub fn parser(mut self, parser: impl Parser) -> Self {
        self.settings.codec = Codec::Other(Arc::new(parser));
        self
    }

    /// Sets the shape of acknowledgements. Default: [`AckFormat::Value`].
    pub fn ack_format(mut self, format: AckFormat) -> Self {
        self.options.ack_format = format;
        self
    }

    /// Stores the events that clients miss while they are disconnected; see [`Recovery`]. Default: nothing is stored.
    /// Node's `connectionStateRecovery`.
    pub fn recovery(mut self, recovery: Recovery) -> Self {
        self.options.recovery = Some(recovery);
        self
    }

    /// Sets the stores in which servers share what they keep for recovery.
    #[cfg(all(test, feature = "testing"))]
    pub(crate) fn recovery_stores(mut self, stores: Arc<dyn Stores>) -> Self {
        self.options.stores = Some(stores);
        self
    }

    /// Makes this server one of several that act as one, connected by an engine:
    /// [`LocalCluster`](crate::cluster::LocalCluster) for servers in one process.
    ///
    /// ```
    /// use axum_socketio::SocketIo;
    /// use axum_socketio::cluster::LocalCluster;
    ///
    /// let io = SocketIo::builder::<()>().cluster(LocalCluster::new()).build();
    /// ```
    pub fn cluster(mut self, wire: impl Wire) -> Self {
        self.cluster = Some(Box::new(wire));
        self
    }
}

/// A server whose handlers need no state, or already have it.
///
/// It is implemented for the builder, and not for the state, so that the compiler can infer a state that is not named.
#[diagnostic::on_unimplemented(
    message = "the handlers of this server need the state `{S}`: call `.with_state(state)` before `.build()`",
    label = "`with_state` is missing",
    note = "`with_state` comes after the namespaces whose handlers need the state, and before `build` and `build_into`"
)]
pub trait HasState<S> {
    #[doc(hidden)]
    fn ready(self) -> SocketIoBuilder;
}

impl HasState<()> for SocketIoBuilder {
    fn ready(self) -> SocketIoBuilder {
        self
    }
}

impl<S: Send + Sync + 'static> SocketIoBuilder<S> {
    /// Builds the server. Handlers that need a state get it from [`with_state`](Self::with_state) first.
    #[must_use]
    pub fn build(self) -> SocketIo
    where
        Self: HasState<S>,
    {
        self.ready().finish()
    }

    /// Builds the server and points `handle` to it, which was made by [`SocketIo::handle`] before the state.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "it has no other use")]
    pub fn build_into(self, handle: SocketIo) -> SocketIo
    where
        Self: HasState<S>,
    {
        let io = self.build();
        io.fill(&handle);
        io
    }
}

impl SocketIoBuilder {
    fn finish(self) -> SocketIo {
        let Self {
            namespaces,
            mut settings,
            chosen,
            mut options,
            mut hooks,
            allow,
            cluster,
            new_namespace,
        } = self;
        chosen.fill(&mut settings);
        options.compressed_from = { settings.engine.compression }.map(|wanted| wanted.least());
        options.codec = settings.codec.clone();
        options.detection = settings.engine.session.silence();
        let nothing = Arc::new(());
        if let Some(allow) = allow {
            hooks.allow = Some(allow(&nothing));
        }
        check(&settings, &hooks);
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let counters = Arc::new(Counters::new(threads));
        let logs = Arc::new(ServerLogs::new(
            Arc::clone(&counters),
            settings.max_log_records_per_connection,
            settings.max_log_records,
        ));
        let cluster = cluster.and_then(|wire| connect(&*wire, &logs, &mut options));
        let mut running = Namespaces::default();
        let root = ("/".to_owned(), Namespace::new());
        let declared = namespaces.iter().any(|(name, _)| name == "/");
        for (name, namespace) in namespaces.into_iter().chain((!declared).then_some(root)) {
            let (handlers, options) = namespace.finish(&nothing, options.clone());
            check_namespace(&name, &handlers, &settings);
            let max = settings.max_dynamic_namespaces;
            add(&mut running, &name.into(), handlers, options, max, &logs);
        }
        let connections = Arc::new(SessionTable::new(&settings));
        SocketIo::new(Server {
            settings,
            hooks,
            namespaces: running,
            counters,
            logs,
            connections,
            cluster,
            new_namespace,
        })
    }
}

/// Connects a server to the engine of its cluster. Returns `None` if there is no randomness for its id.
fn connect(
    wire: &dyn Wire,
    logs: &Arc<ServerLogs>,
    options: &mut NamespaceOptions,
) -> Option<Arc<ClusterConnection>> {
    let uid = new_sid()?.as_str().into();
    let cluster = ClusterConnection::connect(wire, uid, Arc::clone(logs));
    let keeps_sessions = cluster.open(&"/".into()).is_some();
    if options.recovery.is_some() && !keeps_sessions {
        tracing::warn!(
            "clients can recover only on the server that they were connected to: the engine of the cluster keeps no \
             events and sessions"
        );
    }
    options.cluster = Some(Arc::clone(&cluster));
    options.stores = Some(Arc::clone(&cluster) as _);
    Some(cluster)
}

/// Adds a namespace or, if the name is a pattern, at most `max` dynamic namespaces.
fn add(
    running: &mut Namespaces<NamespaceHandlers>,
    name: &Arc<str>,
    handlers: NamespaceHandlers,
    options: NamespaceOptions,
    max: usize,
    logs: &Arc<ServerLogs>,
) {
    let (id, handlers) = (Arc::clone(name), Arc::new(handlers));
    let first = if Pattern::is(name) {
        let pattern = Pattern::new(name);
        let logs = Arc::clone(logs);
        running.add_dynamic(DynamicNamespace::new(
            id, pattern, handlers, options, max, logs,
        ))
    } else {
        running.add(SocketNamespace::new(id, handlers, options, logs, None))
    };
    if !first {
        tracing::warn!(
            nsp = &**name,
            "two namespaces of one name: the second replaces the first"
        );
    }
}

impl<S> fmt::Debug for SocketIoBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.namespaces.iter().map(|(name, _)| name).collect();
        f.debug_struct("SocketIoBuilder")
            .field("namespaces", &names)
            .finish_non_exhaustive()
    }
}
