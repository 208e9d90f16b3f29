//! Which Engine.IO a client speaks.

use super::{Packet, v3};
use crate::protocol::DecodeError;
use bytes::Bytes;
use bytestring::ByteString;

/// The revision of the protocol that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revision {
    /// Clients of Socket.IO 2 and of older ones, and those of 3 and 4 that are told to.
    Three {
        /// Binary data is sent to it as base64, by any transport (`b64=1`).
        base64: bool,
    },
    /// Clients of Socket.IO 3 and 4.
    Four,
}

impl Revision {
    /// The number that the client gives as `EIO`.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Three { .. } => 3,
            Self::Four => 4,
        }
    }

    /// Whether it is the current one.
    #[must_use]
    pub const fn is_four(self) -> bool {
        matches!(self, Self::Four)
    }

    /// Reads a text message of a WebSocket.
    ///
    /// # Errors
    ///
    /// Those of [`Packet::decode_text`].
    pub fn decode_text(self, text: ByteString) -> Result<Packet, DecodeError> {
        match self {
            Self::Three { .. } => v3::decode_text(text),
            Self::Four => Packet::decode_text(text),
        }
    }

    /// Reads a binary message of a WebSocket.
    ///
    /// # Errors
    ///
    /// Those of [`v3::decode_binary`]; none in revision 4.
    pub fn decode_binary(self, data: Bytes) -> Result<Packet, DecodeError> {
        match self {
            Self::Three { .. } => v3::decode_binary(data),
            Self::Four => Ok(Packet::decode_binary(data)),
        }
    }
}
