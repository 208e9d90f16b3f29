//! The options of the connection to Redis.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use proto::cluster::Family;

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

#[derive(Clone)]
pub(crate) struct RedisSettings {
    pub(crate) prefix: Arc<str>,
    /// The mode of the sharded adapter, or `None` for the classic one.
    pub(crate) sharded: Option<SubscriptionMode>,
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
            sharded: None,
            specific_answers: false,
            patterns: None,
            release_after: Duration::from_secs(5),
            max_queued_bytes: 16 * 1024 * 1024,
        }
    }

    /// Returns the form of the messages.
    pub(crate) const fn family(&self) -> Family {
        match self.sharded {
            Some(_) => Family::Cluster,
            None => Family::Classic,
        }
    }

    /// Returns the command that publishes.
    pub(crate) const fn publish(&self) -> &'static str {
        match self.sharded {
            Some(_) => "SPUBLISH",
            None => "PUBLISH",
        }
    }
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings")
            .field("prefix", &self.prefix)
            .field("sharded", &self.sharded)
            .finish_non_exhaustive()
    }
}
