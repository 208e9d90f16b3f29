//! The intervals, timeouts and deadlines of a server.

use std::time::Duration;

use super::limits::set;
use crate::namespace::NamespaceOptions;
use crate::server::Settings;

/// The longest duration of an option; longer ones would overflow `Instant`.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Intervals, timeouts and deadlines; see [`SocketIoBuilder::timeouts`](crate::SocketIoBuilder::timeouts).
///
/// A time that is not set has its default:
///
/// | time | default |
/// |---|---|
/// | [`ping_interval`](Self::ping_interval) | 25 s |
/// | [`ping_timeout`](Self::ping_timeout) | 20 s |
/// | [`upgrade_timeout`](Self::upgrade_timeout) | 10 s |
/// | [`connect_timeout`](Self::connect_timeout) | 45 s |
/// | [`slow_client_timeout`](Self::slow_client_timeout) | 10 s |
/// | [`stall_timeout`](Self::stall_timeout) | `ping_interval` + `ping_timeout` |
/// | [`body_timeout`](Self::body_timeout) | 30 s |
/// | [`message_timeout`](Self::message_timeout) | `max_payload` at 16 kB/s, at least 30 s |
/// | [`close_timeout`](Self::close_timeout) | 30 s |
/// | [`ack_timeout`](Self::ack_timeout) | 5 s |
/// | [`drain_window`](Self::drain_window) | 5 s |
/// | [`drain_limit`](Self::drain_limit) | 30 s |
///
/// ```
/// use std::time::Duration;
/// use axum_socketio::{SocketIo, Timeouts};
///
/// let io = SocketIo::builder::<()>()
///     .timeouts(Timeouts::new().ping_interval(Duration::from_secs(10)))
///     .build();
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "pass it to `SocketIoBuilder::timeouts`"]
pub struct Timeouts {
    ping_interval: Option<Duration>,
    ping_timeout: Option<Duration>,
    upgrade_timeout: Option<Duration>,
    connect_timeout: Option<Duration>,
    slow_client_timeout: Option<Duration>,
    stall_timeout: Option<Duration>,
    body_timeout: Option<Duration>,
    message_timeout: Option<Duration>,
    close_timeout: Option<Duration>,
    ack_timeout: Option<Duration>,
    drain_window: Option<Duration>,
    drain_limit: Option<Duration>,
}

impl Timeouts {
    /// Creates timeouts of which none is set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies the times that are set.
    pub(super) fn apply(self, settings: &mut Settings, options: &mut NamespaceOptions) {
        set(
            &mut settings.engine.session.ping_interval,
            self.ping_interval,
        );
        set(&mut settings.engine.session.ping_timeout, self.ping_timeout);
        set(
            &mut settings.engine.session.upgrade_timeout,
            self.upgrade_timeout,
        );
        set(&mut settings.engine.connect_timeout, self.connect_timeout);
        set(
            &mut settings.engine.slow_client_timeout,
            self.slow_client_timeout,
        );
        settings.engine.stall_timeout = self.stall_timeout.or(settings.engine.stall_timeout);
        set(&mut settings.engine.body_timeout, self.body_timeout);
        settings.engine.message_timeout = self.message_timeout.or(settings.engine.message_timeout);
        set(
            &mut settings.engine.session.close_timeout,
            self.close_timeout,
        );
        set(&mut options.ack_timeout, self.ack_timeout);
        set(&mut settings.drain_window, self.drain_window);
        set(&mut settings.drain_limit, self.drain_limit);
    }

    /// Sets the time between two pings. Default: 25 s. Node's `pingInterval`.
    ///
    /// Pings are sent whatever else happens: while the server does not read from a connection because too many events
    /// are waiting for their handlers, while a large message is being received, and while a pong is awaited. A pong
    /// that arrives after its deadline is followed by a ping at once, since a client counts its own deadline from the
    /// last ping.
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.ping_interval = Some(interval.min(FOREVER));
        self
    }

    /// Sets the time that a client has for the answer to a ping. A client that exceeds it is disconnected with
    /// `ping timeout`. Default: 20 s. Node's `pingTimeout`. It is sent to the client in the handshake, in milliseconds,
    /// rounded up.
    ///
    /// The deadline is that of the oldest unanswered ping, counted from the time at which that ping was due; a pong
    /// answers all pings before it. While a message or a body is incomplete, each further part of it extends the
    /// deadline, for at most [`message_timeout`](Self::message_timeout) or [`body_timeout`](Self::body_timeout). While
    /// the server itself does not read, a client stays connected as long as its connection accepts the pings; otherwise
    /// it is disconnected with `slow client`. A client whose WebSocket accepts nothing, not even the ping, for
    /// [`stall_timeout`](Self::stall_timeout) is disconnected in the same way.
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.ping_timeout = Some(timeout.min(FOREVER));
        self
    }

    /// Sets the time that an upgrade from polling to WebSocket may take. Default: 10 s. Node's `upgradeTimeout`. An
    /// upgrade that takes longer is abandoned, and the session continues over polling.
    pub fn upgrade_timeout(mut self, timeout: Duration) -> Self {
        self.upgrade_timeout = Some(timeout.min(FOREVER));
        self
    }

    /// Sets the time that a connection may stay open without having joined a namespace. Default: 45 s. Node's
    /// `connectTimeout`.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout.min(FOREVER));
        self
    }

    /// Sets the time that a client's outbox may stay full, or continue to refuse events. After that, the client is
    /// disconnected with `slow client`. Default: 10 s. Node has no limit.
    ///
    /// An outbox that has room again counts as recovered when it has refused nothing for half of this time. A client
    /// that misses events of one burst and then catches up therefore stays connected, and one that continues to miss
    /// events does not.
    pub fn slow_client_timeout(mut self, timeout: Duration) -> Self {
        self.slow_client_timeout = Some(timeout.min(FOREVER));
        self
    }

    /// Sets the time that a client may accept none of the data that is queued for it. After that, it is disconnected
    /// with `slow client`, even if its outbox has room and it answers pings. A client accepts nothing while the
    /// operating system takes no byte for its WebSocket, or while it neither polls nor reads the response to its last
    /// poll. Default: `ping_interval` + `ping_timeout`. Node has no limit.
    pub fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.stall_timeout = Some(timeout.min(FOREVER));
        self
    }

    /// Sets the time within which the whole body of a POST has to arrive. A slower request is answered with 408, and
    /// its session is closed with `transport error`. Default: 30 s. Node's `httpRequestBodyTimeout`.
    ///
    /// A body of `max_payload` bytes needs 33 kB/s by default. Allow more time if clients are slower and send large
    /// messages over long-polling.
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = Some(timeout.min(FOREVER));
        self
    }

    /// Sets the time that a WebSocket message may take to arrive, from its first byte to its last, including all its
    /// fragments. A slower message closes the connection with code 1008 and the reason `transport error`. The time does
    /// not advance while the server does not read.
    ///
    /// Default: the time that a message of [`max_payload`](super::Limits::max_payload) bytes takes at 16 kB/s, but at
    /// least 30 s. This is 62.5 s with the default of 1 MB. Node has no limit.
    pub fn message_timeout(mut self, timeout: Duration) -> Self {
        self.message_timeout = Some(timeout.min(FOREVER));
        self
    }

    /// Sets the time that a closing session waits for its client to fetch the packets that are still queued. Default:
    /// 30 s, as in Node. A shutdown waits for 5 s at most when the client does not poll.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = Some(timeout.min(FOREVER));
        self
    }

    /// Sets the time that `emit_with_ack` waits by default. Default: 5 s.
    pub fn ack_timeout(mut self, timeout: Duration) -> Self {
        self.ack_timeout = Some(timeout.min(FOREVER));
        self
    }

    /// Sets the time over which [`SocketIo::graceful`](crate::SocketIo::graceful) spreads the closing of connections,
    /// so that their clients do not all reconnect at once. Default: 5 s. [`drain_limit`](Self::drain_limit) cuts it
    /// short. Node has no such option.
    pub fn drain_window(mut self, window: Duration) -> Self {
        self.drain_window = Some(window.min(FOREVER));
        self
    }

    /// Sets the time that running handlers have after a shutdown has begun. After that, they are dropped, and their
    /// connections are closed. Default: 30 s. Node has no such option.
    pub fn drain_limit(mut self, limit: Duration) -> Self {
        self.drain_limit = Some(limit.min(FOREVER));
        self
    }
}
