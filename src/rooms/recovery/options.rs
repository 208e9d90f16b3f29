//! What users say of it.

use std::time::Duration;

/// Keeps for clients that lose their connection what they miss, for a while. Node's `connectionStateRecovery`.
///
/// A client of JavaScript that comes back in time is the same socket as before: with its id, its rooms, what
/// [`Socket::insert`](crate::Socket::insert) and middleware have kept with it, and all events since the last one that it has
/// seen, each once and in order. Clients that know nothing of it get one more argument with each event, and a new socket.
///
/// Kept are, for each namespace, the events that were emitted without acknowledgement and not `volatile`. When one of the
/// limits is reached, the oldest are forgotten, and who would have needed them comes back as a new socket.
///
/// ```
/// use std::time::Duration;
/// use axum_socketio::{Namespace, Recovery, SocketIo};
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
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            max_duration: Duration::from_secs(120),
            max_packets: 10_000,
            max_bytes: 16 * 1024 * 1024,
            max_sessions: 10_000,
            skip_middlewares: false,
        }
    }
}

impl Recovery {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a client may stay away, counted from when the server has noticed. Default: 2 minutes. Node's
    /// `maxDisconnectionDuration`.
    pub const fn max_duration(mut self, duration: Duration) -> Self {
        self.max_duration = duration;
        self
    }

    /// How many events of a namespace are kept. Default: 10,000. Node has no limit.
    pub const fn max_packets(mut self, packets: usize) -> Self {
        self.max_packets = packets;
        self
    }

    /// How many bytes the events of a namespace that are kept may have. Default: 16 MiB. Node has no limit.
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How many sockets of a namespace that are away are remembered. Default: 10,000. Node has no limit.
    pub const fn max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = sessions;
        self
    }

    /// Whether a client that comes back is admitted without asking middleware. Default: no, so that whose rights have ended
    /// meanwhile stays out. Node's `skipMiddlewares`, which is true there.
    pub const fn skip_middlewares(mut self, skip: bool) -> Self {
        self.skip_middlewares = skip;
        self
    }
}
