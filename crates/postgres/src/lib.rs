//! PostgreSQL as the engine of an [axum-socketio] cluster.
//!
//! The servers of the cluster, and Node.js servers with [`@socket.io/postgres-adapter`], exchange their messages by
//! `LISTEN` and `NOTIFY`. Clients of all servers then receive what any of them emits.
//!
//! ```no_run
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! use axum_socketio::{Namespace, SocketIo};
//! use axum_socketio_postgres::Postgres;
//!
//! let postgres = Postgres::connect("postgres://user:password@localhost/app").await?;
//! postgres.create_table().await?;
//! let io = SocketIo::builder().cluster(postgres).namespace("/", Namespace::new()).build();
//! # let _: SocketIo = io;
//! # Ok(()) }
//! ```
//!
//! # What is lost
//!
//! PostgreSQL keeps no notifications for servers that are not connected. While a server is not, its events do not reach
//! the clients of other servers, and it receives none of theirs. Local clients are not affected, and emits neither wait
//! nor fail. The server reconnects without end, and listens to everything again.
//!
//! [axum-socketio]: https://docs.rs/axum-socketio
//! [`@socket.io/postgres-adapter`]: https://socket.io/docs/v4/postgres-adapter/

mod connection;
mod emitter;
mod error;
mod inbound;
mod inbox;
mod listener;
mod log_pause;
mod publisher;
mod session;
mod settings;
mod steps;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Config, NoTls, Socket};

use connection::Connection;
use proto::cluster::{Receiver, Wire, WireConnection};
use session::{Connect, Connector, Session, Sessions, address, limited};
use settings::{PostgresSettings, RESPONSE_TIMEOUT};

pub use emitter::{Connected, Detached, EmitError, Emitter, Statement, Within};
pub use error::PostgresConnectError;
pub use tokio_postgres;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// A connection to PostgreSQL, passed to `SocketIoBuilder::cluster`.
#[derive(Clone)]
pub struct Postgres {
    connect: Arc<dyn Connect>,
    address: Arc<str>,
    settings: PostgresSettings,
    runtime: Handle,
}

impl Postgres {
    /// Connects to a server, without encryption, by an URL like `postgres://user:password@host:5432/database` or
    /// another [form](Config) of its address.
    ///
    /// Each server of the cluster has two or three connections to PostgreSQL. They must be direct ones, or those of a
    /// pooler that pools sessions, as a transaction pooler does not support `LISTEN`. Their tasks run on the runtime
    /// that awaits this.
    ///
    /// # Errors
    ///
    /// Fails if the URL is malformed, or if the server cannot be reached or refuses the connection.
    pub async fn connect(url: &str) -> Result<Self, PostgresConnectError> {
        let config = url.parse().map_err(PostgresConnectError::url)?;
        Self::connect_with(config, NoTls).await
    }

    /// Connects to a server with a configuration, and with TLS if it asks for it.
    ///
    /// # Errors
    ///
    /// Fails if the server cannot be reached or refuses the connection.
    pub async fn connect_with<T>(mut config: Config, tls: T) -> Result<Self, PostgresConnectError>
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        if config.get_application_name().is_none() {
            config.application_name("axum-socketio");
        }
        let address = address(&config);
        let connect: Arc<dyn Connect> = Arc::new(Connector { config, tls });
        let session = Session::open(&*connect).await;
        session.map_err(|error| PostgresConnectError::new(&address, error))?;
        Ok(Self {
            connect,
            address: address.into(),
            settings: PostgresSettings::default(),
            runtime: Handle::current(),
        })
    }

    /// Creates the table of messages that do not fit into a notification, which are the binary ones and those of 8,000
    /// bytes or more, unless it exists.
    ///
    /// # Errors
    ///
    /// Fails if PostgreSQL does not answer, or refuses.
    pub async fn create_table(&self) -> Result<(), PostgresConnectError> {
        let failed = |error| PostgresConnectError::new(&self.address, error);
        let session = Session::open(&*self.connect).await.map_err(failed)?;
        // Two servers may start at once, and PostgreSQL does not let two sessions create one table.
        let sql = format!(
            "BEGIN; SELECT pg_advisory_xact_lock(7310868735422030949); {}; COMMIT",
            self.settings.names.create_table()
        );
        let created = limited(RESPONSE_TIMEOUT, session.client.batch_execute(&sql)).await;
        created.map_err(failed)
    }

    /// Returns an emitter with the same address, prefix and table, above all for [events in
    /// transactions](Emitter::emit_in). It connects when it first sends an event over a connection of its own.
    #[must_use]
    pub fn emitter(&self) -> Emitter {
        let sessions = Sessions::new(Arc::clone(&self.connect));
        let address = Arc::clone(&self.address);
        Emitter::over(address, Arc::new(sessions), self.settings.names.clone())
    }

    /// Sets the prefix of all channels. Default: `socket.io`. Node's `channelPrefix`.
    ///
    /// The prefix and the name of a namespace have at most 62 bytes together.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.settings.names.prefix = prefix.into();
        self
    }

    /// Sets the table of messages that do not fit into a notification. Default: `socket_io_attachments`. Node's
    /// `tableName`. A dot separates the name of a schema.
    #[must_use]
    pub fn table(mut self, table: &str) -> Self {
        self.settings.names.set_table(table);
        self
    }

    /// Sets the maximum size of the messages that wait to be sent to PostgreSQL, in bytes. Default: 16 MiB. Beyond it,
    /// events do not reach the clients of other servers, and a warning is logged.
    #[must_use]
    pub const fn max_queued_bytes(mut self, max: usize) -> Self {
        self.settings.max_queued_bytes = max;
        self
    }

    /// Sets the maximum size of a message that does not fit into a notification and is read from the table, in bytes.
    /// Default: 64 MiB. Up to eight are read at once. Larger ones are counted as missed, and a warning is logged.
    #[must_use]
    pub fn max_received_bytes(mut self, max: usize) -> Self {
        // PostgreSQL has no larger ones.
        self.settings.max_received_bytes = i32::try_from(max).unwrap_or(i32::MAX);
        self
    }

    /// Sets the time between two heartbeats of a server. Default: 5 s. Node's `heartbeatInterval`.
    #[must_use]
    pub const fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.settings.heartbeats.interval = interval;
        self
    }

    /// Sets the time without a message after which another server counts as gone. Default: 10 s. Node's
    /// `heartbeatTimeout`.
    #[must_use]
    pub const fn heartbeat_timeout(mut self, timeout: Duration) -> Self {
        self.settings.heartbeats.timeout = timeout;
        self
    }

    /// Sets the time after which messages are deleted from the table, and between two deletions. Default: 30 s. Node's
    /// `cleanupInterval`.
    #[must_use]
    pub const fn cleanup_interval(mut self, interval: Duration) -> Self {
        self.settings.cleanup_interval = interval;
        self
    }
}

impl Emitter {
    /// Connects to a server, as [`Postgres::connect`]. A connection that is lost is replaced at the next event.
    ///
    /// # Errors
    ///
    /// Fails if the URL is malformed, or if the server cannot be reached or refuses the connection.
    pub async fn connect(url: &str) -> Result<Self, PostgresConnectError> {
        Ok(Postgres::connect(url).await?.emitter())
    }
}

impl Wire for Postgres {
    fn connect(&self, receiver: Arc<dyn Receiver>) -> Arc<dyn WireConnection> {
        let settings = self.settings.clone();
        Arc::new(Connection::start(
            &self.connect,
            settings,
            receiver,
            &self.runtime,
        ))
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("address", &self.address)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
