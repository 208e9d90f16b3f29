//! The text of a message.

use std::fmt;
use std::ops::Deref;

use crate::always::always;
use bytestring::ByteString;

/// The text of a message. It holds the received packet, because cutting off the packet's digit would make the buffer
/// shared, which allocates.
#[derive(Clone)]
pub struct Text {
    packet: ByteString,
    /// The offset of the text in the packet: 0 or 1.
    start: usize,
}

impl Text {
    /// Creates the text after the first character of a packet, which is ASCII.
    pub(super) fn behind_digit(packet: ByteString) -> Self {
        let start = usize::from(!packet.is_empty());
        Self { packet, start }
    }

    /// Creates a text of its own.
    #[doc(hidden)]
    #[must_use]
    pub const fn whole(text: ByteString) -> Self {
        Self {
            packet: text,
            start: 0,
        }
    }

    /// Returns the packet, and the offset of the text in it.
    pub(crate) fn into_parts(self) -> (ByteString, usize) {
        (self.packet, self.start)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        always(self.packet.get(self.start..), "the digit is ASCII")
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::whole(text.into())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::whole(text.into())
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
