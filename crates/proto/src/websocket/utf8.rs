//! Validation of UTF-8 that arrives in pieces: an error is found at the first invalid byte (section 8.1).

use super::ProtocolError;
use crate::always::always;

/// The progress of validating a text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Checked {
    /// The number of bytes that are valid.
    valid: usize,
}

impl Checked {
    /// Validates the new bytes of `text`. A sequence that is incomplete at the end is no error yet.
    pub(super) fn advance(&mut self, text: &[u8]) -> Result<(), ProtocolError> {
        let new = always(text.get(self.valid..), "a text does not shrink");
        match simdutf8::compat::from_utf8(new) {
            Ok(_) => self.valid = text.len(),
            Err(error) if error.error_len().is_none() => self.valid += error.valid_up_to(),
            Err(_) => return Err(ProtocolError::Utf8),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_byte_is_seen_before_the_end_of_the_text() {
        let mut checked = Checked::default();
        checked.advance(b"\xce\xba\xe1\xbd\xb9\xcf\x83").unwrap();
        checked
            .advance(b"\xce\xba\xe1\xbd\xb9\xcf\x83\xf4")
            .unwrap();
        assert_eq!(
            checked.advance(b"\xce\xba\xe1\xbd\xb9\xcf\x83\xf4\x90"),
            Err(ProtocolError::Utf8)
        );
    }
}
