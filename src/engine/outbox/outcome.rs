//! What became of a frame, and how much there is of them.

use crate::protocol::EncodeError;

/// Why an event was not queued for a client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// The arguments could not be serialized; nothing was sent.
    #[error("cannot serialize the arguments")]
    Serialize(#[source] EncodeError),
    /// The event's name is one that the protocol keeps for itself.
    #[error("event name {0:?} is reserved")]
    Reserved(String),
    /// The client's outbox is at its limit; see the builder's `max_outbox_bytes` and `max_outbox_packets`. Holds how
    /// many bytes wait in it.
    #[error("outbox is full with {0} bytes")]
    Full(usize),
    /// The client has disconnected.
    #[error("socket is closed")]
    Closed,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Queued,
    /// Volatile, and the transport was not ready.
    Dropped,
    Full(usize),
    Closed,
}

impl Pushed {
    /// What an emit says of it: whether it was queued; a volatile frame may be lost.
    pub(crate) fn into_result(self) -> Result<bool, EmitError> {
        match self {
            Self::Queued => Ok(true),
            Self::Dropped => Ok(false),
            Self::Full(bytes) => Err(EmitError::Full(bytes)),
            Self::Closed => Err(EmitError::Closed),
        }
    }
}

/// What waits to be written to a client, of all its namespaces; see [`Socket::queued`](crate::Socket::queued).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Queued {
    /// How many packets; one with binary attachments counts once. At most the builder's `max_outbox_packets`, and what the
    /// protocol itself has to say.
    pub packets: usize,
    /// How many bytes they have, attachments included.
    pub bytes: usize,
}

/// How a client keeps up with what is queued for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pressure {
    /// There is no room for what somebody wants to queue.
    pub(crate) full: bool,
    /// Frames have been refused since this was last asked.
    pub(crate) refused: bool,
    /// Something is to be written.
    pub(crate) waiting: bool,
    /// Something has been written since this was last asked.
    pub(crate) moved: bool,
}

impl Pressure {
    /// Whether the client keeps up: all has been written.
    #[inline]
    pub(crate) const fn is_none(self) -> bool {
        !(self.full || self.refused || self.waiting)
    }
}

/// What one write has moved, as the outbox counts it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    pub(crate) packets: usize,
    pub(crate) bytes: usize,
}
