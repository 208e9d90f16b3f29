//! Violations of the protocol, and the close codes for them.

/// A broken rule of RFC 6455: the connection is to be closed with [`close_code`](Self::close_code).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A bit that only an extension may set (section 5.2).
    #[error("reserved bit set")]
    ReservedBit,
    /// An opcode without a meaning (section 5.2).
    #[error("unknown opcode {0}")]
    UnknownOpcode(u8),
    /// A client's frame is not masked (section 5.1).
    #[error("frame is not masked")]
    Unmasked,
    /// A length is not in its shortest form, or has its top bit set (section 5.2).
    #[error("bad length")]
    BadLength,
    /// A control frame is fragmented or longer than 125 bytes (section 5.5).
    #[error("bad control frame")]
    BadControl,
    /// A continuation without a beginning (section 5.4).
    #[error("unexpected continuation")]
    UnexpectedContinuation,
    /// A new message before the end of the last one (section 5.4).
    #[error("continuation expected")]
    ContinuationExpected,
    /// A close frame of one byte, or with a code that must not be sent (section 7.4).
    #[error("bad close frame")]
    BadClose,
    /// Text, or the reason of a close frame, is not UTF-8 (section 8.1).
    #[error("invalid UTF-8")]
    Utf8,
    /// A compressed message cannot be read (RFC 7692, section 7.2.2).
    #[error("invalid compressed data")]
    Deflate,
    /// The message is longer than the limit.
    #[error("message over {limit} bytes")]
    TooBig {
        /// The limit, in bytes.
        limit: usize,
        /// The minimum size of the message in bytes, if its frame announces it: a compressed message does not.
        size: Option<u64>,
    },
    /// A compressed message inflates to more than this number of times its length.
    #[error("message compressed more than {0} to 1")]
    Ratio(usize),
}
