//! The errors of the decoder of messages.

use crate::DecodeError;

/// The reason for which a message of another server is dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The bytes are neither JSON nor MessagePack.
    #[error("malformed: {0}")]
    Malformed(String),
    /// A member is missing, or has the wrong type.
    #[error("unexpected content: {0}")]
    Content(String),
    /// The type is unknown. Newer servers may send such messages.
    #[error("unknown type {0}")]
    UnknownType(u64),
}

/// The maximum length of the text of an error, which may quote the message.
const MAX_TEXT: usize = 200;

impl MessageError {
    /// Creates an error of unexpected content. A long text is cut off.
    pub(super) fn content(text: &str) -> Self {
        Self::Content(text.chars().take(MAX_TEXT).collect())
    }
}

impl From<DecodeError> for MessageError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<serde_json::Error> for MessageError {
    fn from(error: serde_json::Error) -> Self {
        Self::content(&error.to_string())
    }
}
