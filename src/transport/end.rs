//! The ends of transports.

use std::io;

use bytestring::ByteString;

use proto::DecodeError;
use proto::websocket::{CloseCode, CloseFrame, ProtocolError};

/// The reason for which nothing more can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    /// The peer closed the connection, perhaps with a reason.
    #[error("closed by the peer")]
    Closed(Option<Farewell>),
    /// The connection ended without a closing handshake.
    #[error("connection lost: {0}")]
    Lost(io::Error),
    /// The peer violated the protocol of the transport.
    #[error("{0}")]
    Violation(TransportViolation),
    /// The peer sent a message that is no packet.
    #[error("undecodable packet: {0}")]
    Undecodable(#[from] DecodeError),
    /// The server closes the connection.
    #[error("closed by the server")]
    Ours(Farewell),
}

/// The code and the reason with which one side closes a transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Farewell(pub(super) CloseFrame);

/// A violation of the protocol of a transport.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum TransportViolation {
    #[error("websocket protocol violated: {0}")]
    WebSocket(#[from] ProtocolError),
}

/// A limit that a message exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exceeded {
    /// The length of a message. The size is known if the peer has announced it.
    Length { limit: usize, size: Option<u64> },
    /// The ratio of the length of a message to its length before it was inflated.
    Ratio(usize),
}

impl Farewell {
    /// Closes a transport whose peer does not keep to the rules of the server.
    pub(crate) fn policy(reason: &'static str) -> Self {
        Self(CloseFrame {
            code: CloseCode::POLICY,
            reason: ByteString::from_static(reason),
        })
    }
}

impl From<CloseFrame> for Farewell {
    fn from(frame: CloseFrame) -> Self {
        Self(frame)
    }
}

impl From<ProtocolError> for End {
    fn from(error: ProtocolError) -> Self {
        Self::Violation(error.into())
    }
}

impl TransportViolation {
    /// Returns the limit that a message exceeds, if the violation is of that kind.
    pub(crate) const fn exceeded(self) -> Option<Exceeded> {
        let Self::WebSocket(error) = self;
        match error {
            ProtocolError::TooBig { limit, size } => Some(Exceeded::Length { limit, size }),
            ProtocolError::Ratio(limit) => Some(Exceeded::Ratio(limit)),
            _ => None,
        }
    }
}
