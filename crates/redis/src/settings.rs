//! The options of the connection to Redis.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redis::Pipeline;

use proto::cluster::{Family, Stored, StreamEntry};

use crate::destination::{RedisDestination, Token};
use crate::streams::Streams;

/// The shortest and the longest time between two attempts to connect.
pub(crate) const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// The rooms whose messages have a channel of their own, by the sharded commands of Redis. All servers of a cluster
/// need the same mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscriptionMode {
    /// A message to one room, other than that of a socket's own id, reaches only servers with a member in it. The
    /// default of Node.js.
    #[default]
    Dynamic,
    /// Every message reaches every server.
    Static,
}

impl SubscriptionMode {
    /// Returns the name of the mode in Node.js.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Dynamic => "dynamic",
            Self::Static => "static",
        }
    }
}

/// The adapter of Node.js whose messages the servers exchange.
#[derive(Clone, Debug)]
pub(crate) enum Mode {
    Classic,
    Sharded(SubscriptionMode),
    Streams(Streams),
}

#[derive(Clone)]
pub(crate) struct RedisSettings {
    pub(crate) prefix: Arc<str>,
    pub(crate) mode: Mode,
    /// True if answers are published to a channel of the server that has asked.
    pub(crate) specific_answers: bool,
    /// Selects the namespaces that receive the messages of all rooms.
    pub(crate) patterns: Option<Arc<dyn Fn(&str) -> bool + Send + Sync>>,
    /// The time after which a room without members is released.
    pub(crate) release_after: Duration,
    pub(crate) max_queued_bytes: usize,
}

impl RedisSettings {
    pub(crate) fn new() -> Self {
        Self {
            prefix: "socket.io".into(),
            mode: Mode::Classic,
            specific_answers: false,
            patterns: None,
            release_after: Duration::from_secs(5),
            max_queued_bytes: 16 * 1024 * 1024,
        }
    }

    /// Returns the form of the messages.
    pub(crate) const fn family(&self) -> Family {
        match self.mode {
            Mode::Sharded(_) | Mode::Streams(_) => Family::Cluster,
            Mode::Classic => Family::Classic,
        }
    }

    pub(crate) const fn is_classic(&self) -> bool {
        matches!(self.mode, Mode::Classic)
    }

    /// Adds the command that sends a message of an emitter, which writes requests to streams as well.
    pub(crate) fn emit(&self, pipeline: &mut Pipeline, channel: &str, message: &Bytes) {
        match &self.mode {
            Mode::Streams(_) => self.append(pipeline, message, None),
            Mode::Classic | Mode::Sharded(_) => self.publish(pipeline, channel, message),
        }
    }

    fn append(&self, pipeline: &mut Pipeline, message: &Bytes, token: Option<Token>) {
        if let Mode::Streams(streams) = &self.mode
            && let Ok(entry) = StreamEntry::new(message)
        {
            streams.add(pipeline, &entry, token);
        }
    }

    /// Adds the command that sends a message of a server.
    pub(crate) fn send(&self, pipeline: &mut Pipeline, to: &RedisDestination, message: &Bytes) {
        match to {
            RedisDestination::Channel(channel) | RedisDestination::Redirected(channel) => {
                self.publish(pipeline, channel, message)
            }
            RedisDestination::Entry(token) => self.append(pipeline, message, *token),
        }
    }

    fn publish(&self, pipeline: &mut Pipeline, channel: &str, message: &Bytes) {
        let (command, message) = match &self.mode {
            Mode::Classic => ("PUBLISH", message.clone()),
            Mode::Sharded(_) => ("SPUBLISH", message.clone()),
            Mode::Streams(streams) => match StreamEntry::of_server(message) {
                Ok(Some(entry)) => return streams.add(pipeline, &entry, None),
                Ok(None) | Err(_) => ("PUBLISH", in_messagepack(message)),
            },
        };
        pipeline.cmd(command).arg(channel).arg(&message[..]);
    }
}

/// Returns a message in the form that the adapter for Redis Streams publishes.
fn in_messagepack(message: &Bytes) -> Bytes {
    Stored::new(message).map_or_else(|_| message.clone(), |stored| stored.msgpack)
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings")
            .field("prefix", &self.prefix)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}
