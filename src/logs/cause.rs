//! The causes of faults of the application or of its setup, such as errors with a status of 5xx.

/// A function that returns the name of a type.
pub(crate) type TypeName = fn() -> &'static str;

/// The cause of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// An extractor has failed through no fault of the client.
    Extractor,
    /// A handler has returned a status of 5xx.
    Handler,
    /// An acknowledgement cannot be serialized.
    Serialize,
    /// A tower layer has failed with an error that the library does not know.
    Layer,
    /// `allow_request`, or one of its extractors, has returned a status of 5xx.
    AllowRequest,
}

impl Cause {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Extractor => "extractor",
            Self::Handler => "handler",
            Self::Serialize => "serialize",
            Self::Layer => "layer",
            Self::AllowRequest => "allow_request",
        }
    }

    /// Returns the message of the log record.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Extractor => "cannot take an argument of a handler",
            Self::Handler => "handler failed",
            Self::Serialize => "cannot serialize the acknowledgement of a handler",
            Self::Layer => "a layer failed",
            Self::AllowRequest => "allow_request failed",
        }
    }
}

/// Formats an error and its sources in one line.
pub(crate) fn in_full(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |all, source| format!("{all}: {source}"))
}
