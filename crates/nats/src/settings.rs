//! The options of the connection to NATS.

use std::time::Duration;

use proto::cluster::Heartbeats;

use crate::subjects::Subjects;

/// The time in which NATS has to answer.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub(crate) struct NatsSettings {
    pub(crate) subjects: Subjects,
    /// The time after which a room without members is released.
    pub(crate) release_after: Duration,
    pub(crate) max_queued_bytes: usize,
    pub(crate) max_received_bytes: usize,
    pub(crate) heartbeats: Heartbeats,
}

impl Default for NatsSettings {
    fn default() -> Self {
        Self {
            subjects: Subjects::default(),
            release_after: Duration::from_secs(5),
            max_queued_bytes: 16 * 1024 * 1024,
            max_received_bytes: 64 * 1024 * 1024,
            heartbeats: Heartbeats {
                interval: Duration::from_secs(5),
                timeout: Duration::from_secs(10),
            },
        }
    }
}
