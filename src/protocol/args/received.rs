//! Arguments as they were received.

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Deserializer, Error, value::RawValue};

use super::{
    binary::Binary,
    list::{List, Position},
};
use crate::protocol::DecodeError;

/// The arguments of an event or an acknowledgement, as text with its attachments.
///
/// The text of an event without attachments has not been looked at behind the event's name. Whoever does not
/// [`deserialize`](Self::deserialize) it should [`check`](Self::check) it.
#[derive(Clone, Debug)]
pub struct Args {
    /// A whole packet. It is not sliced, since that allocates.
    packet: ByteString,
    /// Where the JSON array starts.
    start: usize,
    /// Whether the array starts with the name of an event.
    named: bool,
    attachments: Vec<Bytes>,
}

/// Why arguments are not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgsError {
    /// The text is not JSON at all: a violation of the protocol.
    #[error(transparent)]
    Malformed(DecodeError),
    /// The text is JSON of another type, or there are too few or too many arguments.
    #[error("{message}{}", Place(*argument))]
    Mismatch {
        /// The argument that does not fit, counted from 1.
        argument: Option<usize>,
        /// What was expected.
        message: String,
    },
}

/// Where an error is, in words.
struct Place(Option<usize>);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .map_or(Ok(()), |argument| write!(f, " at argument {argument}"))
    }
}

impl Args {
    /// Arguments from the text of a JSON array.
    #[must_use]
    pub const fn new(array: ByteString, attachments: Vec<Bytes>) -> Self {
        Self {
            packet: array,
            start: 0,
            named: false,
            attachments,
        }
    }

    /// No arguments.
    #[must_use]
    pub const fn none() -> Self {
        Self::new(ByteString::from_static("[]"), Vec::new())
    }

    /// The arguments in a packet whose JSON array begins at `start`.
    pub(in crate::protocol) const fn in_packet(
        packet: ByteString,
        start: usize,
        named: bool,
    ) -> Self {
        Self {
            packet,
            start,
            named,
            attachments: Vec::new(),
        }
    }

    pub(in crate::protocol) fn attach(&mut self, attachment: Bytes) {
        self.attachments.push(attachment);
    }

    pub(in crate::protocol) fn packet(&self) -> &str {
        &self.packet
    }

    /// Reads all arguments into one type.
    ///
    /// A tuple, a tuple struct or an array of fixed size takes one argument for each of its elements; `()` takes none;
    /// anything else takes the only argument. An `Option` may be missing at the end. [`Rest`](super::Rest) as the last
    /// element takes all that remain.
    ///
    /// # Errors
    ///
    /// [`ArgsError::Malformed`] if the text is not JSON, [`ArgsError::Mismatch`] if the arguments do not fit.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, ArgsError> {
        let position = Position::default();
        let value = if self.attachments.is_empty() {
            let mut json = Deserializer::from_str(self.json());
            T::deserialize(self.list(&mut json, &position))
                .and_then(|value| json.end().map(|()| value))
        } else {
            let mut json = Binary::new(self.json(), &self.attachments);
            T::deserialize(self.list(&mut json, &position))
        };
        value.map_err(|error| self.explain(&error, &position))
    }

    /// Reads exactly one argument, even if the type is a tuple.
    ///
    /// # Errors
    ///
    /// As [`deserialize`](Self::deserialize).
    pub fn deserialize_one<T: DeserializeOwned>(&self) -> Result<T, ArgsError> {
        let position = Position::default();
        let value = if self.attachments.is_empty() {
            let mut json = Deserializer::from_str(self.json());
            let value = self.list(&mut json, &position).one();
            value.and_then(|value| json.end().map(|()| value))
        } else {
            let mut json = Binary::new(self.json(), &self.attachments);
            self.list(&mut json, &position).one()
        };
        value.map_err(|error| self.explain(&error, &position))
    }

    /// Tells whether the text is JSON, whatever its types, depth and numbers.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Json`].
    pub fn check(&self) -> Result<(), DecodeError> {
        check_json(self.json())
    }

    /// The arguments as text, without the event's name. Attachments are placeholders in it.
    ///
    /// # Errors
    ///
    /// [`ArgsError::Malformed`] if the text is not JSON.
    pub fn raw(&self) -> Result<Vec<&RawValue>, ArgsError> {
        let position = Position::default();
        let mut all: Vec<&RawValue> =
            serde_json::from_str(self.json()).map_err(|error| self.explain(&error, &position))?;
        if self.named && !all.is_empty() {
            all.remove(0);
        }
        Ok(all)
    }

    /// How many arguments there are.
    ///
    /// # Errors
    ///
    /// [`ArgsError::Malformed`] if the text is not JSON.
    pub fn count(&self) -> Result<usize, ArgsError> {
        let position = Position::default();
        let all: Vec<IgnoredAny> =
            serde_json::from_str(self.json()).map_err(|error| self.explain(&error, &position))?;
        Ok(all.len() - usize::from(self.named && !all.is_empty()))
    }

    /// The JSON array as it was received; that of an event starts with the event's name.
    #[must_use]
    pub fn json(&self) -> &str {
        self.packet.get(self.start..).unwrap_or_default()
    }

    /// The attachments, in the order of their numbers.
    #[must_use]
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    const fn list<'p, D>(&self, array: D, position: &'p Position) -> List<'p, D> {
        List {
            array,
            named: self.named,
            position,
        }
    }

    fn explain(&self, error: &Error, position: &Position) -> ArgsError {
        if let Err(malformed) = self.check() {
            return ArgsError::Malformed(malformed);
        }
        let mut message = error.to_string();
        // Lines and columns of our own text mean nothing to anybody.
        let place = format!(" at line {} column {}", error.line(), error.column());
        if message.ends_with(&place) {
            message.truncate(message.len() - place.len());
        }
        let argument = Some(position.get()).filter(|&argument| argument > 0);
        ArgsError::Mismatch { argument, message }
    }
}

/// Whether a text is JSON. Nesting has no limit and numbers no range, as in a browser.
pub(in crate::protocol) fn check_json(text: &str) -> Result<(), DecodeError> {
    serde_json::from_str::<IgnoredAny>(text)
        .map(|_| ())
        .map_err(|error| DecodeError::Json(error.to_string()))
}
