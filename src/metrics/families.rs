//! The declaration of all counted numbers.

use std::collections::BTreeMap;

use super::labels::{
    AdmissionFailure, CloseReason, ClusterDirection, ClusterLoss, EmitScope, FaultCause, Hook,
    InputLimit, Label, LateInput, ReadingLimit, RecoveryOutcome, RequestRule, StopCause,
    UndeliveredReason, UpgradeOutcome,
};
use proto::DisconnectReason;
use proto::engine_io::Transport;

/// The numbers of a family, one for each value of its label, including values that have not occurred.
pub type ByLabel = BTreeMap<&'static str, u64>;

/// The declaration of a number, or of one for each value of a label.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "metrics"),
    expect(dead_code, reason = "only the facade asks for words")
)]
pub(crate) struct Declaration {
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
        $variant:ident $field:ident: $kind:ident $(by $label:ident: $Label:ty)?;
    )+) => {
        /// A counted number. A family with a label has a number for each of its values.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Counted { $($variant $(($Label))?),+ }

        impl Counted {
            /// Returns the index of the number in a shard. It is known at compile time if the value is.
            #[inline]
            pub(super) fn index(self) -> usize {
                match self {
                    $(Self::$variant $(($label))? =>
                        start(Family::$variant) $(+ $label.index())?,)+
                }
            }
        }

        /// The families of numbers.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Family { $($variant),+ }

        impl Family {
            #[cfg(feature = "metrics")]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),+];

            /// The declarations, in the order of the variants.
            pub(super) const DECLARATIONS: &[Declaration] = &[$(Declaration {
                name: name!($kind $field),
                help: $help,
                kind: MetricKind::$kind,
                label: concat!($(stringify!($label))?),
                values: values!($($Label)?),
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
                numbers: impl Fn(Family) -> I,
                sockets: BTreeMap<String, u64>,
            ) -> Self {
                Self { $($field: Number::sum(numbers(Family::$variant)),)+ sockets }
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
    ($Label:ty) => {
        <$Label as Label>::NAMES
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
    /// Open connections.
    Connections connections: Gauge by transport: Transport;
    /// Connections that were opened, by their first transport.
    ConnectionsOpened connections_opened: Counter by transport: Transport;
    /// Connections that were closed.
    ConnectionsClosed connections_closed: Counter by reason: CloseReason;
    /// Input of clients that was refused because it exceeds a limit, by the option of the builder.
    InputRefused input_refused: Counter by limit: InputLimit;
    /// Requests that were refused, by the rule that they break.
    RequestsRefused requests_refused: Counter by reason: RequestRule;
    /// Upgrades of connections from polling to WebSocket, by their outcome.
    Upgrades upgrades: Counter by outcome: UpgradeOutcome;
    /// Connections that were closed because the body of a request or a WebSocket message took too long to arrive.
    InputTimeouts input_timeouts: Counter by input: LateInput;
    /// Sockets that have connected to a namespace.
    SocketsConnected sockets_connected: Counter;
    /// Sockets that were refused by a namespace.
    SocketsRefused sockets_refused: Counter by reason: AdmissionFailure;
    /// Sockets that have disconnected from their namespace.
    SocketsDisconnected sockets_disconnected: Counter by reason: DisconnectReason;
    /// Attempts of clients to resume a session after a lost connection, by their outcome.
    Recoveries recoveries: Counter by outcome: RecoveryOutcome;
    /// Engine.IO packets that were received. Each attachment is a packet.
    ReceivedPackets received_packets: Counter;
    /// Bytes of the packets that were received.
    ReceivedBytes received_bytes: Counter;
    /// Socket.IO packets that were written. Attachments count as a part of their packet.
    SentPackets sent_packets: Counter;
    /// Bytes of the packets that were written.
    SentBytes sent_bytes: Counter;
    /// Events that were received from clients.
    EventsReceived events_received: Counter;
    /// Events of clients that have no handler.
    EventsUnhandled events_unhandled: Counter;
    /// Events of clients that an extractor of the handler has rejected.
    EventsRejected events_rejected: Counter;
    /// Events of clients that a layer has not passed to the handler.
    EventsStopped events_stopped: Counter by cause: StopCause;
    /// Pending handlers of events.
    HandlersWaiting handlers_waiting: Gauge;
    /// Pending handlers whose connections have closed.
    DetachedHandlers detached_handlers: Gauge;
    /// Handlers that were cancelled after their connections had closed, because a limit was reached.
    DetachedHandlersCancelled detached_handlers_cancelled: Counter;
    /// Bytes of input that connections hold: events that are queued or handled, and incomplete packets.
    InboundBytes inbound_bytes: Gauge;
    /// Times that reading from a connection was paused, by the option whose limit was reached.
    ReadingPaused reading_paused: Counter by option: ReadingLimit;
    /// Errors that handlers have returned, including handlers of connect and disconnect.
    HandlerErrors handler_errors: Counter;
    /// Panics of handlers and middleware.
    HandlerPanics handler_panics: Counter;
    /// Panics of other code of the application.
    HookPanics hook_panics: Counter by hook: Hook;
    /// Faults of the application or its setup, with a status of 5xx.
    ServerErrors server_errors: Counter by cause: FaultCause;
    /// Events that the application has emitted. A broadcast counts once.
    Emits emits: Counter by to: EmitScope;
    /// Events that were queued for clients. A broadcast counts once for each client.
    Deliveries deliveries: Counter;
    /// Events that were not queued for a client. An event that cannot be encoded, or has no namespace, counts once.
    Undelivered undelivered: Counter by reason: UndeliveredReason;
    /// Acknowledgements that were received from clients.
    AcksReceived acks_received: Counter;
    /// Acknowledgements of clients that have not arrived in time.
    AcksTimedOut acks_timed_out: Counter;
    /// Messages between the servers of a cluster, by their direction at this server.
    ClusterMessages cluster_messages: Counter by direction: ClusterDirection;
    /// Messages between the servers of a cluster that this server could not send or read.
    ClusterMessagesLost cluster_messages_lost: Counter by reason: ClusterLoss;
    /// Log records of warnings and errors that were left out because clients have caused too many.
    LogsLeftOut logs_left_out: Counter;
}

/// The number of families.
const FAMILIES: usize = Family::DECLARATIONS.len();

/// The index in a shard at which each family's numbers begin; the last one is the end.
#[expect(clippy::indexing_slicing, reason = "the compiler would find out")]
const STARTS: [usize; FAMILIES + 1] = {
    let mut starts = [0; FAMILIES + 1];
    let mut family = 0;
    while family < FAMILIES {
        starts[family + 1] = starts[family] + Family::DECLARATIONS[family].values.len();
        family += 1;
    }
    starts
};

/// The size of a shard.
pub(super) const SLOTS: usize = STARTS[FAMILIES];

/// Returns the index in a shard at which the numbers of a family begin.
#[expect(clippy::indexing_slicing, reason = "each family has a start")]
pub(super) const fn start(family: Family) -> usize {
    STARTS[family as usize]
}

impl Family {
    #[expect(clippy::indexing_slicing, reason = "each family has a declaration")]
    pub(crate) const fn declaration(self) -> &'static Declaration {
        &Self::DECLARATIONS[self as usize]
    }
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
