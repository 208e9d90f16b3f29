//! Redis as the engine of an [axum-socketio] cluster.
//!
//! Clients of all servers then receive what any of them emits. The servers exchange the messages of a Node.js
//! adapter, so Node.js servers can be part of the cluster. All servers of a cluster need the same adapter:
//!
//! | adapter | here | Redis |
//! |---|---|---|
//! | [`createAdapter`], which most servers use | [`Redis::connect`] | 6 or newer |
//! | [`createShardedAdapter`] | [`Redis::sharded`] | 7 or newer |
//! | [`createAdapter` of `@socket.io/redis-streams-adapter`] | [`Redis::streams`] | 6 or newer |
//!
//! ```no_run
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! use axum_socketio::{Namespace, SocketIo};
//! use axum_socketio_redis::Redis;
//!
//! let io = SocketIo::builder()
//!     .cluster(Redis::connect("redis://127.0.0.1/").await?)
//!     .namespace("/", Namespace::new())
//!     .build();
//! # let _: SocketIo = io;
//! # Ok(()) }
//! ```
//!
//! # Rooms
//!
//! A server subscribes to the rooms in which it has members, those of its sockets' own ids included, and gets the
//! messages for one room only if it is one of these. With `createAdapter`, a Node.js server gets the messages of all
//! rooms. A client is connected, and a join is complete, when Redis has confirmed the subscription, or after a second
//! if it does not answer. Rooms are released [some seconds](Redis::release_rooms_after) after their last member has
//! left.
//!
//! If a Node.js server makes sockets of other servers join a room, and emits to that room at once, these servers have
//! not subscribed yet, and the event is lost for them. Code like this needs [`Redis::pattern_for`]:
//!
//! ```js
//! io.in(userId).socketsJoin("game"); // the sockets are on other servers
//! io.to("game").emit("start");
//! ```
//!
//! Events that servers of this crate emit are not affected: for a second after such a join, they are sent to all
//! servers.
//!
//! # What is lost
//!
//! Redis keeps no messages, except in [streams](Redis::streams). While a server is not connected to it, that server's
//! events do not reach the clients of other servers, and it receives none of theirs, or later if they are in a stream.
//! Local clients are not affected, and emits neither wait nor fail. The server reconnects without end, and subscribes
//! to everything again.
//!
//! # Programs without a server
//!
//! An [`Emitter`] sends events to the clients of all servers, from any program. Servers understand
//! [`@socket.io/redis-emitter`] as well, with the messages of `createAdapter`.
//!
//! [`@socket.io/redis-emitter`]: https://socket.io/docs/v4/redis-adapter/#emitter
//! [`createAdapter`]: https://socket.io/docs/v4/redis-adapter/
//! [`createAdapter` of `@socket.io/redis-streams-adapter`]: https://socket.io/docs/v4/redis-streams-adapter/
//! [`createShardedAdapter`]: https://socket.io/docs/v4/redis-adapter/#with-redis-sharded-pubsub
//! [axum-socketio]: https://docs.rs/axum-socketio

mod address;
mod channels;
mod connection;
mod connector;
mod destination;
mod discovery;
mod emitter;
mod entry_id;
mod error;
mod feeds;
mod inbound;
mod masters;
mod node;
mod nodes;
mod other_options;
mod publisher;
mod pubsub;
mod reader;
mod sessions;
mod settings;
mod shared_connection;
mod store;
mod stores;
mod streams;
mod subscriber;
#[cfg(feature = "tls")]
mod tls;
mod topology;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use connection::Connection;
use connector::{Connector, connection_config};
use proto::cluster::{Family, Receiver, Wire, WireConnection};
use settings::{Mode, RedisSettings};
use topology::Topology;

pub use emitter::Emitter;
pub use error::{EmitError, RedisConnectError};
pub use settings::SubscriptionMode;
pub use streams::Streams;
#[cfg(feature = "tls")]
pub use tokio_rustls::rustls;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// A connection to Redis, passed to `SocketIoBuilder::cluster`.
#[derive(Clone)]
pub struct Redis {
    connector: Connector,
    settings: RedisSettings,
    /// The masters, if this is a Redis Cluster.
    topology: Option<Topology>,
    runtime: Handle,
}

impl Redis {
    /// Connects to a server of Redis, by an URL:
    ///
    /// | URL | server |
    /// |---|---|
    /// | `redis://user:password@host:6379/` | over TCP |
    /// | `rediss://user:password@host:6379/` | over TCP with TLS (feature `tls`) |
    /// | `unix:/run/redis.sock?user=ann&pass=secret` | on the same machine |
    /// | `redis+sentinel://user:password@host1:26379,host2/name` | the master of this name, which sentinels know |
    /// | `redis+cluster://user:password@host1:6379,host2` | all masters of a Redis Cluster that has these servers |
    ///
    /// All parts but the host, the path and the name may be left out. A user of Redis needs the channels of the prefix
    /// (`&socket.io*`) and the commands `SUBSCRIBE`, `UNSUBSCRIBE`, `PSUBSCRIBE`, `PUNSUBSCRIBE`, `PUBLISH`, `PUBSUB`
    /// and `PING`, or their sharded forms; with sentinels also `ROLE`.
    ///
    /// With a Redis Cluster, the messages are those of [`sharded`](Self::sharded) pub/sub. A server is connected to all
    /// masters, and follows channels whose slots are moved, and replicas that replace a master. Users also need
    /// `CLUSTER INFO` and `CLUSTER SLOTS`.
    ///
    /// With TLS, the server needs a certificate for its name in the URL that the root certificates of the system trust:
    /// see `connect_with_tls` for others. `rediss+sentinel:` and `rediss+cluster:` are for servers that all use TLS.
    ///
    /// Connections speak RESP3. For an engine that does not, `?protocol=resp2` is added to the URL; a server then has
    /// one more connection. It has no effect on servers with [`sharded`](Self::sharded).
    ///
    /// Sentinels are asked again for each new connection. If they have a password, it is `?sentinel_password=` in the
    /// URL, and the user `sentinel_user`.
    ///
    /// The messages are those of Node's `createAdapter`, unless [`sharded`](Self::sharded) or
    /// [`streams`](Self::streams) is called. Streams need the keys of their names (`~socket.io*`) and the commands
    /// `XADD`, `XREAD` and `XINFO`; recovery the keys of sessions (`~sio:session:*`) and the commands `XRANGE`, `GET`,
    /// `SET`, `DEL`, `MULTI` and `EXEC`.
    ///
    /// The tasks of the connection run on the runtime that awaits this.
    ///
    /// # Errors
    ///
    /// Fails if the URL is malformed, or if the server cannot be reached or refuses the connection.
    pub async fn connect(url: &str) -> Result<Self, RedisConnectError> {
        Self::over(Connector::new(url).map_err(RedisConnectError::url)?).await
    }

    /// Connects with a TLS configuration of the program, such as one with a client certificate or with other root
    /// certificates than those of the system. The URL begins with `rediss:`,
    /// `rediss+sentinel:` or `rediss+cluster:`.
    ///
    /// ```no_run
    /// # async fn f(roots: axum_socketio_redis::rustls::RootCertStore) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::sync::Arc;
    ///
    /// use axum_socketio_redis::Redis;
    /// use axum_socketio_redis::rustls::{ClientConfig, crypto};
    ///
    /// let provider = Arc::new(crypto::ring::default_provider());
    /// let tls = ClientConfig::builder_with_provider(provider)
    ///     .with_safe_default_protocol_versions()?
    ///     .with_root_certificates(roots)
    ///     .with_no_client_auth();
    /// let redis = Redis::connect_with_tls("rediss://redis.example.com/", tls).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect). Also fails if the certificate of the server is not trusted.
    #[cfg(feature = "tls")]
    pub async fn connect_with_tls(
        url: &str,
        tls: impl Into<Arc<rustls::ClientConfig>>,
    ) -> Result<Self, RedisConnectError> {
        let connector = Connector::with_tls(url, tls::Tls::new(tls.into()));
        Self::over(connector.map_err(RedisConnectError::url)?).await
    }

    async fn over(connector: Connector) -> Result<Self, RedisConnectError> {
        let failed = |error| RedisConnectError::new(connector.address(), error);
        let mut settings = RedisSettings::new();
        let topology = match connector.seeds() {
            Some(seeds) => {
                settings.mode = Mode::Sharded(SubscriptionMode::default());
                Some(Box::pin(masters::find(&seeds)).await.map_err(failed)?)
            }
            None => None,
        };
        let mut probe = connector.open(&connection_config()).await.map_err(failed)?;
        let ping: Result<(), _> = redis::cmd("PING").query_async(&mut probe).await;
        ping.map_err(failed)?;
        Ok(Self {
            connector,
            settings,
            topology,
            runtime: Handle::current(),
        })
    }

    /// Returns an emitter with the same address and options, for events without a server. It connects when it first
    /// sends an event.
    #[must_use]
    pub fn emitter(&self) -> Emitter {
        Emitter::new(self.connector.clone(), self.settings.clone())
    }

    /// Uses the messages and channels of Node's `createShardedAdapter`, with its `subscriptionMode`. With a Redis
    /// Cluster, they are used anyway, in the mode [`Dynamic`](SubscriptionMode::Dynamic) unless this sets another one.
    ///
    /// ```no_run
    /// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
    /// use axum_socketio_redis::{Redis, SubscriptionMode};
    ///
    /// let redis = Redis::connect("redis+cluster://redis-1,redis-2:6380").await?;
    /// let redis = redis.sharded(SubscriptionMode::Static);
    /// # drop(redis);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn sharded(mut self, mode: SubscriptionMode) -> Self {
        self.settings.mode = Mode::Sharded(mode);
        self
    }

    /// Uses the streams, messages and channels of Node's `@socket.io/redis-streams-adapter` 0.3, with its options.
    ///
    /// Servers read the events that were emitted while they were not connected to Redis, unless the streams have been
    /// trimmed or have lost them. With `SocketIoBuilder::recovery`, sessions are saved in Redis, and a client resumes
    /// its session on any server; see the document [Connection state recovery].
    ///
    /// Streams are not used with a Redis Cluster: an error is logged, and messages are exchanged by sharded pub/sub.
    ///
    /// [Connection state recovery]: https://docs.rs/axum-socketio/latest/axum_socketio/guide/
    ///
    /// ```no_run
    /// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
    /// use axum_socketio_redis::{Redis, Streams};
    ///
    /// let redis = Redis::connect("redis://127.0.0.1/").await?;
    /// let redis = redis.streams(Streams::new().max_len(100_000));
    /// # drop(redis);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn streams(mut self, options: Streams) -> Self {
        if self.topology.is_some() {
            tracing::error!("streams are not used: a Redis Cluster is for sharded pub/sub only");
            return self;
        }
        self.settings.mode = Mode::Streams(options);
        self
    }

    /// Sets the prefix of all channels. Default: `socket.io`. Node's `key`, or `channelPrefix` of the sharded adapter.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.settings.prefix = prefix.into();
        self
    }

    /// Selects namespaces that receive the messages of all rooms, by a pattern, as in Node.js. The function gets the
    /// name of a namespace.
    ///
    /// By default, none does: a server subscribes to the rooms in which it has members. Such a namespace needs a
    /// pattern if Node.js servers make sockets of other servers join a room, and emit to that room at once: see the
    /// [introduction](crate#rooms). It has no effect with [`sharded`](Self::sharded).
    #[must_use]
    pub fn pattern_for(mut self, nsp: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.settings.patterns = Some(Arc::new(nsp));
        self
    }

    /// Publishes answers to a channel of the server that has asked, rather than to one that all servers read. Default:
    /// false, as in Node.js, where it is `publishOnSpecificResponseChannel`.
    ///
    /// Servers understand both, so they may differ in this. It has no effect with [`sharded`](Self::sharded), which
    /// always does so.
    #[must_use]
    pub const fn specific_answers(mut self, specific: bool) -> Self {
        self.settings.specific_answers = specific;
        self
    }

    /// Sets the time after which this server ends its subscription to a room that has lost its last member here.
    /// Default: 5 s. A socket that joins the room meanwhile need not wait for Redis. Rooms of sockets' own ids are
    /// released at once.
    #[must_use]
    pub const fn release_rooms_after(mut self, delay: Duration) -> Self {
        self.settings.release_after = delay;
        self
    }

    /// Sets the maximum size of the messages that wait to be sent to Redis, in bytes. Default: 16 MiB. Beyond it,
    /// events do not reach the clients of other servers, and a warning is logged. With a Redis Cluster, it holds for
    /// each master.
    #[must_use]
    pub const fn max_queued_bytes(mut self, max: usize) -> Self {
        self.settings.max_queued_bytes = max;
        self
    }
}

impl Emitter {
    /// Connects to a server, as [`Redis::connect`].
    ///
    /// # Errors
    ///
    /// Fails if the URL is malformed, or if the server cannot be reached or refuses the connection.
    pub async fn connect(url: &str) -> Result<Self, RedisConnectError> {
        Ok(Redis::connect(url).await?.emitter())
    }
}

impl Wire for Redis {
    fn connect(&self, receiver: Arc<dyn Receiver>) -> Arc<dyn WireConnection> {
        let (mut connector, settings) = (self.connector.clone(), self.settings.clone());
        if let Some(topology) = self.topology.clone() {
            let runtime = &self.runtime;
            return Arc::new(Connection::start_in_cluster(
                connector, topology, settings, receiver, runtime,
            ));
        }
        if matches!(settings.mode, Mode::Sharded(_)) {
            connector = connector.with_pushes();
        }
        Arc::new(Connection::start(
            &connector,
            settings,
            receiver,
            &self.runtime,
        ))
    }

    fn family(&self) -> Family {
        self.settings.family()
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("address", &self.connector.address())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
