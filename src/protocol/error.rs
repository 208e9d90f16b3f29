//! Why bytes are not a packet, and why values are not arguments.

/// What is wrong with a packet that a peer sent.
///
/// Each is a violation of the protocol; the connection that it arrived on should be closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// There is not even a packet type, or a polling body is empty.
    #[error("empty packet")]
    Empty,
    /// The first character is no packet type.
    #[error("unknown packet type {0:?}")]
    UnknownType(char),
    /// A binary packet in text is not base64.
    #[error("invalid base64")]
    Base64,
    /// The length of a packet in a polling body is missing, no number, or more than there is (revision 3).
    #[error("wrong length of a packet")]
    Length,
    /// A packet of text in a binary polling body is not UTF-8 (revision 3).
    #[error("invalid UTF-8")]
    Utf8,

    /// The number of attachments is missing, no number or zero.
    #[error("illegal attachments")]
    AttachmentCount,
    /// More attachments are announced than the limit, which this holds.
    #[error("more than {0} attachments")]
    TooManyAttachments(usize),
    /// The attachments of a packet are larger together than the limit, which this holds, in bytes.
    #[error("attachments larger than {0} bytes")]
    AttachmentsTooLarge(usize),
    /// A placeholder refers to no attachment of its packet.
    #[error("placeholder without an attachment")]
    Placeholder,
    /// A text message came where an attachment was due.
    #[error("text message instead of an attachment")]
    TextInsteadOfAttachment,
    /// A binary message came where no attachment was due.
    #[error("binary message without a packet")]
    UnexpectedBinary,

    /// The namespace is longer than the limit, which this holds, in bytes.
    #[error("namespace longer than {0} bytes")]
    NamespaceTooLong(usize),
    /// The acknowledgement id does not fit 64 bits.
    #[error("acknowledgement id out of range")]
    AckId,
    /// The payload is missing, or of another type than its packet needs.
    #[error("invalid payload, expected {0}")]
    Payload(&'static str),
    /// The payload is not JSON; holds the parser's words.
    #[error("malformed JSON: {0}")]
    Json(String),
    /// The message is not of the format of a [`Parser`](crate::parser::Parser); holds its words.
    #[error("malformed packet: {0}")]
    Malformed(String),
    /// The event's name is neither a string nor a number.
    #[error("invalid event name")]
    EventName,
    /// The event's name is longer than the limit, which this holds, in bytes.
    #[error("event name longer than {0} bytes")]
    EventNameTooLong(usize),
    /// The event's name is one that only the library itself may use.
    #[error("reserved event name {0:?}")]
    ReservedEvent(&'static str),
}

/// Why values could not become the arguments of a packet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A `Serialize` implementation failed, or JSON has no place for the value: a map with keys that are not text.
    #[error("cannot serialize the arguments")]
    Json(#[source] serde_json::Error),
    /// The event's name is one that only the library itself may use.
    #[error("reserved event name {0:?}")]
    ReservedEvent(&'static str),
}
