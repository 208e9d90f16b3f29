//! The times of a session.

use std::time::Duration;

/// The times that a session obeys. The server's builder has a method for each.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The time between two pings. Default: 25 s.
    pub ping_interval: Duration,
    /// The time that the client has to answer a ping. Default: 20 s.
    pub ping_timeout: Duration,
    /// The time that an upgrade may take. Default: 10 s.
    pub upgrade_timeout: Duration,
    /// The maximum time for a closing session to flush its queue. Default: 30 s.
    pub close_timeout: Duration,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(30),
        }
    }
}

impl SessionConfig {
    /// Returns the time after which a client that has sent nothing is disconnected.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.ping_interval.saturating_add(self.ping_timeout)
    }
}
