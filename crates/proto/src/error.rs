//! The errors of decoding packets and of encoding arguments.

/// A violation of the protocol in a packet that a peer sent.
///
/// The connection that the packet arrived on should be closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The packet has no type, or a polling body is empty.
    #[error("empty packet")]
    Empty,
    /// The first character is not a packet type.
    #[error("unknown packet type {0:?}")]
    UnknownType(char),
    /// A binary packet in text is not base64.
    #[error("invalid base64")]
    Base64,
    /// The length of a packet in a polling body is missing, is not a number, or exceeds the body (revision 3).
    #[error("wrong length of a packet")]
    Length,
    /// A packet of text in a binary polling body is not UTF-8 (revision 3).
    #[error("invalid UTF-8")]
    Utf8,

    /// The number of attachments is missing, is not a number, or is zero.
    #[error("illegal attachments")]
    AttachmentCount,
    /// The packet announces more attachments than the limit, which this holds.
    #[error("more than {0} attachments")]
    TooManyAttachments(usize),
    /// The attachments of a packet are larger in total than the limit, which this holds, in bytes.
    #[error("attachments larger than {0} bytes")]
    AttachmentsTooLarge(usize),
    /// A placeholder refers to no attachment of its packet.
    #[error("placeholder without an attachment")]
    Placeholder,
    /// A text message arrived where an attachment was expected.
    #[error("text message instead of an attachment")]
    TextInsteadOfAttachment,
    /// A binary message arrived where no attachment was expected.
    #[error("binary message without a packet")]
    UnexpectedBinary,

    /// The namespace is longer than the limit, which this holds, in bytes.
    #[error("namespace longer than {0} bytes")]
    NamespaceTooLong(usize),
    /// The acknowledgement id does not fit 64 bits.
    #[error("acknowledgement id out of range")]
    AckId,
    /// The payload is missing, or is not of the type that its packet requires.
    #[error("invalid payload, expected {0}")]
    Payload(&'static str),
    /// The payload is not valid JSON. Holds the parser's message.
    #[error("malformed JSON: {0}")]
    Json(String),
    /// The message does not have the format of a [`Parser`](crate::socket_io::Parser). Holds the parser's message.
    #[error("malformed packet: {0}")]
    Malformed(String),
    /// A [`Parser`](crate::socket_io::Parser) panicked. Holds the message of the panic.
    #[error("the parser panicked: {0}")]
    ParserPanicked(String),
    /// The event's name is neither a string nor a number.
    #[error("invalid event name")]
    EventName,
    /// The event's name is longer than the limit, which this holds, in bytes.
    #[error("event name longer than {0} bytes")]
    EventNameTooLong(usize),
    /// The event's name is reserved for the library itself.
    #[error("reserved event name {0:?}")]
    ReservedEvent(&'static str),
}

/// An error in converting values to the arguments of a packet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A `Serialize` implementation failed, or JSON cannot represent the value: a map with keys that are not text.
    #[error("cannot serialize the arguments")]
    Json(#[source] serde_json::Error),
    /// The event's name is reserved for the library itself.
    #[error("reserved event name {0:?}")]
    ReservedEvent(&'static str),
    /// The arguments are nested deeper than this number of levels. A Node.js server that receives them exits.
    #[error("the arguments are nested deeper than {0} levels")]
    TooDeep(usize),
}
