//! The seam to an engine, such as Redis, that carries messages between servers.

use std::error::Error;
use std::fmt;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::peers::Heartbeats;
use super::{BoxFuture, Family, Health, Store};

/// An engine that carries messages between the servers of a cluster.
///
/// It knows channels and bytes, but not what the bytes mean.
pub trait Wire: fmt::Debug + Send + Sync + 'static {
    /// Connects a server, which passes what arrives to `receiver`.
    fn connect(&self, receiver: Arc<dyn Receiver>) -> Arc<dyn WireConnection>;

    /// Returns the form of the messages. All servers of a cluster need the same.
    fn family(&self) -> Family {
        Family::Cluster
    }
}

/// The connection of one server to the engine.
pub trait WireConnection: fmt::Debug + Send + Sync {
    /// Sends a message to the servers that have subscribed to a channel; the sender itself may be among them. Never
    /// waits: a message is queued within a limit.
    ///
    /// # Errors
    ///
    /// Fails if a queue is full, or if the connection has been closed.
    fn publish(&self, channel: Channel<'_>, message: Bytes) -> Result<(), PublishError>;

    /// Subscribes to a channel. The future resolves when the engine has confirmed it; the subscription is made even if
    /// the future is dropped. A channel that is subscribed to several times delivers each message once.
    fn subscribe(&self, channel: Channel<'_>) -> BoxFuture<Result<(), WireError>>;

    /// Returns a future that resolves when the engine has confirmed a subscription that has been made. Returns `None`
    /// if there is nothing to wait for.
    fn confirmation(&self, channel: Channel<'_>) -> Option<BoxFuture<Result<(), WireError>>> {
        let _ = channel;
        None
    }

    /// Ends one subscription: the channel is left when each has been ended.
    fn unsubscribe(&self, channel: Channel<'_>);

    /// Returns the number of servers, this one included, that have subscribed to a channel. Only engines with
    /// [`Presence::Counted`] have to know it.
    fn subscribers(&self, channel: Channel<'_>) -> BoxFuture<Result<usize, WireError>> {
        let _ = channel;
        Box::pin(ready(Err(WireError(None))))
    }

    /// Returns the way in which servers find out about each other.
    fn presence(&self) -> Presence {
        Presence::Counted
    }

    /// Returns how well the server is connected to the engine.
    fn health(&self) -> Health {
        Health::default()
    }

    /// Returns a future that resolves when the messages that have been published so far have been sent, or are lost.
    fn flushed(&self) -> BoxFuture<()> {
        Box::pin(ready(()))
    }

    /// Returns the store of a namespace's events and sessions, if the engine keeps them. A server opens it for each
    /// namespace with recovery, and gives its own id.
    ///
    /// An event that is appended to the store reaches the other servers by it, and must not be published as well.
    fn store(&self, nsp: &str, uid: &str) -> Option<Arc<dyn Store>> {
        let _ = (nsp, uid);
        None
    }

    /// Returns the rooms that have channels: a message to one of them is published there, and each server subscribes to
    /// those in which it has members.
    fn room_channels(&self) -> RoomChannels {
        RoomChannels::None
    }
}

/// The time after a join of sockets of other servers in which events for one room are sent to all servers, as their
/// servers have not subscribed to the room yet.
pub const JOIN_SETTLES: Duration = Duration::from_secs(1);

/// The rooms that have channels of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoomChannels {
    /// No room has one: all messages go to all servers.
    #[default]
    None,
    /// The rooms that sockets join have channels, and those of sockets' own ids have none.
    Joined,
    /// All rooms have channels, those of sockets' own ids included.
    All,
}

/// The receiver of messages. Those of a channel are passed one at a time, in the order in which the engine delivers.
pub trait Receiver: Send + Sync + 'static {
    /// Takes a message that was sent to a channel.
    fn receive(&self, channel: Channel<'_>, message: Bytes);

    /// Records that messages which had been accepted by [`WireConnection::publish`] could not be sent.
    fn lost(&self, messages: usize) {
        let _ = messages;
    }

    /// Records that messages of other servers, which had been announced, could not be read from where they are stored.
    fn missed(&self, messages: usize) {
        let _ = messages;
    }

    /// Takes note that the messages of a namespace arrive from now on: after the subscription, and after each gap. Only
    /// engines with [`Presence::Heartbeats`] have to call it.
    fn subscribed(&self, nsp: &str) {
        let _ = nsp;
    }

    /// Takes note that time has passed. Engines with [`Presence::Heartbeats`] call it about once a second, whether or
    /// not they are connected.
    fn tick(&self) {}
}

/// The way in which servers find out about each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The engine counts the servers that have subscribed to a channel.
    Counted,
    /// The engine cannot count: servers send heartbeats.
    Heartbeats(Heartbeats),
}

/// A set of messages that a server subscribes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel<'a> {
    /// The messages for all servers with a namespace.
    Namespace {
        /// The namespace, or the pattern of dynamic ones.
        nsp: &'a str,
    },
    /// The messages for the servers with members in a room.
    Room {
        /// The namespace of the room.
        nsp: &'a str,
        /// The room.
        room: &'a str,
    },
    /// The requests to all servers with a namespace. Only [`Family::Classic`] has a channel for them.
    Requests {
        /// The namespace, or the pattern of dynamic ones.
        nsp: &'a str,
    },
    /// The messages for one server.
    Server {
        /// The namespace that they are about.
        nsp: &'a str,
        /// The id of the server. In [`Family::Classic`], it is empty if the server is unknown.
        uid: &'a str,
    },
}

impl<'a> Channel<'a> {
    /// Returns the namespace, or the pattern of dynamic ones.
    #[must_use]
    pub const fn nsp(self) -> &'a str {
        match self {
            Self::Namespace { nsp }
            | Self::Room { nsp, .. }
            | Self::Requests { nsp }
            | Self::Server { nsp, .. } => nsp,
        }
    }
}

/// The reason for which a message was not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The engine has no channel for the namespace, whose name it cannot represent.
    #[error("the engine of the cluster has no channel for the namespace")]
    NoChannel,
    /// Too many messages wait to be sent.
    #[error("the queue of messages to other servers is full")]
    Full,
    /// The connection to the engine has been closed.
    #[error("the connection to other servers is closed")]
    Closed,
}

/// The engine does not answer.
#[derive(Debug, thiserror::Error)]
#[error("the engine of the cluster does not answer")]
pub struct WireError(#[source] pub Option<Box<dyn Error + Send + Sync>>);
