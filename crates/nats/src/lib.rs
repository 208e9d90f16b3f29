//! NATS as the engine of an [axum-socketio] cluster.
//!
//! Clients of all servers then receive what any of them emits.
//!
//! ```no_run
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! use axum_socketio::{Namespace, SocketIo};
//! use axum_socketio_nats::Nats;
//!
//! let io = SocketIo::builder()
//!     .cluster(Nats::connect("nats://127.0.0.1").await?)
//!     .namespace("/", Namespace::new())
//!     .build();
//! # let _: SocketIo = io;
//! # Ok(()) }
//! ```
//!
//! It needs NATS 2.2 or newer, without JetStream. Node.js has no adapter for NATS, so all servers of the cluster are of
//! this crate.
//!
//! # Rooms
//!
//! A server subscribes to the rooms in which it has members, and gets the messages for one room only if it is one of
//! these. Messages for a socket's own room, for several rooms, and for all sockets go to all servers. A client is
//! connected, and a join is complete, when NATS has made the subscription, or after a second if it does not answer.
//! Rooms are released [some seconds](Nats::release_rooms_after) after their last member has left.
//!
//! The server that a client of NATS is connected to knows its subscriptions at once. The other servers of a NATS
//! cluster learn of them a little later, and until then lose messages for a room that has just been joined.
//!
//! Each subscription takes about 6 KiB, as the client has a queue for it.
//!
//! # Order and size
//!
//! The messages of one server arrive in the order in which it has sent them, whatever their rooms. Messages that are
//! larger than NATS allows (`max_payload`, 1 MiB by default) are sent in parts.
//!
//! # What is lost
//!
//! NATS keeps no messages. While a server is not connected to it, it receives nothing of other servers. Its own
//! messages wait in a [queue](Nats::max_queued_bytes), and are sent when it is connected again, to the servers that are
//! connected then. Local clients are not affected, and emits neither wait nor fail. The server reconnects without end.
//!
//! # Programs without a server
//!
//! An [`Emitter`] sends events to the clients of all servers, from any program.
//!
//! [axum-socketio]: https://docs.rs/axum-socketio

mod assembly;
mod connection;
mod emitter;
mod error;
mod inbound;
mod link;
mod monitor;
mod part;
mod publisher;
mod receiver;
mod settings;
mod subjects;
mod subscribers;
mod tls;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;
use proto::cluster::{Receiver, Wire, WireConnection};
use tokio::runtime::Handle;

use connection::Connection;
use link::{Dropped, NatsLink};
use settings::NatsSettings;
use subjects::Subjects;

pub use async_nats;
pub use emitter::Emitter;
pub use error::{EmitError, NatsConnectError};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The longest time between two attempts to connect.
const MAX_RETRY: Duration = Duration::from_secs(1);

/// A connection to NATS, passed to `SocketIoBuilder::cluster`.
///
/// All clones share the connection, and so do the servers that they are passed to.
#[derive(Clone)]
pub struct Nats {
    link: NatsLink,
    settings: NatsSettings,
    runtime: Handle,
}

impl Nats {
    /// Connects to a server by an URL, such as `nats://user:password@host:4222` or `nats://token@host`, or to one of
    /// several that commas separate, which have the user of the first. With `tls://`, the connection is encrypted, and
    /// the certificate of the server has to be one that the root certificates of the system trust.
    ///
    /// A user of NATS needs to publish and to subscribe to `socketio.>`.
    ///
    /// The tasks of the connection run on the runtime that awaits this.
    ///
    /// # Errors
    ///
    /// Fails if the URL is malformed, or if the server cannot be reached or refuses the connection.
    pub async fn connect(url: &str) -> Result<Self, NatsConnectError> {
        let tls = tokio::task::spawn_blocking(tls::roots_of_the_system).await;
        let tls = tls.map_err(std::io::Error::other).flatten();
        let tls = tls.map_err(|error| NatsConnectError::new("any address", error))?;
        let options = ConnectOptions::new().name("axum-socketio");
        Self::connect_with(options.tls_client_config(tls), url).await
    }

    /// Connects with options, such as credentials or certificates. Their callbacks for events and for the time between
    /// two attempts to connect are replaced.
    ///
    /// ```no_run
    /// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
    /// use axum_socketio_nats::Nats;
    /// use axum_socketio_nats::async_nats::ConnectOptions;
    ///
    /// let options = ConnectOptions::new().token("secret".to_owned());
    /// let nats = Nats::connect_with(options, "nats://one.example.com,nats://two.example.com").await?;
    /// # let _ = nats;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_with(
        options: ConnectOptions,
        url: &str,
    ) -> Result<Self, NatsConnectError> {
        let servers = url.split(',').map(|url| url.trim().parse());
        let servers: Result<Vec<ServerAddr>, _> = servers.collect();
        let servers = servers.map_err(NatsConnectError::url)?;
        let address = address(&servers);
        let options = with_user(options, &servers);
        let dropped = Arc::new(Dropped::default());
        let noted = Arc::clone(&dropped);
        let options = options
            .event_callback(move |event| {
                noted.note(&event);
                std::future::ready(())
            })
            .reconnect_delay_callback(retry_after);
        let connected = options.connect(&servers[..]).await;
        let client = connected.map_err(|error| NatsConnectError::new(&address, error))?;
        Ok(Self::over(client, &address, dropped))
    }

    /// Uses a client that the program has for other purposes too. It must not have the option `no_echo`, and should
    /// reconnect without end, as it does by default.
    ///
    /// The messages that the client drops because the server is too slow are not counted: its option `event_callback`
    /// tells of them.
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime.
    #[must_use]
    pub fn with_client(client: Client) -> Self {
        let info = client.server_info();
        let address = format!("{}:{}", info.host, info.port);
        Self::over(client, &address, Arc::default())
    }

    fn over(client: Client, address: &str, dropped: Arc<Dropped>) -> Self {
        let link = NatsLink {
            client,
            address: address.into(),
            dropped,
        };
        Self {
            link,
            settings: NatsSettings::default(),
            runtime: Handle::current(),
        }
    }

    /// Returns an emitter with the same connection and prefix.
    #[must_use]
    pub fn emitter(&self) -> Emitter {
        Emitter::new(self.link.clone(), self.settings.clone())
    }

    /// Sets the prefix of all subjects, in which dots separate tokens. Default: `socketio`.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.settings.subjects = Subjects::new(prefix);
        self
    }

    /// Sets the time for which a server stays subscribed to a room after its last member has left. Default: 5 s.
    #[must_use]
    pub const fn release_rooms_after(mut self, delay: Duration) -> Self {
        self.settings.release_after = delay;
        self
    }

    /// Sets the maximum size of the messages that wait to be sent to NATS, in bytes. Default: 16 MiB. Beyond it, events
    /// do not reach the clients of other servers, and a warning is logged.
    #[must_use]
    pub const fn max_queued_bytes(mut self, max: usize) -> Self {
        self.settings.max_queued_bytes = max;
        self
    }

    /// Sets the maximum size of the messages of other servers of which some parts have not arrived yet, in bytes.
    /// Default: 64 MiB. Messages beyond it are dropped, and counted as missed.
    #[must_use]
    pub const fn max_received_bytes(mut self, max: usize) -> Self {
        self.settings.max_received_bytes = max;
        self
    }

    /// Sets the time between two heartbeats of a server. Default: 5 s.
    #[must_use]
    pub const fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.settings.heartbeats.interval = interval;
        self
    }

    /// Sets the time without a message after which another server counts as gone. Default: 10 s.
    #[must_use]
    pub const fn heartbeat_timeout(mut self, timeout: Duration) -> Self {
        self.settings.heartbeats.timeout = timeout;
        self
    }
}

/// Returns the time before an attempt to connect.
fn retry_after(attempts: usize) -> Duration {
    let doubled = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    let delay = Duration::from_millis(50).saturating_mul(2_u32.saturating_pow(doubled.min(10)));
    delay.min(MAX_RETRY)
}

/// Adds the user of the first address that names one, which the client ignores.
fn with_user(options: ConnectOptions, servers: &[ServerAddr]) -> ConnectOptions {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let Some(server) = servers.iter().find(|server| server.has_user_pass()) else {
        return options;
    };
    let user = server.username().map(decoded).unwrap_or_default();
    match server.password().map(decoded) {
        Some(password) => options.user_and_password(user, password),
        None => options.token(user),
    }
}

/// Returns the addresses of servers, without users and passwords.
fn address(servers: &[ServerAddr]) -> String {
    let addresses = servers
        .iter()
        .map(|server| format!("{}:{}", server.host(), server.port()));
    addresses.collect::<Vec<_>>().join(",")
}

impl Wire for Nats {
    fn connect(&self, receiver: Arc<dyn Receiver>) -> Arc<dyn WireConnection> {
        let settings = self.settings.clone();
        Arc::new(Connection::start(
            &self.link,
            settings,
            receiver,
            &self.runtime,
        ))
    }
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats")
            .field("address", &self.link.address)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
