//! The packets of one polling body, each after its length.

use std::iter::FusedIterator;

use bytes::Bytes;
use bytestring::ByteString;

use super::{END_OF_LENGTH, MAX_DIGITS, decode_binary, decode_text};
use crate::DecodeError;
use crate::cursor::Cursor;
use crate::engine_io::Packet;

/// The packets of a polling body, in order. An error ends the iteration.
#[derive(Clone, Debug)]
pub struct Payload {
    rest: Rest,
    /// True if the body is an empty text that has not been reported as an error. The end of a longer text is no error.
    empty: bool,
}

#[derive(Clone, Debug)]
enum Rest {
    /// A body such as `6:4hello2:4x`, in which lengths are in UTF-16 code units.
    Text(ByteString),
    /// A body in which a packet begins with a byte that is 0 for text and 1 for binary data. The decimal digits of the
    /// length in bytes, as bytes from 0 to 9, and 0xFF follow, and then the packet.
    Binary(Bytes),
}

impl Payload {
    /// Decodes a text body. An empty body is an error.
    #[must_use]
    pub fn text(body: ByteString) -> Self {
        let empty = body.is_empty();
        Self {
            rest: Rest::Text(body),
            empty,
        }
    }

    /// Decodes a body of the type `application/octet-stream`. An empty body has no packets.
    #[must_use]
    pub const fn binary(body: Bytes) -> Self {
        Self {
            rest: Rest::Binary(body),
            empty: false,
        }
    }

    /// Returns the size of the packets that have not been taken, in bytes. The body stays in memory until the last one
    /// has been taken.
    pub fn size(&self) -> usize {
        match &self.rest {
            Rest::Text(rest) => rest.len(),
            Rest::Binary(rest) => rest.len(),
        }
    }

    /// Returns true if all packets have been returned.
    #[must_use]
    pub fn is_done(&self) -> bool {
        !self.empty
            && match &self.rest {
                Rest::Text(rest) => rest.is_empty(),
                Rest::Binary(rest) => rest.is_empty(),
            }
    }

    /// Takes the next packet, if there is one.
    fn take(&mut self) -> Result<Option<Packet>, DecodeError> {
        if std::mem::take(&mut self.empty) {
            return Err(DecodeError::Empty);
        }
        loop {
            let packet = match &mut self.rest {
                Rest::Text(rest) => match take_text(rest)? {
                    // An empty packet (`0:`) is skipped: it is the encoding of no packets.
                    Some(packet) if packet.is_empty() => continue,
                    packet => packet.map(decode_text),
                },
                Rest::Binary(rest) => take_binary(rest)?,
            };
            return packet.transpose();
        }
    }
}

impl Iterator for Payload {
    type Item = Result<Packet, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let packet = self.take();
        if packet.is_err() {
            self.rest = Rest::Binary(Bytes::new());
        }
        packet.transpose()
    }
}

impl FusedIterator for Payload {}

/// Takes a packet and copies it, because the rest of the body may be large and is freed sooner.
fn take_text(rest: &mut ByteString) -> Result<Option<ByteString>, DecodeError> {
    if rest.is_empty() {
        return Ok(None);
    }
    let mut text = Cursor::new(rest);
    let digits = text.take_until(|byte| byte == b':');
    if !text.eat(':') {
        return Err(DecodeError::Length);
    }
    let length = number(digits.bytes().map(|digit| digit.wrapping_sub(b'0')))?;
    let end = utf16_end(text.rest(), length).ok_or(DecodeError::Length)?;
    let packet = ByteString::from(text.take(end).ok_or(DecodeError::Length)?);
    *rest = rest.slice_ref(text.rest());
    Ok(Some(packet))
}

fn take_binary(rest: &mut Bytes) -> Result<Option<Result<Packet, DecodeError>>, DecodeError> {
    let mut bytes = &**rest;
    let Some(kind) = bytes.split_off_first() else {
        return Ok(None);
    };
    let mut start = bytes.iter().take(MAX_DIGITS + 1);
    let end = start.position(|byte| *byte == END_OF_LENGTH);
    let digits = end.and_then(|end| bytes.split_off(..end));
    let length = number(digits.ok_or(DecodeError::Length)?.iter().copied())?;
    bytes.split_off_first();
    let packet = bytes.split_off(..length).ok_or(DecodeError::Length)?;
    let after = rest.slice_ref(bytes);
    let packet = if *kind == 0 {
        let text = simdutf8::basic::from_utf8(packet).map_err(|_| DecodeError::Utf8)?;
        decode_text(text.into())
    } else {
        decode_binary(Bytes::copy_from_slice(packet))
    };
    *rest = after;
    Ok(Some(packet))
}

/// Returns the number that the digits form.
fn number(digits: impl ExactSizeIterator<Item = u8>) -> Result<usize, DecodeError> {
    if digits.len() == 0 || digits.len() > MAX_DIGITS {
        return Err(DecodeError::Length);
    }
    let mut number = 0_u64;
    for digit in digits {
        if digit > 9 {
            return Err(DecodeError::Length);
        }
        number = number * 10 + u64::from(digit);
    }
    usize::try_from(number).map_err(|_| DecodeError::Length)
}

/// Returns the offset in a text after `units` UTF-16 code units, if a character ends there.
fn utf16_end(text: &str, units: usize) -> Option<usize> {
    if text.as_bytes().get(..units)?.is_ascii() {
        return Some(units);
    }
    let (mut left, mut end) = (units, 0);
    let mut chars = text.chars();
    while left > 0 {
        let char = chars.next()?;
        left = left.checked_sub(char.len_utf16())?;
        end += char.len_utf8();
    }
    Some(end)
}

#[cfg(test)]
mod tests;
