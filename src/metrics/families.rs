//! The declaration of all counted numbers.

use std::collections::BTreeMap;

/// The numbers of a family, one for each value of its label, including values that have not occurred.
pub type ByLabel = BTreeMap<&'static str, u64>;

/// The declaration of a number, or of one for each value of a label.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "metrics"),
    expect(dead_code, reason = "only the facade asks for words")
)]
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) kind: MetricKind,
    /// The label, or an empty text if there is only one number.
    pub(crate) label: &'static str,
    /// The values of the label.
    pub(crate) values: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetricKind {
    /// A number that only grows, as long as the server exists.
    Counter,
    /// A number of items that exist now.
    Gauge,
}

macro_rules! families {
    ($(
        #[doc = $help:literal]
        $variant:ident $field:ident: $kind:ident $(by $label:ident [$($value:literal),+ $(,)?])?;
    )+) => {
        /// The families of numbers.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Counted { $($variant),+ }

        impl Counted {
            #[cfg(feature = "metrics")]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),+];

            /// The families, in the order of the variants.
            pub(crate) const FAMILIES: &[Family] = &[$(Family {
                name: name!($kind $field),
                help: $help,
                kind: MetricKind::$kind,
                label: concat!($(stringify!($label))?),
                values: values!($($($value),+)?),
            }),+];
        }

        /// The numbers that a server has counted since it was built, and the numbers of items that exist now: see
        /// [`SocketIo::metrics`](crate::SocketIo::metrics).
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Metrics {
            $(#[doc = $help] pub $field: number!($($label)?),)+
            /// The number of connected sockets, by namespace. The namespaces of a pattern count together, under the
            /// pattern.
            pub sockets: BTreeMap<String, u64>,
        }

        impl Metrics {
            /// Collects the numbers, which `numbers` returns for each value of the label of a family.
            pub(crate) fn collect<I: Iterator<Item = (&'static str, u64)>>(
                numbers: impl Fn(Counted) -> I,
                sockets: BTreeMap<String, u64>,
            ) -> Self {
                Self { $($field: Number::sum(numbers(Counted::$variant)),)+ sockets }
            }
        }
    };
}

macro_rules! name {
    (Gauge $field:ident) => {
        concat!("socketio_", stringify!($field))
    };
    (Counter $field:ident) => {
        concat!("socketio_", stringify!($field), "_total")
    };
}

macro_rules! values {
    () => {
        &[""]
    };
    ($($value:literal),+) => {
        &[$($value),+]
    };
}

macro_rules! number {
    () => {
        u64
    };
    ($label:ident) => {
        ByLabel
    };
}

families! {
    /// Connections that are open now.
    Connections connections: Gauge by transport ["polling", "websocket"];
    /// Connections that were opened, by their first transport.
    ConnectionsOpened connections_opened: Counter by transport ["polling", "websocket"];
    /// Connections that were closed.
    ConnectionsClosed connections_closed: Counter by reason [
        "server namespace disconnect", "server shutting down", "ping timeout", "transport close", "transport error",
        "parse error", "forced close", "slow client", "queue full", "payload too large",
    ];
    /// Input of clients that was refused since it is over a limit, by the option of the builder.
    InputRefused input_refused: Counter by limit [
        "max_payload", "max_attachments", "max_packet_bytes", "max_namespaces", "max_namespace_len", "max_event_len",
        "max_auth_len", "Compression::max_ratio",
    ];
    /// Requests that were refused; the reasons are the contexts of `on_connection_error`, and `UPGRADED_ALREADY`.
    RequestsRefused requests_refused: Counter by reason [
        "TRANSPORT_UNKNOWN", "SESSION_UNKNOWN", "BAD_HANDSHAKE_METHOD", "FORBIDDEN", "INVALID_ORIGIN", "UNAVAILABLE",
        "TOO_MANY_CONNECTIONS", "TOO_MANY_CONNECTIONS_OF_ADDRESS", "UNSUPPORTED_PROTOCOL_VERSION", "WEBSOCKET_VERSION",
        "PROTOCOL_MISMATCH", "UPGRADE_REFUSED", "TRANSPORT_MISMATCH", "TRANSPORT_HANDSHAKE_ERROR", "BAD_WEBSOCKET_KEY",
        "BAD_WEBSOCKET_PROTOCOL", "NO_UPGRADE", "UPGRADED_ALREADY", "OVERLAP", "BAD_METHOD", "BAD_BODY", "BODY_LIMIT",
        "INTERNAL_ERROR", "OTHER",
    ];
    /// Connections that tried to move from polling to WebSocket.
    Upgrades upgrades: Counter by outcome ["done", "failed"];
    /// Connections that were closed since a request's body or a WebSocket message took too long.
    InputTimeouts input_timeouts: Counter by input ["body", "message"];
    /// Sockets that were let into a namespace.
    SocketsConnected sockets_connected: Counter;
    /// Sockets that were not let into a namespace.
    SocketsRefused sockets_refused: Counter by reason [
        "middleware", "no namespace", "too many namespaces", "auth too long", "internal error",
    ];
    /// Sockets that have left their namespace.
    SocketsDisconnected sockets_disconnected: Counter by reason [
        "client namespace disconnect", "server namespace disconnect", "server shutting down", "ping timeout",
        "transport close", "transport error", "parse error", "forced close", "slow client", "queue full",
    ];
    /// Sockets that came back after a lost connection, and those that found nothing of theirs any more.
    Recoveries recoveries: Counter by outcome ["recovered", "failed", "unavailable"];
    /// Packets of Engine.IO that were received; each attachment is one.
    ReceivedPackets received_packets: Counter;
    /// Bytes of the packets that were received.
    ReceivedBytes received_bytes: Counter;
    /// Packets of Socket.IO that were written; attachments belong to theirs.
    SentPackets sent_packets: Counter;
    /// Bytes of the packets that were written.
    SentBytes sent_bytes: Counter;
    /// Events that clients have sent.
    EventsReceived events_received: Counter;
    /// Events of clients that no handler is for.
    EventsUnhandled events_unhandled: Counter;
    /// Events of clients whose arguments did not fit the handler.
    EventsRejected events_rejected: Counter;
    /// Events of clients that a layer kept from the handler.
    EventsStopped events_stopped: Counter by cause ["rate limit", "timeout", "overload", "other"];
    /// Handlers of events that have begun and wait for something now.
    HandlersWaiting handlers_waiting: Gauge;
    /// Handlers that go on now though their connections have closed.
    DetachedHandlers detached_handlers: Gauge;
    /// Handlers that were cancelled after their connections had closed, because a limit was reached.
    DetachedHandlersCancelled detached_handlers_cancelled: Counter;
    /// Bytes of clients' input that connections hold now: events that wait or run, and what is not complete.
    InboundBytes inbound_bytes: Gauge;
    /// Times that the reading of a connection was paused, by the option whose limit was reached.
    ReadingPaused reading_paused: Counter by option [
        "max_queued_bytes", "max_pending", "max_handlers", "max_running_bytes", "max_outbox_packets",
        "max_outbox_bytes", "max_inbound_bytes",
    ];
    /// Handlers that have returned an error, those of connect and disconnect among them.
    HandlerErrors handler_errors: Counter;
    /// Handlers and middleware that have panicked.
    HandlerPanics handler_panics: Counter;
    /// Other code of the application that has panicked.
    HookPanics hook_panics: Counter by hook [
        "allow_request", "max_connections_per_address", "on_initial_headers", "on_headers", "on_connection_error",
        "on_error", "on_rejection", "on_any_outgoing", "on_server", "parser", "waker", "other",
    ];
    /// Faults of the application or its set-up, which have a status of 5xx.
    ServerErrors server_errors: Counter by cause ["extractor", "handler", "serialize", "layer", "allow_request"];
    /// Events that the application has emitted: to one socket, or to many at once.
    Emits emits: Counter by to ["socket", "broadcast"];
    /// Events that were queued for a client: one for each client of a broadcast.
    Deliveries deliveries: Counter;
    /// Events that were not queued for a client; those without a namespace or an encoding count once.
    Undelivered undelivered: Counter by reason [
        "volatile", "full", "closed", "serialize", "reserved", "no namespace",
    ];
    /// Acknowledgements that clients have sent.
    AcksReceived acks_received: Counter;
    /// Acknowledgements of clients that were waited for in vain.
    AcksTimedOut acks_timed_out: Counter;
    /// Warnings and errors that clients caused and that were not logged, beyond the limits on log records.
    LogsLeftOut logs_left_out: Counter;
}

/// The type of a family in [`Metrics`].
trait Number {
    fn sum(numbers: impl Iterator<Item = (&'static str, u64)>) -> Self;
}

impl Number for u64 {
    fn sum(numbers: impl Iterator<Item = (&'static str, Self)>) -> Self {
        numbers.map(|(_, number)| number).sum()
    }
}

impl Number for ByLabel {
    fn sum(numbers: impl Iterator<Item = (&'static str, u64)>) -> Self {
        numbers.collect()
    }
}
