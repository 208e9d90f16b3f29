//! The options of recovery.

use std::time::Duration;

/// Connection state recovery, which stores the events that clients miss while they are disconnected. Node's
/// `connectionStateRecovery`.
///
/// A JavaScript client that reconnects in time resumes its socket: with its id, its rooms, the values that
/// [`Socket::insert`](crate::Socket::insert) and middleware have stored with it, and all events since the last one that
/// it has seen, each once and in order. Clients without support for it get one more argument with each event, and a new
/// socket.
///
/// Each namespace stores the events that were emitted without acknowledgement and not `volatile`. At a limit, the
/// oldest are removed, and a client that would have needed them reconnects with a new socket.
///
/// ```
/// use std::time::Duration;
/// use axum_socketio::config::Recovery;
/// use axum_socketio::{Namespace, SocketIo};
///
/// let recovery = Recovery::new().max_duration(Duration::from_secs(60));
/// let io = SocketIo::builder().recovery(recovery).namespace("/", Namespace::new()).build();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "give it to a builder"]
pub struct Recovery {
    pub(crate) max_duration: Duration,
    pub(crate) max_packets: usize,
    pub(crate) max_bytes: usize,
    pub(crate) max_sessions: usize,
    pub(crate) skip_middlewares: bool,
    pub(crate) claim_timeout: Duration,
    pub(crate) position_timeout: Duration,
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            max_duration: Duration::from_secs(120),
            max_packets: 10_000,
            max_bytes: 16 * 1024 * 1024,
            max_sessions: 10_000,
            skip_middlewares: false,
            claim_timeout: Duration::from_secs(2),
            position_timeout: Duration::from_secs(1),
        }
    }
}

impl Recovery {
    /// Creates options with the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the time that a client may be disconnected, counted from when the server has detected it. Default: 2
    /// minutes. Node's `maxDisconnectionDuration`.
    pub const fn max_duration(mut self, duration: Duration) -> Self {
        self.max_duration = duration;
        self
    }

    /// Sets the maximum number of stored events of a namespace. Default: 10,000. Node has no limit.
    pub const fn max_packets(mut self, packets: usize) -> Self {
        self.max_packets = packets;
        self
    }

    /// Sets the maximum size of the stored events of a namespace, in bytes. Default: 16 MiB. Node has no limit.
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets the maximum number of stored sockets of disconnected clients in a namespace. Default: 10,000. Node has no
    /// limit.
    pub const fn max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = sessions;
        self
    }

    /// Lets clients resume without running middleware. By default, they run, so that a client that has lost its access
    /// meanwhile is not admitted. Node's `skipMiddlewares`, which is true there.
    pub const fn skip_middlewares(mut self) -> Self {
        self.skip_middlewares = true;
        self
    }

    /// Sets the time that a client which reconnects waits for a store that servers share to give its session out. After
    /// that time it gets a new socket. Default: 2 s. Node has no limit.
    ///
    /// It has no effect on a server that keeps sessions in its own memory: one without a cluster, or whose engine keeps
    /// no sessions.
    pub const fn claim_timeout(mut self, timeout: Duration) -> Self {
        self.claim_timeout = timeout;
        self
    }

    /// Sets the time that an event waits until a store that servers share has assigned its position. After that time,
    /// or when more events wait than [`max_packets`](Self::max_packets) or [`max_bytes`](Self::max_bytes) allow, it is
    /// delivered without an offset, and clients that have not seen it when they disconnect get a new socket. Default:
    /// 1 s. Node has no such limit.
    ///
    /// It has no effect without such a store; see [`claim_timeout`](Self::claim_timeout).
    pub const fn position_timeout(mut self, timeout: Duration) -> Self {
        self.position_timeout = timeout;
        self
    }
}
