//! The revisions of Engine.IO.

use super::{Packet, v3};
use crate::DecodeError;
use bytes::Bytes;
use bytestring::ByteString;

/// The revision of the protocol that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revision {
    /// Revision 3, for clients of Socket.IO 2 and earlier, and for clients of 3 and 4 that are configured to use it.
    Three {
        /// True if the client receives binary data as base64 on every transport (`b64=1`).
        base64: bool,
    },
    /// Revision 4, for clients of Socket.IO 3 and 4.
    Four,
}

impl Revision {
    /// Returns the number of the revision, which the client sends as `EIO`.
    #[must_use]
    #[inline]
    pub const fn number(self) -> u8 {
        match self {
            Self::Three { .. } => 3,
            Self::Four => 4,
        }
    }

    /// Returns true if this is revision 4, the current one.
    #[must_use]
    #[inline]
    pub const fn is_four(self) -> bool {
        matches!(self, Self::Four)
    }

    /// Decodes a text message of a WebSocket.
    ///
    /// # Errors
    ///
    /// The errors of [`Packet::decode_text`].
    #[inline]
    pub fn decode_text(self, text: ByteString) -> Result<Packet, DecodeError> {
        match self {
            Self::Three { .. } => v3::decode_text(text),
            Self::Four => Packet::decode_text(text),
        }
    }

    /// Decodes a binary message of a WebSocket.
    ///
    /// # Errors
    ///
    /// The errors of [`v3::decode_binary`]. Revision 4 has none.
    #[inline]
    pub fn decode_binary(self, data: Bytes) -> Result<Packet, DecodeError> {
        match self {
            Self::Three { .. } => v3::decode_binary(data),
            Self::Four => Ok(Packet::decode_binary(data)),
        }
    }
}
