//! The options of an event, whether it goes to one socket or to many.

use super::Frame;

/// The options with which an event is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SendOptions {
    pub(crate) reliability: Reliability,
    /// True if the event is not to be compressed.
    pub(crate) uncompressed: bool,
}

/// The treatment of an event that a client cannot be sent at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reliability {
    /// The event is queued. It is refused only if the outbox is full.
    #[default]
    Reliable,
    /// The event is dropped.
    Volatile,
}

impl SendOptions {
    /// Prepares the frame of an event for one recipient.
    pub(crate) fn apply(self, frame: Frame) -> Frame {
        if self.uncompressed {
            frame.uncompressed()
        } else {
            frame
        }
    }

    pub(crate) const fn is_volatile(self) -> bool {
        self.reliability.is_volatile()
    }
}

impl Reliability {
    #[inline]
    pub(crate) const fn is_volatile(self) -> bool {
        matches!(self, Self::Volatile)
    }
}
