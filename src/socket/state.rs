//! The states of a socket.

use proto::DisconnectReason;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SocketState {
    /// Middleware have not decided yet.
    Connecting,
    Connected,
    Closed(Ended),
}

/// The end of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) reason: DisconnectReason,
    /// True if the socket was connected before. Otherwise its end is not reported to handlers.
    pub(crate) was_connected: bool,
}

/// The result of connecting a socket that middleware have admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectOutcome {
    Yes,
    /// The socket has already ended.
    Over,
    /// The session cannot be resumed: missed events were removed meanwhile, or the server has revoked it. The client
    /// needs a new socket.
    Outdated,
}
