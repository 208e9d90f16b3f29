//! The packets of the transport in memory.

use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;

use crate::outbox::Frame;

/// A packet of Engine.IO as a WebSocket carries it: text that begins with a digit, or the bytes of a binary message.
///
/// A broadcast to many clients is encoded once, and their packets share the text.
///
/// ```
/// # use axum_socketio::testing::MemoryPacket;
/// let event = MemoryPacket::from(r#"42["greet","Ann"]"#);
/// assert_eq!(event.text(), Some(r#"42["greet","Ann"]"#));
/// let attachment = MemoryPacket::from(vec![1, 2, 3]);
/// assert_eq!(attachment.binary(), Some(&[1, 2, 3][..]));
/// ```
#[derive(Clone)]
pub struct MemoryPacket(pub(super) MemoryContent);

#[derive(Clone)]
pub(super) enum MemoryContent {
    /// A text packet of the server without attachments, which it shares with other clients.
    Frame(Frame),
    Text(ByteString),
    Binary(Bytes),
}

impl MemoryPacket {
    /// Returns the text with its leading digit, unless the packet is binary.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.0 {
            MemoryContent::Frame(frame) => str::from_utf8(frame.text()).ok(),
            MemoryContent::Text(text) => Some(text),
            MemoryContent::Binary(_) => None,
        }
    }

    /// Returns the data of a binary packet.
    #[must_use]
    pub fn binary(&self) -> Option<&[u8]> {
        match &self.0 {
            MemoryContent::Frame(_) | MemoryContent::Text(_) => None,
            MemoryContent::Binary(data) => Some(data),
        }
    }

    /// Returns the size of the text or the data, in bytes.
    pub(super) fn size(&self) -> usize {
        match &self.0 {
            MemoryContent::Frame(frame) => frame.size(),
            MemoryContent::Text(text) => text.len(),
            MemoryContent::Binary(data) => data.len(),
        }
    }
}

impl From<&str> for MemoryPacket {
    fn from(text: &str) -> Self {
        Self(MemoryContent::Text(text.into()))
    }
}

impl From<String> for MemoryPacket {
    fn from(text: String) -> Self {
        Self(MemoryContent::Text(text.into()))
    }
}

impl From<Vec<u8>> for MemoryPacket {
    fn from(data: Vec<u8>) -> Self {
        Self(MemoryContent::Binary(data.into()))
    }
}

impl From<Bytes> for MemoryPacket {
    fn from(data: Bytes) -> Self {
        Self(MemoryContent::Binary(data))
    }
}

impl PartialEq for MemoryPacket {
    fn eq(&self, other: &Self) -> bool {
        (self.text(), self.binary()) == (other.text(), other.binary())
    }
}

impl fmt::Debug for MemoryPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) => fmt::Debug::fmt(text, f),
            None => fmt::Debug::fmt(self.binary().unwrap_or_default(), f),
        }
    }
}
