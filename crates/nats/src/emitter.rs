//! The emitter, for programs without a server.

use std::fmt;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use proto::Rooms;
use proto::cluster::{Channel, EmitterMessage, EmitterTarget, Family, JOIN_SETTLES};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::Nats;
use crate::error::{EmitError, NatsConnectError};
use crate::link::{NatsLink, random};
use crate::part::Divider;
use crate::settings::NatsSettings;

/// Sends events to the clients of all servers of a cluster, from any program that has a connection to NATS.
///
/// [`to`](Self::to), [`except`](Self::except) and the other methods that select return a copy, so one emitter serves
/// for all; copies share the connection. There are no acknowledgements.
///
/// ```no_run
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// use axum_socketio_nats::Emitter;
///
/// let emitter = Emitter::connect("nats://127.0.0.1").await?;
/// emitter.to("news").emit("article", ("A title", 7)).await?;
/// emitter.of("/admin").except("interns").disconnect().await?;
/// # Ok(()) }
/// ```
///
/// The prefix has to be that of the servers: [`Nats::emitter`](crate::Nats::emitter) has it.
///
/// # What is lost
///
/// When a method returns `Ok`, the message has been sent to NATS, which sends it to the servers that are connected at
/// this moment; that may be none. If NATS cannot be reached, the message is kept by the client for the next connection,
/// and a method that has waited for five seconds fails.
#[derive(Clone)]
pub struct Emitter {
    shared: Arc<EmitterShared>,
    settings: NatsSettings,
    target: EmitterTarget,
}

/// The parts that all copies of an emitter share.
struct EmitterShared {
    link: NatsLink,
    /// Locked while the parts of a message are sent, which must follow each other.
    divider: Mutex<Divider>,
    /// The time of the last join. Servers subscribe to a room when they get it, so an event for the room that follows
    /// at once could be published too early.
    joined: StdMutex<Option<Instant>>,
}

impl Emitter {
    pub(crate) fn new(link: NatsLink, settings: NatsSettings) -> Self {
        let shared = EmitterShared {
            link,
            divider: Mutex::new(Divider::new(random())),
            joined: StdMutex::default(),
        };
        Self {
            shared: Arc::new(shared),
            settings,
            target: EmitterTarget::new(Family::Cluster),
        }
    }

    /// Connects to a server, as [`Nats::connect`].
    ///
    /// # Errors
    ///
    /// Fails if the URL is malformed, or if the server cannot be reached or refuses the connection.
    pub async fn connect(url: &str) -> Result<Self, NatsConnectError> {
        Ok(Nats::connect(url).await?.emitter())
    }

    /// Selects a namespace. Default: `/`.
    #[must_use]
    pub fn of(&self, nsp: impl AsRef<str>) -> Self {
        self.with(|target| target.of(nsp.as_ref()))
    }

    /// Adds the sockets that are in any of the rooms. A socket's id is a room too. If this is not called, all sockets
    /// are selected; an empty list selects none.
    #[must_use]
    pub fn to(&self, rooms: impl Rooms) -> Self {
        self.with(|target| target.to(rooms))
    }

    /// Excludes the sockets that are in any of the rooms.
    #[must_use]
    pub fn except(&self, rooms: impl Rooms) -> Self {
        self.with(|target| target.except(rooms))
    }

    /// Makes events volatile: they are dropped for each client that cannot be written to at once.
    #[must_use]
    pub fn volatile(&self) -> Self {
        self.with(EmitterTarget::volatile)
    }

    /// Sends events to clients without compression.
    #[must_use]
    pub fn uncompressed(&self) -> Self {
        self.with(EmitterTarget::uncompressed)
    }

    fn with(&self, change: impl FnOnce(EmitterTarget) -> EmitterTarget) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            settings: self.settings.clone(),
            target: change(self.target.clone()),
        }
    }

    /// Sends an event to all selected sockets. Arguments are as in `Socket::emit`: a tuple is several, any other value
    /// one.
    ///
    /// Events for the same rooms arrive in the order in which they are sent, if each is awaited.
    ///
    /// # Errors
    ///
    /// Fails if the event cannot be encoded or is larger than [`max_queued_bytes`](crate::Nats::max_queued_bytes), if
    /// its namespace has no subject, or if there is no connection to NATS.
    pub async fn emit<T: Serialize>(
        &self,
        event: impl AsRef<str>,
        args: T,
    ) -> Result<(), EmitError> {
        let message = self.target.event(event.as_ref(), &args)?;
        self.send(message).await
    }

    /// Makes all selected sockets join rooms. An event for these rooms may follow at once: for a second, events for one
    /// room are sent to all servers.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub async fn join(&self, rooms: impl Rooms) -> Result<(), EmitError> {
        let message = self.target.join(rooms);
        if message.is_some() {
            self.shared.set_joined();
        }
        self.send(message).await
    }

    /// Makes all selected sockets leave rooms.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub async fn leave(&self, rooms: impl Rooms) -> Result<(), EmitError> {
        self.send(self.target.leave(rooms)).await
    }

    /// Disconnects all selected sockets from the namespace. Their connections stay open for other namespaces.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub async fn disconnect(&self) -> Result<(), EmitError> {
        self.send(self.target.disconnect()).await
    }

    /// Closes the connections of all selected sockets. Node's `disconnectSockets(true)`.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub async fn disconnect_all(&self) -> Result<(), EmitError> {
        self.send(self.target.disconnect_all()).await
    }

    /// Sends an event to all servers with the namespace, whose `Namespace::on_server` handles it.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub async fn server_side_emit<T: Serialize>(
        &self,
        event: impl AsRef<str>,
        args: T,
    ) -> Result<(), EmitError> {
        let message = self.target.server_event(event.as_ref(), &args)?;
        self.send(Some(message)).await
    }

    async fn send(&self, message: Option<EmitterMessage<'_>>) -> Result<(), EmitError> {
        let Some(EmitterMessage { channel, content }) = message else {
            return Ok(());
        };
        let (size, max) = (content.len(), self.settings.max_queued_bytes);
        if size > max {
            return Err(EmitError::TooLarge { size, max });
        }
        let channel = match channel {
            Channel::Room { nsp, .. } if self.shared.has_just_joined() => {
                Channel::Namespace { nsp }
            }
            channel => channel,
        };
        let subject = self.settings.subjects.subject(channel);
        let subject = subject.ok_or(EmitError::NoSubject)?;
        let link = &self.shared.link;
        let mut divider = self.shared.divider.lock().await;
        let parts = divider.divide(&content, link.client.max_payload());
        let sent = link.send([(subject, parts)]).await;
        sent.map_err(|source| EmitError::Nats {
            address: link.address.to_string(),
            source: source.into(),
        })
    }
}

impl EmitterShared {
    fn set_joined(&self) {
        let joined = Some(Instant::now());
        *self.joined.lock().unwrap_or_else(PoisonError::into_inner) = joined;
    }

    fn has_just_joined(&self) -> bool {
        let joined = *self.joined.lock().unwrap_or_else(PoisonError::into_inner);
        joined.is_some_and(|joined| joined.elapsed() < JOIN_SETTLES)
    }
}

impl fmt::Debug for Emitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emitter")
            .field("address", &self.shared.link.address)
            .field("settings", &self.settings)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
