//! The options for how long the server waits.

use std::time::Duration;

use super::SocketIoBuilder;

/// Longer durations would overflow `Instant`.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

impl<S: Send + Sync + 'static> SocketIoBuilder<S> {
    /// The time between two pings. Default: 25 s. Node's `pingInterval`.
    ///
    /// Pings are sent whatever else happens: while the server does not read from a connection because too much waits to be
    /// handled, while a large message is arriving, and while a pong is awaited. A pong that comes after its deadline is
    /// followed by a ping at once, since a client counts its own deadline from the last ping.
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.settings.engine.ping_interval = interval.min(FOREVER);
        self
    }

    /// How long a client may take to answer a ping before it is disconnected with `ping timeout`. Default: 20 s. Node's
    /// `pingTimeout`. Sent to the client in the handshake, in milliseconds, rounded up.
    ///
    /// The deadline is that of the oldest ping without an answer, counted from when that ping was due; a pong answers all
    /// pings before it. While a message or a body is incomplete, each further part of it extends the deadline, for at most
    /// [`message_timeout`](Self::message_timeout) or [`body_timeout`](Self::body_timeout). While the server itself does not
    /// read, a client stays as long as it takes the pings; one that does not is disconnected with `slow client`. So is one whose
    /// WebSocket takes nothing, not even the ping, for [`stall_timeout`](Self::stall_timeout).
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.settings.engine.ping_timeout = timeout.min(FOREVER);
        self
    }

    /// How long an upgrade from polling to WebSocket may take; a late one is given up and polling goes on. Default: 10 s.
    /// Node's `upgradeTimeout`.
    pub fn upgrade_timeout(mut self, timeout: Duration) -> Self {
        self.settings.engine.upgrade_timeout = timeout.min(FOREVER);
        self
    }

    /// How long a connection may stay without having joined a namespace. Default: 45 s. Node's `connectTimeout`.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.engine.connect_timeout = timeout.min(FOREVER);
        self
    }

    /// How long a client's outbox may stay full, or keep refusing events, before the client is disconnected with `slow client`.
    /// Default: 10 s. Node has no limit.
    ///
    /// An outbox that has room again counts as recovered when it has refused nothing for half of this time. So a client that
    /// misses events of one burst and then catches up stays, and one that keeps missing them does not.
    pub fn slow_client_timeout(mut self, timeout: Duration) -> Self {
        self.settings.engine.slow_client_timeout = timeout.min(FOREVER);
        self
    }

    /// How long a client may take nothing of what is to be written to it before it is disconnected with `slow client`, even if
    /// its outbox has room and it answers pings: the system accepts no byte for its WebSocket, or it neither polls nor reads the
    /// answer to its last poll. Default: `ping_interval` + `ping_timeout`. Node has no limit.
    pub fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.settings.engine.stall_timeout = Some(timeout.min(FOREVER));
        self
    }

    /// How long the body of a POST may take to arrive, all of it. A slower one is answered with 408, and its session is closed
    /// with `transport error`. Default: 30 s. Node's `httpRequestBodyTimeout`.
    ///
    /// A body of `max_payload` bytes needs 33 kB/s by default: allow more time where clients are slower and send large messages
    /// over long-polling.
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.settings.engine.body_timeout = timeout.min(FOREVER);
        self
    }

    /// How long a WebSocket message may take to arrive, from its first byte to its last, all its fragments included. A slower
    /// one ends the connection: close code 1008, reason `transport error`. The time stands still while the server does not read.
    ///
    /// Default: what a message of [`max_payload`](Self::max_payload) bytes takes at 16 kB/s, but at least 30 s; so 62.5 s with
    /// the default of 1 MB. Node has no limit.
    pub fn message_timeout(mut self, timeout: Duration) -> Self {
        self.settings.engine.message_timeout = Some(timeout.min(FOREVER));
        self
    }

    /// How long a session that is being closed waits for its client to fetch what is left. Default: 30 s, as in Node. A shutdown
    /// waits for 5 s at most when the client does not poll.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.settings.engine.close_timeout = timeout.min(FOREVER);
        self
    }

    /// How long `emit_with_ack` waits unless told otherwise. Default: 5 s.
    pub fn ack_timeout(mut self, timeout: Duration) -> Self {
        self.options.ack_timeout = timeout.min(FOREVER);
        self
    }

    /// The time over which [`SocketIo::graceful`](crate::SocketIo::graceful) spreads the closing of connections, so that their
    /// clients do not reconnect all at once. Default: 5 s. It is not longer than [`drain_limit`](Self::drain_limit). Node has no
    /// such option.
    pub fn drain_window(mut self, window: Duration) -> Self {
        self.settings.drain_window = window.min(FOREVER);
        self
    }

    /// How long running handlers may take after a shutdown has begun. After that they are dropped, and their connections
    /// are closed. Default: 30 s. Node has no such option.
    pub fn drain_limit(mut self, limit: Duration) -> Self {
        self.settings.drain_limit = limit.min(FOREVER);
        self
    }
}
