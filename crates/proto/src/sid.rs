//! Ids of sessions and sockets.

use std::{fmt, str::FromStr};

use crate::always::always;
use base64_simd::{AsOut, URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The length of every id, in characters.
const LEN: usize = 20;

/// The bytes that an id may consist of. This is a table because every polling request carries an id.
const ALPHABET: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0_u8;
    while byte < u8::MAX {
        #[expect(clippy::indexing_slicing, reason = "there is one for every byte")]
        {
            allowed[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        }
        byte += 1;
    }
    allowed
};

/// The id of an Engine.IO session or of a socket: 20 characters of the URL-safe base64 alphabet.
///
/// It is made from random bytes that the caller provides, and is as unguessable as they are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid([u8; LEN]);

/// The text is not a [`Sid`]: not 20 characters of `A-Z`, `a-z`, `0-9`, `_`, `-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a session id")]
pub struct ParseSidError;

impl Sid {
    /// The id of a socket whose server does not name it: Node.js servers of a cluster do not say which socket has
    /// acknowledged an event. No socket has this id.
    pub const UNNAMED: Self = Self([b'-'; LEN]);

    /// Writes 15 random bytes as 20 characters.
    #[must_use]
    #[inline]
    pub fn from_random(bytes: [u8; 15]) -> Self {
        let mut text = [b'A'; LEN];
        let _ = URL_SAFE_NO_PAD.encode(&bytes, text.as_mut_slice().as_out());
        Self(text)
    }

    /// The id as text.
    #[must_use]
    #[inline]
    pub fn as_str(&self) -> &str {
        always(str::from_utf8(&self.0).ok(), "an id is ASCII")
    }
}

impl FromStr for Sid {
    type Err = ParseSidError;

    fn from_str(text: &str) -> Result<Self, ParseSidError> {
        let bytes: [u8; LEN] = text.as_bytes().try_into().map_err(|_| ParseSidError)?;
        let allowed = |byte: &u8| ALPHABET.get(usize::from(*byte)) == Some(&true);
        bytes
            .iter()
            .all(allowed)
            .then_some(Self(bytes))
            .ok_or(ParseSidError)
    }
}

impl AsRef<str> for Sid {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sid({self})")
    }
}

impl Serialize for Sid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Sid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SidVisitor)
    }
}

struct SidVisitor;

impl de::Visitor<'_> for SidVisitor {
    type Value = Sid;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id of 20 characters")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Sid, E> {
        text.parse()
            .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifteen_bytes_are_twenty_characters() {
        assert_eq!(Sid::from_random([0; 15]).as_str(), "AAAAAAAAAAAAAAAAAAAA");
        assert_eq!(
            Sid::from_random([0xff; 15]).to_string(),
            "____________________"
        );
        let sid =
            Sid::from_random(*b"\x00\x10\x83\x10\x51\x87\x20\x92\x8b\x30\xd3\x8f\x41\x14\xfb");
        assert_eq!(sid.as_str(), "ABCDEFGHIJKLMNOPQRT7");
        assert_eq!(format!("{sid:?}"), "Sid(ABCDEFGHIJKLMNOPQRT7)");
    }

    #[test]
    fn text_is_read_back() {
        let sid = Sid::from_random(*b"fifteen  bytes!");
        assert_eq!(sid.as_str().parse(), Ok(sid));
        let json = serde_json::to_string(&sid).unwrap();
        assert_eq!(serde_json::from_str::<Sid>(&json).unwrap(), sid);
    }

    #[test]
    fn other_lengths_and_alphabets_are_refused() {
        for text in [
            "",
            "AAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAA+",
            "AAAAAAAAAAAAAAAAAAA/",
            "AAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAAAAAAAAAA\u{e9}",
        ] {
            assert_eq!(text.parse::<Sid>(), Err(ParseSidError), "{text}");
            assert!(serde_json::from_value::<Sid>(text.into()).is_err());
        }
    }
}
