//! The transports of the protocol.

use crate::named_enum::named_enum;

named_enum! {
    /// The transport between a client and the server.
    pub enum Transport {
        /// HTTP long-polling.
        Polling = "polling",
        /// WebSocket (RFC 6455, or RFC 8441 over HTTP/2).
        WebSocket = "websocket",
    }
}
