//! Intervals and limits of a session.

use std::time::Duration;

use super::PollPackets;
use proto::engine_io::Transport;
use proto::session::SessionConfig;
use proto::websocket::Compression;

/// The settings of all sessions; see the builder's methods for the meaning of each.
#[derive(Clone, Debug)]
pub(crate) struct EngineSettings {
    pub(crate) session: SessionConfig,
    pub(crate) connect_timeout: Duration,
    /// The maximum time for which an outbox may stay full before the client is disconnected.
    pub(crate) slow_client_timeout: Duration,
    /// The maximum time for which a client may accept no data while some is queued; see
    /// [`stall_timeout`](Self::stall_timeout).
    pub(crate) stall_timeout: Option<Duration>,
    /// The maximum time for the body of a POST to arrive.
    pub(crate) body_timeout: Duration,
    /// The maximum time for a WebSocket message to arrive; see [`message_timeout`](Self::message_timeout).
    pub(crate) message_timeout: Option<Duration>,
    pub(crate) max_payload: usize,
    pub(crate) max_poll_packets: PollPackets,
    pub(crate) max_outbox_packets: usize,
    pub(crate) max_outbox_bytes: usize,
    pub(crate) transports: Vec<Transport>,
    pub(crate) allow_upgrades: bool,
    pub(crate) compression: Option<Compression>,
    /// True if clients of revision 3 may connect.
    pub(crate) allow_eio3: bool,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            session: SessionConfig::default(),
            connect_timeout: Duration::from_secs(45),
            slow_client_timeout: Duration::from_secs(10),
            stall_timeout: None,
            body_timeout: Duration::from_secs(30),
            message_timeout: None,
            max_payload: 1_000_000,
            max_poll_packets: PollPackets::ByClient,
            max_outbox_packets: 10_000,
            max_outbox_bytes: 16 * 1024 * 1024,
            transports: vec![Transport::Polling, Transport::WebSocket],
            allow_upgrades: true,
            compression: None,
            allow_eio3: false,
        }
    }
}

/// The lowest rate at which a message of maximum size may arrive, in bytes per second.
const SLOWEST: u32 = 16_000;
/// The minimum of the default message timeout, however low `max_payload` is.
const SHORTEST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

impl EngineSettings {
    /// Returns the configured timeout, or the time that a message of maximum size needs on a slow connection.
    pub(crate) fn message_timeout(&self) -> Duration {
        self.message_timeout.unwrap_or_else(|| {
            let bytes = u32::try_from(self.max_payload).unwrap_or(u32::MAX);
            let time = Duration::from_secs(bytes.into()) / SLOWEST;
            time.clamp(SHORTEST, LONGEST)
        })
    }

    /// Returns the configured timeout, or the time after which a silent client is disconnected.
    pub(crate) fn stall_timeout(&self) -> Duration {
        self.stall_timeout.unwrap_or_else(|| self.session.silence())
    }

    /// Returns the upgrade that the handshake offers to a client that connects over `transport`.
    pub(crate) fn upgrade(&self, transport: Transport) -> Option<Transport> {
        let offered = transport == Transport::Polling
            && self.allow_upgrades
            && self.transports.contains(&Transport::WebSocket);
        offered.then_some(Transport::WebSocket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_time_for_its_longest_form_on_a_slow_line() {
        let timeout = |max_payload| {
            let settings = EngineSettings {
                max_payload,
                ..EngineSettings::default()
            };
            settings.message_timeout()
        };
        assert_eq!(timeout(0), Duration::from_secs(30));
        assert_eq!(timeout(1_000_000), Duration::from_millis(62_500));
        assert_eq!(timeout(100_000_000), Duration::from_secs(6250));
        assert_eq!(timeout(usize::MAX), Duration::from_secs(24 * 3600));
    }
}
