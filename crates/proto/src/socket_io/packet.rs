//! The kinds of packets, their limits, and reserved event names.

use std::ops::Range;

use bytestring::ByteString;

use crate::Args;
use crate::always::always;

/// The kind of a packet, regardless of its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `0`: joins a namespace, or confirms, from the server, that it has been joined.
    Connect,
    /// `1`: leaves a namespace.
    Disconnect,
    /// `2`, or `5` with attachments.
    Event,
    /// `3`, or `6` with attachments.
    Ack,
    /// `4`: reports that a namespace could not be joined. Only servers send it.
    ConnectError,
}

/// A received packet, including its attachments.
#[derive(Clone, Debug)]
pub enum Packet {
    /// A request of the client to join a namespace.
    Connect {
        /// The namespace, with its slash.
        nsp: ByteString,
        /// A JSON object as text, if the client sent one.
        auth: Option<ByteString>,
    },
    /// The departure of the client from a namespace.
    Disconnect {
        /// The namespace.
        nsp: ByteString,
    },
    /// An event.
    Event {
        /// The namespace.
        nsp: ByteString,
        /// The client's id for the acknowledgement, if it requests one.
        id: Option<u64>,
        /// The name and the arguments.
        event: Event,
    },
    /// The acknowledgement of an event.
    Ack {
        /// The namespace.
        nsp: ByteString,
        /// The id that the event was sent with. An acknowledgement without an id answers no event and has no meaning.
        id: Option<u64>,
        /// The arguments of the acknowledgement.
        args: Args,
    },
    /// An error of joining a namespace. From a client it is always a violation of the protocol.
    ConnectError {
        /// The namespace.
        nsp: ByteString,
        /// The payload as it was received. It is not checked to be JSON.
        data: ByteString,
    },
}

impl Packet {
    /// Returns the namespace.
    #[must_use]
    #[inline]
    pub const fn nsp(&self) -> &ByteString {
        match self {
            Self::Connect { nsp, .. }
            | Self::Disconnect { nsp }
            | Self::Event { nsp, .. }
            | Self::Ack { nsp, .. }
            | Self::ConnectError { nsp, .. } => nsp,
        }
    }

    pub(crate) const fn nsp_mut(&mut self) -> &mut ByteString {
        match self {
            Self::Connect { nsp, .. }
            | Self::Disconnect { nsp }
            | Self::Event { nsp, .. }
            | Self::Ack { nsp, .. }
            | Self::ConnectError { nsp, .. } => nsp,
        }
    }

    /// Returns the arguments, if the packet is of a kind that may have attachments.
    pub(super) const fn args_mut(&mut self) -> Option<&mut Args> {
        match self {
            Self::Event { event, .. } => Some(&mut event.args),
            Self::Ack { args, .. } => Some(args),
            Self::Connect { .. } | Self::Disconnect { .. } | Self::ConnectError { .. } => None,
        }
    }
}

/// An event that was received.
#[derive(Clone, Debug)]
pub struct Event {
    pub(super) name: Name,
    pub(super) args: Args,
}

/// The name of an event, by its position or as text.
#[derive(Clone, Debug)]
pub(super) enum Name {
    /// The range of the name in the packet's text.
    Plain(Range<usize>),
    /// The name as text, because the packet has it with escapes or as a number.
    Unescaped(Box<str>),
}

impl Event {
    /// Returns the name of the event. A number (`[5,"x"]`) is returned as text.
    #[must_use]
    #[inline]
    pub fn name(&self) -> &str {
        match &self.name {
            Name::Plain(range) => always(
                self.args.packet().get(range.clone()),
                "the name is in the packet",
            ),
            Name::Unescaped(name) => name,
        }
    }

    /// Returns the arguments.
    #[must_use]
    #[inline]
    pub const fn args(&self) -> &Args {
        &self.args
    }

    /// Converts the event into its arguments.
    #[must_use]
    #[inline]
    pub fn into_args(self) -> Args {
        self.args
    }
}

/// The limits of a received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PacketLimits {
    /// The maximum number of attachments of a packet. Default: 10, as in Node.
    pub max_attachments: usize,
    /// The maximum total size of the attachments of a packet, in bytes. Default: 10,000,000.
    pub max_packet_bytes: usize,
    /// The maximum length of a namespace, in bytes. Default: 256.
    pub max_nsp_len: usize,
    /// The maximum length of an event's name, in bytes. Default: 256.
    pub max_event_len: usize,
}

impl PacketLimits {
    /// Returns unlimited limits, for packets of this library itself or of the server that a test connects to.
    #[doc(hidden)]
    #[must_use]
    pub const fn none() -> Self {
        Self {
            max_attachments: usize::MAX,
            max_packet_bytes: usize::MAX,
            max_nsp_len: usize::MAX,
            max_event_len: usize::MAX,
        }
    }
}

impl Default for PacketLimits {
    fn default() -> Self {
        Self {
            max_attachments: 10,
            max_packet_bytes: 10_000_000,
            max_nsp_len: 256,
            max_event_len: 256,
        }
    }
}
