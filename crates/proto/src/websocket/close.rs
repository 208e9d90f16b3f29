//! Close frames (sections 5.5.1 and 7.4).

use bytes::{Buf, Bytes};
use bytestring::ByteString;

use super::ProtocolError;

/// A status code of a close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// A normal closure: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// The peer is going away.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke the protocol.
    pub const PROTOCOL: Self = Self(1002);
    /// The peer received a kind of data that it cannot accept.
    pub const UNSUPPORTED: Self = Self(1003);
    /// The peer received data that does not fit its kind, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// The peer received a message that violates its policy.
    pub const POLICY: Self = Self(1008);
    /// The peer received a message that is too big.
    pub const TOO_BIG: Self = Self(1009);
    /// The server failed.
    pub const INTERNAL: Self = Self(1011);

    /// Returns the code as a number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Returns a code that a peer may send: one that the RFC or its registry defines for the wire, or one of the ranges
    /// for libraries and applications. Any other number is `None`.
    #[must_use]
    pub const fn on_wire(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }
}

/// The code and the reason with which a peer closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// The status.
    pub code: CloseCode,
    /// A text for people, which may be empty.
    pub reason: ByteString,
}

impl CloseFrame {
    /// Reads the payload of a close frame. It may be empty.
    pub(super) fn decode(mut payload: Bytes) -> Result<Option<Self>, ProtocolError> {
        match payload.len() {
            0 => return Ok(None),
            1 => return Err(ProtocolError::BadClose),
            _ => {}
        }
        let code = CloseCode::on_wire(payload.get_u16()).ok_or(ProtocolError::BadClose)?;
        let reason = ByteString::try_from(payload).map_err(|_| ProtocolError::Utf8)?;
        Ok(Some(Self { code, reason }))
    }
}

impl ProtocolError {
    /// Returns the code for the close frame.
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::Utf8 | Self::Deflate => CloseCode::INVALID_PAYLOAD,
            Self::TooBig { .. } | Self::Ratio(_) => CloseCode::TOO_BIG,
            _ => CloseCode::PROTOCOL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_must_not_be_sent_are_refused() {
        for code in [
            0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
        ] {
            assert_eq!(CloseCode::on_wire(code), None, "{code}");
        }
        for code in [
            1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
        ] {
            assert!(CloseCode::on_wire(code).is_some(), "{code}");
        }
    }

    #[test]
    fn a_payload_is_empty_or_a_code_with_a_reason() {
        assert_eq!(CloseFrame::decode(Bytes::new()), Ok(None));
        assert_eq!(
            CloseFrame::decode(Bytes::from_static(b"\x03")),
            Err(ProtocolError::BadClose)
        );
        assert_eq!(
            CloseFrame::decode(Bytes::from_static(b"\x03\xe8\xff")),
            Err(ProtocolError::Utf8)
        );
        let close = CloseFrame {
            code: CloseCode::NORMAL,
            reason: "bye".into(),
        };
        assert_eq!(
            CloseFrame::decode(Bytes::from_static(b"\x03\xe8bye")),
            Ok(Some(close))
        );
    }
}
