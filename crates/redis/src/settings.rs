//! The options of the connection to Redis.

use std::sync::Arc;
use std::time::Duration;

use redis::AsyncConnectionConfig;

/// The time in which Redis has to answer.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The shortest and the longest time between two attempts to connect.
pub(crate) const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// The rooms whose messages have a channel of their own. All servers of a cluster need the same mode.
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

#[derive(Clone, Debug)]
pub(crate) struct RedisSettings {
    pub(crate) prefix: Arc<str>,
    pub(crate) mode: SubscriptionMode,
    pub(crate) max_queued_bytes: usize,
}

pub(crate) fn connection_config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(RESPONSE_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
}
