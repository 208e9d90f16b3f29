//! The results of queueing a frame, and the size of a queue.

use std::task::Poll;

use super::EmitError;

/// The result of queueing a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Queued,
    /// The frame is volatile, and the transport was not ready.
    Dropped,
    Full(usize),
    Closed,
}

impl Pushed {
    /// Converts the result to that of an emit: true if the frame was queued, false if it was volatile and dropped.
    pub(crate) fn into_result(self) -> Result<bool, EmitError> {
        match self {
            Self::Queued => Ok(true),
            Self::Dropped => Ok(false),
            Self::Full(bytes) => Err(EmitError::Full(bytes)),
            Self::Closed => Err(EmitError::Closed),
        }
    }
}

/// The size of a client's outbox, for all its namespaces; see [`Socket::queued`](crate::Socket::queued).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Queued {
    /// The number of packets. A packet with binary attachments counts once. It is at most the builder's
    /// `max_outbox_packets`, plus packets that the protocol requires.
    pub packets: usize,
    /// The number of bytes, attachments included.
    pub bytes: usize,
}

/// The pressure on an outbox, which shows if the client keeps up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pressure {
    /// True if a sender has found no room.
    pub(crate) full: bool,
    /// True if frames have been refused since the last check.
    pub(crate) refused: bool,
    /// True if data is queued.
    pub(crate) waiting: bool,
    /// True if data has been written since the last check.
    pub(crate) moved: bool,
}

impl Pressure {
    /// Returns true if the client keeps up: all data has been written.
    #[inline]
    pub(crate) const fn is_none(self) -> bool {
        !(self.full || self.refused || self.waiting)
    }
}

/// The readiness of a transport for more data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Readiness {
    #[default]
    Ready,
    /// The transport could not accept all data or, with polling, no poll is pending.
    Stalled,
}

impl<T> From<&Poll<T>> for Readiness {
    /// Returns the readiness after a write.
    #[inline]
    fn from(write: &Poll<T>) -> Self {
        match write {
            Poll::Ready(_) => Self::Ready,
            Poll::Pending => Self::Stalled,
        }
    }
}

/// The data that one write has moved, as the outbox counts it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    pub(crate) packets: usize,
    pub(crate) bytes: usize,
}
