//! The parser of frame headers (section 5.2).

use super::{Opcode, ProtocolError};

/// The bit that marks a compressed message.
const RSV1: u8 = 0x40;

/// The header of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) fin: bool,
    pub(super) compressed: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: [u8; 4],
    pub(super) len: usize,
}

/// The properties of a connection by which the next frame is checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    /// The maximum size of a message, in bytes.
    pub(super) max_message: usize,
    /// True if frames must be masked.
    pub(super) masked: bool,
    /// True if messages may be compressed.
    pub(super) compressed: bool,
    /// The number of bytes that have arrived of an incomplete message.
    pub(super) in_message: Option<usize>,
}

impl Expected {
    /// Parses a header, as soon as it is complete, and checks all that can be known of the frame. Returns the rest of
    /// the input as well.
    #[inline]
    pub(super) fn parse<'i>(
        &self,
        input: &'i [u8],
    ) -> Result<Option<(Head, &'i [u8])>, ProtocolError> {
        let Some((&[first, second], rest)) = input.split_first_chunk() else {
            // An error in the first byte alone is reported before the second arrives.
            return match input.first() {
                Some(&first) => self.check_first(first).map(|_| None),
                None => Ok(None),
            };
        };
        let (fin, opcode) = self.check_first(first)?;
        let masked = second & 0x80 != 0;
        if self.masked && !masked {
            return Err(ProtocolError::Unmasked);
        }
        let short = second & 0x7f;
        if opcode.is_control() && short > 125 {
            return Err(ProtocolError::BadControl);
        }
        let Some((len, mut rest)) = parse_length(short, rest)? else {
            return Ok(None);
        };
        let len = self.check_length(len, opcode)?;
        let mut mask = [0; 4];
        if masked {
            let Some((&bytes, behind)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            (mask, rest) = (bytes, behind);
        }
        let head = Head {
            fin,
            compressed: first & RSV1 != 0,
            opcode,
            mask,
            len,
        };
        Ok(Some((head, rest)))
    }

    #[inline]
    fn check_first(&self, first: u8) -> Result<(bool, Opcode), ProtocolError> {
        let fin = first & 0x80 != 0;
        let bits = first & 0x0f;
        let opcode = Opcode::from_bits(bits).ok_or(ProtocolError::UnknownOpcode(bits))?;
        // Only the first frame of a compressed message has the bit.
        let may_rsv1 = self.compressed && matches!(opcode, Opcode::Text | Opcode::Binary);
        if first & 0x30 != 0 || (first & RSV1 != 0 && !may_rsv1) {
            return Err(ProtocolError::ReservedBit);
        }
        match (opcode, self.in_message) {
            (Opcode::Continuation, None) => Err(ProtocolError::UnexpectedContinuation),
            (Opcode::Text | Opcode::Binary, Some(_)) => Err(ProtocolError::ContinuationExpected),
            _ if opcode.is_control() && !fin => Err(ProtocolError::BadControl),
            _ => Ok((fin, opcode)),
        }
    }

    /// Checks the length of a payload against the limit of its message.
    #[inline]
    fn check_length(&self, len: u64, opcode: Opcode) -> Result<usize, ProtocolError> {
        let before = self.in_message.unwrap_or_default();
        let too_big = ProtocolError::TooBig {
            limit: self.max_message,
            size: Some(len.saturating_add(before as u64)),
        };
        let len = usize::try_from(len).map_err(|_| too_big)?;
        if !opcode.is_control() && len > self.max_message.saturating_sub(before) {
            return Err(too_big);
        }
        Ok(len)
    }
}

/// Parses the length of a payload, whose short form is in the second byte of the header. Returns the rest of the input
/// as well, or `None` if the length is not complete.
#[inline]
fn parse_length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, ProtocolError> {
    let (len, rest, min) = match short {
        126 => {
            let Some((&long, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            (u64::from(u16::from_be_bytes(long)), rest, 126)
        }
        127 => {
            let Some((&long, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            (u64::from_be_bytes(long), rest, 0x1_0000)
        }
        len => (u64::from(len), rest, 0),
    };
    if len < min || len > i64::MAX as u64 {
        return Err(ProtocolError::BadLength);
    }
    Ok(Some((len, rest)))
}
