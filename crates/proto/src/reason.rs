//! The reasons for which sessions and sockets end.

use std::fmt;

/// The reason for which a socket was disconnected. The names are those of Node's server, so that logs and dashboards
/// keep working.
///
/// ```
/// use axum_socketio::DisconnectReason;
/// assert_eq!(DisconnectReason::PingTimeout.to_string(), "ping timeout");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The client left the namespace (`socket.disconnect()` on its side).
    ClientNamespaceDisconnect,
    /// The server disconnected the socket.
    ServerNamespaceDisconnect,
    /// The server is shutting down.
    ServerShuttingDown,
    /// The client did not answer a ping in time.
    PingTimeout,
    /// The connection was closed by the client or by the network.
    TransportClose,
    /// The connection failed, or the client violated the rules of the transport.
    TransportError,
    /// The client sent bytes that are not Engine.IO.
    ParseError,
    /// The client violated the Socket.IO protocol.
    ForcedClose,
    /// The client did not read the data sent to it; see the builder's `max_outbox_bytes`, `slow_client_timeout` and
    /// `stall_timeout`. Node has no such limits.
    SlowClient,
    /// The queue of the client's events was full (see the builder's `max_queued_bytes`) while the server awaited
    /// acknowledgements of the client, which may be queued behind those events; or the server held too much input
    /// (`max_inbound_bytes`). Node has no such limits.
    QueueFull,
}

impl DisconnectReason {
    /// Returns Node's name of the reason.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientNamespaceDisconnect => "client namespace disconnect",
            Self::ServerNamespaceDisconnect => "server namespace disconnect",
            Self::ServerShuttingDown => "server shutting down",
            Self::PingTimeout => "ping timeout",
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::ParseError => "parse error",
            Self::ForcedClose => "forced close",
            Self::SlowClient => "slow client",
            Self::QueueFull => "queue full",
        }
    }

    /// Returns true if the client may not have intended to disconnect and may therefore recover the socket.
    #[doc(hidden)]
    #[must_use]
    pub const fn is_recoverable(self) -> bool {
        !matches!(
            self,
            Self::ClientNamespaceDisconnect | Self::ServerNamespaceDisconnect | Self::ParseError
        )
    }

    /// Returns true if the server ended the connection, rather than the client or the network.
    #[doc(hidden)]
    #[must_use]
    pub const fn is_by_server(self) -> bool {
        matches!(
            self,
            Self::ServerNamespaceDisconnect | Self::ServerShuttingDown | Self::ForcedClose
        )
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
