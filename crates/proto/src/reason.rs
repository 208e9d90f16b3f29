//! The reasons for which sessions and sockets end.

use crate::named_enum::named_enum;

named_enum! {
    /// The reason for which a socket was disconnected. The names are those of Node's server, so that logs and
    /// dashboards keep working.
    ///
    /// ```
    /// use axum_socketio::DisconnectReason;
    /// assert_eq!(DisconnectReason::PingTimeout.to_string(), "ping timeout");
    /// ```
    pub enum DisconnectReason {
        /// The client left the namespace (`socket.disconnect()` on its side).
        ClientNamespaceDisconnect = "client namespace disconnect",
        /// The server disconnected the socket.
        ServerNamespaceDisconnect = "server namespace disconnect",
        /// The server is shutting down.
        ServerShuttingDown = "server shutting down",
        /// The time set by `Socket::expires_at` or `Socket::expires_in` has come. Node has no such limit.
        Expired = "expired",
        /// The client did not answer a ping in time.
        PingTimeout = "ping timeout",
        /// The connection was closed by the client or by the network.
        TransportClose = "transport close",
        /// The connection failed, or the client violated the rules of the transport.
        TransportError = "transport error",
        /// The client sent bytes that are not Engine.IO.
        ParseError = "parse error",
        /// The client violated the Socket.IO protocol.
        ForcedClose = "forced close",
        /// The client did not read the data sent to it; see the builder's `max_outbox_bytes`, `slow_client_timeout` and
        /// `stall_timeout`. Node has no such limits.
        SlowClient = "slow client",
        /// The queue of the client's events was full (see the builder's `max_queued_bytes`) while the server awaited
        /// acknowledgements of the client, which may be queued behind those events; or the server held too much input
        /// (`max_inbound_bytes`). Node has no such limits.
        QueueFull = "queue full",
    }
}

impl DisconnectReason {
    /// Returns true if the client may not have intended to disconnect and may therefore recover the socket.
    #[doc(hidden)]
    #[must_use]
    pub const fn is_recoverable(self) -> bool {
        !matches!(
            self,
            Self::ClientNamespaceDisconnect
                | Self::ServerNamespaceDisconnect
                | Self::Expired
                | Self::ParseError
        )
    }

    /// Returns true if the server ended the connection, rather than the client or the network.
    #[doc(hidden)]
    #[must_use]
    pub const fn is_by_server(self) -> bool {
        matches!(
            self,
            Self::ServerNamespaceDisconnect
                | Self::Expired
                | Self::ServerShuttingDown
                | Self::ForcedClose
        )
    }
}
