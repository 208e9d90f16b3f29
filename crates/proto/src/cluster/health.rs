//! The health of a server's connection to its engine.

/// The health of a server's connection to its engine, and the messages that wait for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The state of the connection.
    pub state: HealthState,
    /// The number of messages that wait to be sent to other servers.
    pub queued_messages: usize,
    /// The size of these messages, in bytes. Each counts 128 bytes more than its content.
    pub queued_bytes: usize,
    /// True if this server has found others with options that do not fit its own, when it connected. Messages do not
    /// reach all servers then. Engines that cannot find out always say false.
    pub other_options: bool,
}

/// The state of a server's connection to its engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HealthState {
    /// Messages are sent and received.
    #[default]
    Connected,
    /// Messages are sent, but one of them has waited for more than a second.
    Behind,
    /// There is no connection in one of the two directions: it is being made, or made again. What is sent or received
    /// meanwhile may be lost.
    Reconnecting,
}

impl HealthState {
    /// Returns the name of the state: `connected`, `behind` or `reconnecting`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Behind => "behind",
            Self::Reconnecting => "reconnecting",
        }
    }
}
