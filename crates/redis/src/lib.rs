//! Redis as the engine of an [axum-socketio] cluster.
//!
//! The servers of the cluster, and Node.js servers with the [sharded adapter] of `@socket.io/redis-adapter`, exchange
//! their messages by the sharded publish and subscribe commands of Redis 7. Clients of all servers then receive what
//! any of them emits.
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
//! # What is lost
//!
//! Redis keeps no messages. While a server is not connected to it, that server's events do not reach the clients of
//! other servers, and it receives none of theirs. Local clients are not affected, and emits neither wait nor fail. The
//! server reconnects without end, and subscribes to everything again.
//!
//! [axum-socketio]: https://docs.rs/axum-socketio
//! [sharded adapter]: https://socket.io/docs/v4/redis-adapter/#with-redis-sharded-pubsub

mod channels;
mod connection;
mod error;
mod inbound;
mod publisher;
mod settings;
mod subscriber;

use std::fmt;
use std::sync::Arc;

use redis::{Client, IntoConnectionInfo, ProtocolVersion};
use tokio::runtime::Handle;

use connection::Connection;
use proto::cluster::{Receiver, Wire, WireConnection};
use settings::{RedisSettings, connection_config};

pub use error::RedisConnectError;
pub use settings::SubscriptionMode;

/// A connection to Redis, passed to `SocketIoBuilder::cluster`.
#[derive(Clone)]
pub struct Redis {
    client: Client,
    settings: RedisSettings,
    runtime: Handle,
}

impl Redis {
    /// Connects to a server of Redis 7 or newer, by an URL like `redis://user:password@host:6379/`.
    ///
    /// The tasks of the connection run on the runtime that awaits this.
    ///
    /// # Errors
    ///
    /// Fails if the URL is malformed, or if the server cannot be reached or refuses the connection.
    pub async fn connect(url: &str) -> Result<Self, RedisConnectError> {
        let info = url.into_connection_info().map_err(RedisConnectError::url)?;
        let settings = info.redis_settings().clone();
        let info = info.set_redis_settings(settings.set_protocol(ProtocolVersion::RESP3));
        let address = info.addr().to_string();
        let failed = |error| RedisConnectError::new(address.clone(), error);
        let client = Client::open(info).map_err(failed)?;
        let mut probe = client
            .get_multiplexed_async_connection_with_config(&connection_config())
            .await
            .map_err(failed)?;
        let ping: Result<(), _> = redis::cmd("PING").query_async(&mut probe).await;
        ping.map_err(failed)?;
        Ok(Self {
            client,
            settings: RedisSettings {
                prefix: "socket.io".into(),
                mode: SubscriptionMode::default(),
                max_queued_bytes: 16 * 1024 * 1024,
            },
            runtime: Handle::current(),
        })
    }

    /// Sets the prefix of all channels. Default: `socket.io`. Node's `channelPrefix`.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.settings.prefix = prefix.into();
        self
    }

    /// Sets which rooms have channels of their own. Node's `subscriptionMode`.
    #[must_use]
    pub const fn mode(mut self, mode: SubscriptionMode) -> Self {
        self.settings.mode = mode;
        self
    }

    /// Sets the maximum size of the messages that wait to be sent to Redis, in bytes. Default: 16 MiB. Beyond it,
    /// events do not reach the clients of other servers, and a warning is logged.
    #[must_use]
    pub const fn max_queued_bytes(mut self, max: usize) -> Self {
        self.settings.max_queued_bytes = max;
        self
    }
}

impl Wire for Redis {
    fn connect(&self, receiver: Arc<dyn Receiver>) -> Arc<dyn WireConnection> {
        let (client, settings) = (self.client.clone(), self.settings.clone());
        Arc::new(Connection::start(client, settings, receiver, &self.runtime))
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field(
                "address",
                &self.client.get_connection_info().addr().to_string(),
            )
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
