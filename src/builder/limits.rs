//! The limits on the memory and the work that clients can cost the server.

use crate::namespace::NamespaceOptions;
use crate::server::{PollPackets, Settings};

/// The minimum of the default of `max_running_bytes`.
pub(super) const MAX_RUNNING_BYTES: usize = 16 * 1024 * 1024;

/// The limits whose defaults depend on other options, as far as they were set.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ChosenLimits {
    max_running_bytes: Option<usize>,
    max_packet_bytes: Option<usize>,
}

impl ChosenLimits {
    /// Completes the settings, when all options are known.
    pub(super) fn fill(self, settings: &mut Settings) {
        let largest = settings.engine.max_payload;
        let packet = settings.limits.max_attachments.saturating_mul(largest);
        settings.limits.max_packet_bytes = self.max_packet_bytes.unwrap_or(packet);
        let running = packet.max(MAX_RUNNING_BYTES);
        settings.max_running_bytes = self.max_running_bytes.unwrap_or(running);
    }
}

/// Limits of the memory and the work that clients can cost the server; see
/// [`SocketIoBuilder::limits`](crate::SocketIoBuilder::limits).
///
/// A limit that is not set has its default:
///
/// | limit | default |
/// |---|---|
/// | [`max_payload`](Self::max_payload) | 1,000,000 bytes |
/// | [`max_poll_packets`](Self::max_poll_packets) | none; 16 for clients in Python |
/// | [`max_outbox_packets`](Self::max_outbox_packets) | 10,000 |
/// | [`max_outbox_bytes`](Self::max_outbox_bytes) | 16 MiB |
/// | [`max_auth_len`](Self::max_auth_len) | 64 KiB |
/// | [`max_attachments`](Self::max_attachments) | 10 |
/// | [`max_namespace_len`](Self::max_namespace_len) | 256 bytes |
/// | [`max_event_len`](Self::max_event_len) | 256 bytes |
/// | [`max_namespaces`](Self::max_namespaces) | 64 |
/// | [`max_dynamic_namespaces`](Self::max_dynamic_namespaces) | 10,000 |
/// | [`max_rooms`](Self::max_rooms) | 1,024 |
/// | [`max_room_len`](Self::max_room_len) | 1,024 bytes |
/// | [`max_pending`](Self::max_pending) | 64 |
/// | [`max_queued_bytes`](Self::max_queued_bytes) | 8 MiB |
/// | [`max_running_bytes`](Self::max_running_bytes) | 16 MiB, or `max_attachments` × `max_payload` if that is more |
/// | [`max_packet_bytes`](Self::max_packet_bytes) | `max_attachments` × `max_payload` |
/// | [`max_inbound_bytes`](Self::max_inbound_bytes) | 512 MiB |
/// | [`max_detached_handlers`](Self::max_detached_handlers) | 10,000 |
/// | [`max_handlers`](Self::max_handlers) | 1,024 |
/// | [`max_log_records`](Self::max_log_records) | 600 |
/// | [`max_log_records_per_connection`](Self::max_log_records_per_connection) | 10 |
/// | [`max_connections`](Self::max_connections) | none |
///
/// ```
/// use axum_socketio::{Limits, SocketIo};
///
/// let io = SocketIo::builder::<()>()
///     .limits(Limits::new().max_payload(10_000_000).max_connections(50_000))
///     .build();
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "pass it to `SocketIoBuilder::limits`"]
pub struct Limits {
    max_payload: Option<usize>,
    max_poll_packets: Option<PollPackets>,
    max_outbox_packets: Option<usize>,
    max_outbox_bytes: Option<usize>,
    max_auth_len: Option<usize>,
    max_attachments: Option<usize>,
    max_namespace_len: Option<usize>,
    max_event_len: Option<usize>,
    max_namespaces: Option<usize>,
    max_dynamic_namespaces: Option<usize>,
    max_rooms: Option<usize>,
    max_room_len: Option<usize>,
    max_pending: Option<usize>,
    max_queued_bytes: Option<usize>,
    max_running_bytes: Option<usize>,
    max_packet_bytes: Option<usize>,
    max_inbound_bytes: Option<usize>,
    max_detached_handlers: Option<usize>,
    max_handlers: Option<usize>,
    max_log_records: Option<u32>,
    max_log_records_per_connection: Option<u32>,
    max_connections: Option<usize>,
}

impl Limits {
    /// Creates limits of which none is set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies the limits that are set.
    pub(super) fn apply(
        self,
        settings: &mut Settings,
        options: &mut NamespaceOptions,
        chosen: &mut ChosenLimits,
    ) {
        set(&mut settings.engine.max_payload, self.max_payload);
        set(&mut settings.engine.max_poll_packets, self.max_poll_packets);
        set(
            &mut settings.engine.max_outbox_packets,
            self.max_outbox_packets,
        );
        set(&mut settings.engine.max_outbox_bytes, self.max_outbox_bytes);
        set(&mut settings.max_auth_len, self.max_auth_len);
        set(&mut settings.limits.max_attachments, self.max_attachments);
        set(&mut settings.limits.max_nsp_len, self.max_namespace_len);
        set(&mut settings.limits.max_event_len, self.max_event_len);
        set(&mut settings.max_namespaces, self.max_namespaces);
        set(
            &mut settings.max_dynamic_namespaces,
            self.max_dynamic_namespaces,
        );
        set(&mut options.room_limits.rooms, self.max_rooms);
        set(&mut options.room_limits.name_len, self.max_room_len);
        set(&mut options.max_pending, self.max_pending);
        set(&mut settings.max_queued_bytes, self.max_queued_bytes);
        chosen.max_running_bytes = self.max_running_bytes.or(chosen.max_running_bytes);
        chosen.max_packet_bytes = self.max_packet_bytes.or(chosen.max_packet_bytes);
        set(&mut settings.max_inbound_bytes, self.max_inbound_bytes);
        set(
            &mut settings.max_detached_handlers,
            self.max_detached_handlers,
        );
        set(&mut settings.max_handlers, self.max_handlers);
        set(&mut settings.max_log_records, self.max_log_records);
        set(
            &mut settings.max_log_records_per_connection,
            self.max_log_records_per_connection,
        );
        set(&mut settings.max_connections, self.max_connections);
    }

    /// Sets the maximum size of a WebSocket message and of the body of a polling request, in bytes. Default: 1,000,000.
    /// Node's `maxHttpBufferSize`. It is sent to the client in the handshake as `maxPayload`.
    pub const fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = Some(bytes);
        self
    }

    /// Sets the maximum number of packets in one response to a poll, for all clients; `None` is no limit. A binary
    /// attachment is a packet of its own, and an event with more attachments than that is sent in a response of its
    /// own.
    ///
    /// Default: a response carries all that is queued, as in Node, and 16 packets for clients in Python:
    /// python-engineio, and therefore python-socketio, closes the session on a payload of more packets. Such clients
    /// are recognized by the `User-Agent` of the handshake, in which a product begins with `python` or is `aiohttp`.
    /// Set 16 here if your Python clients send another `User-Agent`, or `None` if they raise
    /// `engineio.payload.Payload.max_decode_packets`.
    ///
    /// ```
    /// use axum_socketio::Limits;
    ///
    /// let limits = Limits::new().max_poll_packets(16);
    /// let limits = Limits::new().max_poll_packets(None);
    /// ```
    pub fn max_poll_packets(mut self, packets: impl Into<Option<usize>>) -> Self {
        let max = packets.into().map(|packets| packets.max(1));
        self.max_poll_packets = Some(PollPackets::Max(max));
        self
    }

    /// Sets the maximum number of packets in one client's outbox. Beyond it, `emit` returns
    /// [`EmitError::Full`](crate::emit::EmitError::Full). Default: 10,000. Node has no limit.
    ///
    /// While the outbox is more than half full, the client's next events wait too. Packets that the protocol requires,
    /// such as acknowledgements, are queued beyond the limit.
    pub fn max_outbox_packets(mut self, packets: usize) -> Self {
        self.max_outbox_packets = Some(packets.max(1));
        self
    }

    /// Sets the maximum number of bytes in one client's outbox. Default: 16 MiB. Node has no limit. A single packet of
    /// any size is accepted.
    ///
    /// A response to a poll of 16 KiB or more counts until the HTTP server has taken it, piece by piece as the client
    /// reads.
    pub const fn max_outbox_bytes(mut self, bytes: usize) -> Self {
        self.max_outbox_bytes = Some(bytes);
        self
    }

    /// Sets the maximum size of a client's auth, in bytes of JSON. The auth is stored with the client's socket.
    /// Default: 64 KiB. A client with a longer one is refused with `{"message":"auth is too long"}`.
    pub const fn max_auth_len(mut self, bytes: usize) -> Self {
        self.max_auth_len = Some(bytes);
        self
    }

    /// Sets the maximum number of binary attachments of a packet. Default: 10, as in Node.
    pub const fn max_attachments(mut self, attachments: usize) -> Self {
        self.max_attachments = Some(attachments);
        self
    }

    /// Sets the maximum length of a namespace's name, in bytes. Default: 256. A longer one closes the connection.
    pub const fn max_namespace_len(mut self, bytes: usize) -> Self {
        self.max_namespace_len = Some(bytes);
        self
    }

    /// Sets the maximum length of an event's name, in bytes. Default: 256. A longer one closes the connection.
    pub const fn max_event_len(mut self, bytes: usize) -> Self {
        self.max_event_len = Some(bytes);
        self
    }

    /// Sets the maximum number of namespaces that one connection may join. Default: 64. One more closes the connection.
    pub fn max_namespaces(mut self, namespaces: usize) -> Self {
        self.max_namespaces = Some(namespaces.max(1));
        self
    }

    /// Sets the maximum number of [dynamic namespaces](crate::SocketIoBuilder::namespace) of one pattern that exist at
    /// the same time.
    /// Default: 10,000. A client that asks for one more is refused with `Too many namespaces`. Node has no limit.
    pub const fn max_dynamic_namespaces(mut self, namespaces: usize) -> Self {
        self.max_dynamic_namespaces = Some(namespaces);
        self
    }

    /// Sets the maximum number of rooms that one socket may join, not counting that of its own id. Default: 1,024.
    pub const fn max_rooms(mut self, rooms: usize) -> Self {
        self.max_rooms = Some(rooms);
        self
    }

    /// Sets the maximum length of the name of a room that a socket joins, in bytes. Default: 1,024.
    pub const fn max_room_len(mut self, bytes: usize) -> Self {
        self.max_room_len = Some(bytes);
        self
    }

    /// Sets the maximum number of running handlers of one socket, for namespaces that do not set their own. Default:
    /// 64.
    ///
    /// See [`Namespace::max_pending`](crate::Namespace::max_pending).
    pub fn max_pending(mut self, handlers: usize) -> Self {
        self.max_pending = Some(handlers.max(1));
        self
    }

    /// Sets the maximum size of the events of one connection that wait for their handlers, in bytes, with 256 added for
    /// each event. Default: 8 MiB. Node has no limit.
    ///
    /// Events wait while their connect handler runs, while an extractor awaits, behind an earlier event of
    /// [`Order::Completed`](crate::config::Order::Completed), and while a limit is reached:
    /// [`max_pending`](Self::max_pending), [`max_handlers`](Self::max_handlers),
    /// [`max_running_bytes`](Self::max_running_bytes), or half of [`max_outbox_bytes`](Self::max_outbox_bytes). An
    /// acknowledgement that has been read never waits.
    ///
    /// At the limit, the connection is not read until events have started; this is the backpressure. A pause of more
    /// than a second is logged once for each connection, with the option that causes it. If handlers of the connection
    /// are then waiting for acknowledgements of its client, and nothing progresses for a second, the connection is
    /// closed with `queue full`: the acknowledgements may lie behind the events that wait for these handlers. If only
    /// other code awaits acknowledgements of the client, such as a broadcast, this happens after a minute.
    pub fn max_queued_bytes(mut self, bytes: usize) -> Self {
        self.max_queued_bytes = Some(bytes.max(1));
        self
    }

    /// Sets the maximum size of the events of one connection whose handlers are running, in bytes, including
    /// attachments. Default: 16 MiB, or [`max_attachments`](Self::max_attachments) × [`max_payload`](Self::max_payload)
    /// if that is more. Node has no limit.
    ///
    /// At the limit, the next events wait until handlers have ended. One event may always run. An event counts as many
    /// bytes as were received for it, from the first time that its handler has to wait until the handler has ended.
    pub fn max_running_bytes(mut self, bytes: usize) -> Self {
        self.max_running_bytes = Some(bytes.max(1));
        self
    }

    /// Sets the maximum size of all attachments of one packet together, in bytes. A larger packet closes the connection
    /// with `forced close`. Default: [`max_attachments`](Self::max_attachments) × [`max_payload`](Self::max_payload),
    /// as in Node.
    pub const fn max_packet_bytes(mut self, bytes: usize) -> Self {
        self.max_packet_bytes = Some(bytes);
        self
    }

    /// Sets the maximum size of the input that all connections of the server hold together, in bytes. This input is the
    /// events that are waiting or whose handlers are running, the packets and messages that are incomplete, and the
    /// auths. Default: 512 MiB. Node has no limit.
    ///
    /// The connections that hold the most input are paused before the limit is reached: the server does not read from
    /// those that hold more than four times what is free. A connection that holds less than 64 KiB is always read. If a
    /// paused connection holds nothing but an unfinished packet, or its handlers wait for acknowledgements, it is
    /// closed with `queue full` when that lasts ten seconds.
    pub const fn max_inbound_bytes(mut self, bytes: usize) -> Self {
        self.max_inbound_bytes = Some(bytes);
        self
    }

    /// Sets the maximum number of handlers that continue after their connections have closed, over all connections.
    /// Default: 10,000. Node has no limit.
    ///
    /// Beyond it, the running handlers of the closed connection that has most of them are dropped, and its waiting
    /// events are not handled; its disconnect handlers run. No client is refused because of such handlers. Their events
    /// count in [`max_inbound_bytes`](Self::max_inbound_bytes): before an open connection is paused for that limit, the
    /// handlers of the closed connection that holds most are dropped, if it holds more than the open one.
    pub const fn max_detached_handlers(mut self, handlers: usize) -> Self {
        self.max_detached_handlers = Some(handlers);
        self
    }

    /// Sets the maximum number of running handlers of one connection, over all its namespaces, including middleware and
    /// the handlers of connects and disconnects. At the limit, events and CONNECTs wait. Default: 1,024.
    pub fn max_handlers(mut self, handlers: usize) -> Self {
        self.max_handlers = Some(handlers.max(1));
        self
    }

    /// Sets the maximum number of warnings and errors caused by clients that are logged in a minute, over all
    /// connections: refused joins, messages over a limit. Default: 600. One more record says that further ones are left
    /// out, and a later one says how many they were; [`Metrics::logs_left_out`](crate::metrics::Metrics::logs_left_out)
    /// counts them. Node has no limit.
    ///
    /// Faults of the application, such as handlers that panic and errors with a status of 5xx, have as many records of
    /// their own, so that clients cannot hide them behind other records.
    ///
    /// Records at `debug` and below are not limited.
    pub const fn max_log_records(mut self, records: u32) -> Self {
        self.max_log_records = Some(records);
        self
    }

    /// Sets the maximum number of warnings and errors caused by one client that are logged in a minute, for each
    /// connection. Default: 10. They count in [`max_log_records`](Self::max_log_records) too. Requests that are refused
    /// before a connection opens share one such limit. Node has no limit.
    pub const fn max_log_records_per_connection(mut self, records: u32) -> Self {
        self.max_log_records_per_connection = Some(records);
        self
    }

    /// Sets the maximum number of connections. Default: no limit. One more is refused with 503 and `Retry-After`,
    /// `{"code":4,"message":"Too many connections"}`.
    pub const fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = Some(connections);
        self
    }
}

/// Sets an option if a value was given.
pub(super) fn set<T>(option: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *option = value;
    }
}
