//! The answers of event handlers.

use http::StatusCode;
use serde::Serialize;

use crate::http::{INTERNAL_ERROR, reason};
use crate::logs::TypeName;
use crate::metrics::StopCause;
use proto::{DecodeError, EncodeError, EncodedArgs};

/// The answer of an event handler.
#[derive(Debug)]
pub struct AckBody(pub(crate) HandlerAnswer);

#[derive(Debug)]
pub(crate) enum HandlerAnswer {
    /// Nothing is sent: the client has requested no acknowledgement, or it is sent elsewhere.
    Silent,
    Ok(EncodedArgs),
    /// The error that the client's callback receives.
    Error(EncodedArgs, Failure),
    /// The arguments are not valid JSON: the client has violated the protocol.
    Malformed(DecodeError),
}

/// The origin of an error answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The handler has returned an error. Holds its status over HTTP, and the name of the handler.
    Handler(StatusCode, Option<TypeName>),
    /// The handler's answer cannot be serialized. Holds the error, and the name of the handler.
    Serialize(Box<EncodeError>, Option<TypeName>),
    /// The handler has panicked.
    Panic,
    /// An extractor has rejected the arguments.
    Rejection,
    /// A layer has stopped the event.
    Stopped(StopCause),
    /// There is no handler.
    Unhandled,
}

impl AckBody {
    pub(crate) const SILENT: Self = Self(HandlerAnswer::Silent);

    /// Encodes `value` as the arguments of an acknowledgement: a tuple gives several arguments, `()` none.
    pub(crate) fn ok<T: Serialize + ?Sized>(value: &T) -> Self {
        Self::encoded(EncodedArgs::ack(value))
    }

    /// Encodes `value` as the only argument of an acknowledgement.
    pub(crate) fn ok_one<T: Serialize + ?Sized>(value: &T) -> Self {
        Self::encoded(EncodedArgs::ack_of_one(value))
    }

    fn encoded(args: Result<EncodedArgs, EncodeError>) -> Self {
        match args {
            Ok(args) => Self(HandlerAnswer::Ok(args)),
            Err(error) => {
                let failure = Failure::Serialize(Box::new(error), None);
                Self::error(INTERNAL_ERROR, failure)
            }
        }
    }

    /// Builds the error `{"error": message}`.
    pub(crate) fn error(message: &str, failure: Failure) -> Self {
        Self::error_value(&serde_json::json!({ "error": message }), failure)
    }

    /// Builds the answer for a handler that has panicked.
    pub(crate) fn panicked() -> Self {
        Self::error(INTERNAL_ERROR, Failure::Panic)
    }

    pub(crate) fn error_value<T: Serialize>(value: &T, failure: Failure) -> Self {
        let args = EncodedArgs::ack_of_one(value);
        Self(args.map_or(HandlerAnswer::Silent, |args| {
            HandlerAnswer::Error(args, failure)
        }))
    }

    /// Turns a success into an error of the handler with the same value, or with the status's reason phrase if it has
    /// no value.
    pub(crate) fn into_error(self, status: StatusCode) -> Self {
        let failure = Failure::Handler(status, None);
        match self.0 {
            HandlerAnswer::Ok(args) if args.json() == "[]" => Self::error(&reason(status), failure),
            HandlerAnswer::Ok(args) => Self(HandlerAnswer::Error(args, failure)),
            other => Self(other),
        }
    }

    /// Adds the name of the handler to an error of the handler.
    pub(crate) fn named(mut self, handler: TypeName) -> Self {
        if let HandlerAnswer::Error(_, Failure::Handler(_, name) | Failure::Serialize(_, name)) =
            &mut self.0
        {
            name.get_or_insert(handler);
        }
        self
    }

    /// Returns true if the answer is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(
            self.0,
            HandlerAnswer::Error(..) | HandlerAnswer::Malformed(_)
        )
    }
}
