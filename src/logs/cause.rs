//! The causes of faults of the application or of its setup, such as errors with a status of 5xx.

use crate::metrics::FaultCause;

/// A function that returns the name of a type.
pub(crate) type TypeName = fn() -> &'static str;

impl FaultCause {
    /// Returns the message of the log record.
    pub(crate) const fn message(self) -> &'static str {
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
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |all, source| format!("{all}: {source}"))
}
