//! The body of a POST, in whichever form its client writes it.

use super::{Packet, Payload, v3};
use crate::protocol::DecodeError;

/// The packets of a body, in order. After an error there are no more.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Three(v3::Payload),
    Four(Payload),
}

impl Body {
    /// How much memory it holds, in bytes.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Three(payload) => payload.size(),
            Self::Four(payload) => payload.size(),
        }
    }

    /// Whether all packets have been given.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Three(payload) => payload.is_done(),
            Self::Four(payload) => payload.is_done(),
        }
    }
}

impl Iterator for Body {
    type Item = Result<Packet, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Three(payload) => payload.next(),
            Self::Four(payload) => payload.next(),
        }
    }
}
