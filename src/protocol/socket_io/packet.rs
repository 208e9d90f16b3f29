//! The kinds of packets, and what may not be in them.

use std::ops::Range;

use bytestring::ByteString;

use crate::protocol::Args;

/// What a packet is, before its data is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `0`: joins a namespace; from the server, tells that it has been joined.
    Connect,
    /// `1`: leaves a namespace.
    Disconnect,
    /// `2`, or `5` with attachments.
    Event,
    /// `3`, or `6` with attachments.
    Ack,
    /// `4`: a namespace could not be joined. Only servers send it.
    ConnectError,
}

/// A packet that was received, its attachments with it.
#[derive(Clone, Debug)]
pub enum Packet {
    /// The client wants to join a namespace.
    Connect {
        /// The namespace, with its slash.
        nsp: ByteString,
        /// A JSON object as text, if the client sent one.
        auth: Option<ByteString>,
    },
    /// The client leaves a namespace.
    Disconnect {
        /// The namespace.
        nsp: ByteString,
    },
    /// An event.
    Event {
        /// The namespace.
        nsp: ByteString,
        /// The client's id for the acknowledgement, if it wants one.
        id: Option<u64>,
        /// Name and arguments.
        event: Event,
    },
    /// The answer to an event.
    Ack {
        /// The namespace.
        nsp: ByteString,
        /// The id that the event was sent with. An answer to nothing has none and means nothing.
        id: Option<u64>,
        /// The answer.
        args: Args,
    },
    /// A client has no business sending this: always a violation.
    ConnectError {
        /// The namespace.
        nsp: ByteString,
        /// What the server said, as it came: nothing checks that it is JSON.
        data: ByteString,
    },
}

impl Packet {
    /// The namespace.
    #[must_use]
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

    /// What may have attachments, has them here.
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

/// The name of an event, where it is.
#[derive(Clone, Debug)]
pub(super) enum Name {
    /// In the packet's text, as it stands.
    Plain(Range<usize>),
    /// It had escapes, or was a number.
    Unescaped(Box<str>),
}

impl Event {
    /// The name. A number (`[5,"x"]`) is its own name.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.name {
            Name::Plain(range) => self.args.packet().get(range.clone()).unwrap_or_default(),
            Name::Unescaped(name) => name,
        }
    }

    /// The arguments.
    #[must_use]
    pub const fn args(&self) -> &Args {
        &self.args
    }

    /// The arguments, when the name has been used.
    #[must_use]
    pub fn into_args(self) -> Args {
        self.args
    }
}

/// How much a packet may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Attachments of a packet. Default: 10, as in Node.
    pub max_attachments: usize,
    /// The attachments of a packet together, in bytes. Default: 10,000,000.
    pub max_packet_bytes: usize,
    /// Length of a namespace, in bytes. Default: 256.
    pub max_nsp_len: usize,
    /// Length of an event's name, in bytes. Default: 256.
    pub max_event_len: usize,
}

impl Limits {
    /// For what we ourselves, or the server that a test talks to, have written.
    pub(crate) const fn none() -> Self {
        Self {
            max_attachments: usize::MAX,
            max_packet_bytes: usize::MAX,
            max_nsp_len: usize::MAX,
            max_event_len: usize::MAX,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_attachments: 10,
            max_packet_bytes: 10_000_000,
            max_nsp_len: 256,
            max_event_len: 256,
        }
    }
}

/// The name, if it is one that no peer may send: the names under which the libraries tell their own users what happens.
#[must_use]
pub fn reserved(name: &str) -> Option<&'static str> {
    const RESERVED: [&str; 6] = [
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
    ];
    RESERVED.into_iter().find(|&reserved| reserved == name)
}
