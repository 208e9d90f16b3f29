//! The body of a POST, in the revision of its client.

use super::{Packet, Payload, v3};
use crate::DecodeError;

/// The packets of a body, in order. An error ends the iteration.
#[derive(Clone, Debug)]
pub enum PostBody {
    /// Packets of revision 3.
    Three(v3::Payload),
    /// Packets of revision 4.
    Four(Payload),
}

impl PostBody {
    /// Returns the memory that the body holds, in bytes.
    #[inline]
    pub fn size(&self) -> usize {
        match self {
            Self::Three(payload) => payload.size(),
            Self::Four(payload) => payload.size(),
        }
    }

    /// Returns true if all packets have been returned.
    #[inline]
    pub fn is_done(&self) -> bool {
        match self {
            Self::Three(payload) => payload.is_done(),
            Self::Four(payload) => payload.is_done(),
        }
    }
}

impl Iterator for PostBody {
    type Item = Result<Packet, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Three(payload) => payload.next(),
            Self::Four(payload) => payload.next(),
        }
    }
}
