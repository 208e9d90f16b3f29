//! The values of labels.

use proto::DisconnectReason;
use proto::engine_io::Transport;

/// A label of a family. Its values are known at compile time, so that each has a number of its own.
pub(crate) trait Label: Copy {
    /// The names of all values, in the order of their indexes.
    const NAMES: &'static [&'static str];

    /// Returns the index of the value.
    fn index(self) -> usize;
}

macro_rules! labels {
    ($(
        $(#[doc = $help:literal])+
        $Label:ident { $($(#[doc = $doc:literal])* $Value:ident = $name:literal,)+ }
    )+) => {$(
        $(#[doc = $help])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $Label { $($(#[doc = $doc])* $Value),+ }

        impl $Label {
            /// Returns the name of the value.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$Value => $name),+ }
            }
        }

        impl Label for $Label {
            const NAMES: &'static [&'static str] = &[$(Self::$Value.as_str()),+];

            #[inline]
            fn index(self) -> usize {
                self as usize
            }
        }
    )+};
}

labels! {
    /// The option of the builder that limits the input of a client.
    InputLimit {
        Payload = "max_payload",
        Attachments = "max_attachments",
        PacketBytes = "max_packet_bytes",
        Namespaces = "max_namespaces",
        NamespaceLen = "max_namespace_len",
        EventLen = "max_event_len",
        AuthLen = "max_auth_len",
        Ratio = "Compression::max_ratio",
    }
    /// The rule for which a request is refused, with the name that Node's server uses if it has the rule.
    RequestRule {
        TransportUnknown = "TRANSPORT_UNKNOWN",
        SessionUnknown = "SESSION_UNKNOWN",
        BadHandshakeMethod = "BAD_HANDSHAKE_METHOD",
        Forbidden = "FORBIDDEN",
        InvalidOrigin = "INVALID_ORIGIN",
        Unavailable = "UNAVAILABLE",
        TooManyConnections = "TOO_MANY_CONNECTIONS",
        TooManyConnectionsOfAddress = "TOO_MANY_CONNECTIONS_OF_ADDRESS",
        UnsupportedProtocolVersion = "UNSUPPORTED_PROTOCOL_VERSION",
        WebSocketVersion = "WEBSOCKET_VERSION",
        ProtocolMismatch = "PROTOCOL_MISMATCH",
        UpgradeRefused = "UPGRADE_REFUSED",
        TransportMismatch = "TRANSPORT_MISMATCH",
        TransportHandshakeError = "TRANSPORT_HANDSHAKE_ERROR",
        BadWebSocketKey = "BAD_WEBSOCKET_KEY",
        BadWebSocketProtocol = "BAD_WEBSOCKET_PROTOCOL",
        NoUpgrade = "NO_UPGRADE",
        /// A second WebSocket of a session, which is accepted and closed.
        UpgradedAlready = "UPGRADED_ALREADY",
        Overlap = "OVERLAP",
        BadMethod = "BAD_METHOD",
        BadBody = "BAD_BODY",
        BodyLimit = "BODY_LIMIT",
        InboundLimit = "INBOUND_LIMIT",
        InternalError = "INTERNAL_ERROR",
    }
    /// The outcome of an upgrade from polling to WebSocket.
    UpgradeOutcome {
        Done = "done",
        Failed = "failed",
    }
    /// The direction of a message between the servers of a cluster.
    ClusterDirection {
        Sent = "sent",
        Received = "received",
    }
    /// The reason for which a message between the servers of a cluster was lost.
    ClusterLoss {
        Full = "full",
        Closed = "closed",
        Outage = "outage",
        NoChannel = "no channel",
        Missed = "missed",
        Malformed = "malformed",
        Requests = "requests",
        Depth = "depth",
    }
    /// The input that took too long to arrive.
    LateInput {
        Body = "body",
        Message = "message",
    }
    /// The reason for which a client was not admitted to a namespace.
    AdmissionFailure {
        Middleware = "middleware",
        NoNamespace = "no namespace",
        TooManyNamespaces = "too many namespaces",
        AuthTooLong = "auth too long",
        InternalError = "internal error",
    }
    /// The outcome of a client's attempt to resume a session.
    RecoveryOutcome {
        Recovered = "recovered",
        /// The session has expired or is claimed elsewhere.
        Failed = "failed",
        /// The store has not answered.
        Unavailable = "unavailable",
    }
    /// The reason for which a layer stopped an event.
    StopCause {
        RateLimit = "rate limit",
        Timeout = "timeout",
        Overload = "overload",
        Other = "other",
    }
    /// The option of the builder whose limit pauses the reading of a connection.
    ReadingLimit {
        QueuedBytes = "max_queued_bytes",
        Pending = "max_pending",
        Handlers = "max_handlers",
        RunningBytes = "max_running_bytes",
        OutboxPackets = "max_outbox_packets",
        OutboxBytes = "max_outbox_bytes",
        InboundBytes = "max_inbound_bytes",
    }
    /// The code of the application, other than handlers and middleware, that has panicked.
    Hook {
        AllowRequest = "allow_request",
        MaxConnectionsPerAddress = "max_connections_per_address",
        GenerateId = "generate_id",
        OnInitialHeaders = "on_initial_headers",
        OnHeaders = "on_headers",
        OnConnectionError = "on_connection_error",
        OnError = "on_error",
        OnRejection = "on_rejection",
        OnAnyOutgoing = "on_any_outgoing",
        OnServer = "on_server",
        OnNewNamespace = "on_new_namespace",
        Parser = "parser",
        Waker = "waker",
        /// The clone of a value in a request's extensions.
        ExtensionClone = "extension clone",
        /// Other code that runs while a request is served, such as the drop of a value in its extensions.
        Request = "request",
        /// Other code that runs on the task of a connection, such as the drop of a value of the application.
        Connection = "connection",
    }
    /// The cause of a fault of the application or of its setup.
    FaultCause {
        /// An extractor has failed through no fault of the client.
        Extractor = "extractor",
        /// A handler has returned a status of 5xx.
        Handler = "handler",
        /// An acknowledgement cannot be serialized.
        Serialize = "serialize",
        /// A tower layer has failed with an error that the library does not know.
        Layer = "layer",
        /// `allow_request`, or one of its extractors, has returned a status of 5xx.
        AllowRequest = "allow_request",
    }
    /// The number of sockets that an emit is for.
    EmitScope {
        Socket = "socket",
        Broadcast = "broadcast",
    }
    /// The reason for which an event was not queued for a client.
    UndeliveredReason {
        Volatile = "volatile",
        Full = "full",
        Closed = "closed",
        Serialize = "serialize",
        Reserved = "reserved",
        NoNamespace = "no namespace",
    }
}

impl Label for Transport {
    const NAMES: &'static [&'static str] = Self::NAMES;

    #[inline]
    fn index(self) -> usize {
        self as usize
    }
}

impl Label for DisconnectReason {
    const NAMES: &'static [&'static str] = Self::NAMES;

    #[inline]
    fn index(self) -> usize {
        self as usize
    }
}

/// The reason for which a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// The reason that handlers receive.
    Disconnect(DisconnectReason),
    /// The client has sent more than `max_payload` or `Compression::max_ratio` allows.
    PayloadTooLarge,
}

impl Label for CloseReason {
    const NAMES: &'static [&'static str] = &{
        let mut names = ["payload too large"; DisconnectReason::NAMES.len() + 1];
        let (reasons, _) = names.split_at_mut(DisconnectReason::NAMES.len());
        reasons.copy_from_slice(DisconnectReason::NAMES);
        names
    };

    #[inline]
    fn index(self) -> usize {
        match self {
            Self::Disconnect(reason) => reason.index(),
            Self::PayloadTooLarge => DisconnectReason::NAMES.len(),
        }
    }
}
