//! Arguments as they were received.

mod list;
mod structure;
mod value;

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Error, value::RawValue};

use list::List;

use crate::DecodeError;
use crate::always::always;

/// The cost of an attachment in addition to its bytes: the handle, and the allocation behind it.
pub(crate) const ATTACHMENT: usize = 96;

/// The arguments of an event or an acknowledgement: the received text and its attachments.
///
/// The text of an event without attachments has been parsed only up to the end of the event's name. If it is not read
/// by [`deserialize`](Self::deserialize), it should be validated by [`check`](Self::check).
#[derive(Clone, Debug)]
pub struct Args {
    /// The text of the whole packet. It is not sliced, because slicing allocates.
    packet: ByteString,
    /// The offset of the JSON array in the packet.
    start: usize,
    /// True if the array starts with the name of an event.
    named: bool,
    /// The offset in the packet of the text behind the name, or 0 if it is unknown.
    values: u32,
    attachments: Vec<Bytes>,
}

/// The treatment of arguments that are left when a type has taken its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Surplus {
    /// They are ignored, as by a function in JavaScript, so that a newer peer may add arguments.
    #[default]
    Ignored,
    /// They are an error.
    Refused,
}

/// An error of reading arguments into a type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgsError {
    /// The text is not JSON, which is a violation of the protocol.
    #[error(transparent)]
    Malformed(DecodeError),
    /// The text is JSON of another type, or there are too few arguments, or too many and they are refused.
    #[error("{message}{}", AtArgument(*argument))]
    Mismatch {
        /// The argument that does not fit, counted from 1.
        argument: Option<usize>,
        /// The description of the mismatch.
        message: String,
    },
}

/// The position of an error, as a suffix of its message.
struct AtArgument(Option<usize>);

impl std::fmt::Display for AtArgument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .map_or(Ok(()), |argument| write!(f, " at argument {argument}"))
    }
}

impl Args {
    /// Creates arguments from the text of a JSON array. Users of the server receive arguments and create none, so the
    /// type of the text is not part of the public API.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(array: ByteString, attachments: Vec<Bytes>) -> Self {
        Self {
            packet: array,
            start: 0,
            named: false,
            values: 0,
            attachments,
        }
    }

    /// Creates an empty list of arguments.
    #[must_use]
    pub const fn none() -> Self {
        Self::new(ByteString::from_static("[]"), Vec::new())
    }

    /// Creates the arguments of an event, in a packet whose JSON array begins at `start`.
    pub(crate) const fn of_event(packet: ByteString, start: usize) -> Self {
        let mut args = Self::of_ack(packet, start);
        args.named = true;
        args
    }

    /// Creates the arguments of an acknowledgement, in a packet whose JSON array begins at `start`.
    pub(crate) const fn of_ack(packet: ByteString, start: usize) -> Self {
        Self {
            packet,
            start,
            named: false,
            values: 0,
            attachments: Vec::new(),
        }
    }

    /// Creates the arguments of an event, whose name ends before `values` in the packet.
    pub(crate) fn behind_name(packet: ByteString, start: usize, values: usize) -> Self {
        Self {
            packet,
            start,
            named: true,
            // A longer packet is scanned for the name again.
            values: u32::try_from(values).unwrap_or(0),
            attachments: Vec::new(),
        }
    }

    pub(crate) fn attach(&mut self, attachment: Bytes) {
        self.attachments.push(attachment);
    }

    pub(crate) fn attach_all(&mut self, attachments: Vec<Bytes>) {
        self.attachments = attachments;
    }

    pub(crate) fn packet(&self) -> &str {
        &self.packet
    }

    /// Deserializes the arguments into one type, and ignores the arguments that it does not take.
    ///
    /// A tuple, an array of fixed size included, takes one argument for each of its elements, `()` takes none, and any
    /// other type, a tuple struct included, takes one; `(T,)` always takes one. An `Option` may be missing at the end.
    /// [`Rest`](crate::Rest) as the last element takes all that remain.
    ///
    /// # Errors
    ///
    /// [`ArgsError::Malformed`] if the text is not JSON, [`ArgsError::Mismatch`] if the arguments do not fit.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, ArgsError> {
        self.deserialize_with(Surplus::Ignored)
    }

    /// Deserializes the arguments as [`deserialize`](Self::deserialize) does, with this treatment of surplus ones.
    ///
    /// # Errors
    ///
    /// The errors of [`deserialize`](Self::deserialize).
    pub fn deserialize_with<T: DeserializeOwned>(&self, surplus: Surplus) -> Result<T, ArgsError> {
        self.read(surplus, |list| list.all())
    }

    /// Deserializes one argument, even if the type is a tuple, with this treatment of surplus ones.
    ///
    /// # Errors
    ///
    /// The errors of [`deserialize`](Self::deserialize).
    pub fn deserialize_one<T: DeserializeOwned>(&self, surplus: Surplus) -> Result<T, ArgsError> {
        self.read(surplus, |list| list.one())
    }

    fn read<'a, T>(
        &'a self,
        surplus: Surplus,
        read: impl FnOnce(&mut List<'a, 'a>) -> Result<T, Error>,
    ) -> Result<T, ArgsError> {
        let mut list = if self.values > 0 {
            let values = self.packet.get(self.values as usize..);
            let values = always(values, "the values are in the packet");
            List::behind_name(values, &self.attachments)
        } else {
            List::new(self.json(), &self.attachments)
        };
        let opened = match self.values {
            0 if self.named => list.open_event(),
            0 => list.open(),
            _ => Ok(()),
        };
        let value = opened.and_then(|()| read(&mut list));
        let value = value.and_then(|value| list.close(surplus).map(|()| value));
        value.map_err(|error| self.explain(&error, list.position()))
    }

    /// Checks that the text is JSON, whatever its types, depth and numbers.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Json`].
    pub fn check(&self) -> Result<(), DecodeError> {
        check_json(self.json())
    }

    /// Returns the text of each argument, without the event's name. Attachments are placeholders in it.
    ///
    /// # Errors
    ///
    /// [`ArgsError::Malformed`] if the text is not JSON.
    pub fn raw(&self) -> Result<Vec<&str>, ArgsError> {
        let mut all: Vec<&RawValue> =
            serde_json::from_str(self.json()).map_err(|error| self.explain(&error, None))?;
        if self.named && !all.is_empty() {
            all.remove(0);
        }
        Ok(all.into_iter().map(RawValue::get).collect())
    }

    /// Returns the number of arguments.
    ///
    /// # Errors
    ///
    /// [`ArgsError::Malformed`] if the text is not JSON.
    pub fn count(&self) -> Result<usize, ArgsError> {
        let all: Vec<IgnoredAny> =
            serde_json::from_str(self.json()).map_err(|error| self.explain(&error, None))?;
        Ok(all.len() - usize::from(self.named && !all.is_empty()))
    }

    /// Returns the JSON array as it was received. The array of an event starts with the event's name.
    #[must_use]
    pub fn json(&self) -> &str {
        always(self.packet.get(self.start..), "the array is in the packet")
    }

    /// Returns the attachments, in the order of their numbers.
    #[must_use]
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// Returns the number of bytes received for these arguments.
    #[doc(hidden)]
    pub fn size(&self) -> usize {
        self.packet.len() + self.attachments.iter().map(Bytes::len).sum::<usize>()
    }

    /// Returns the memory that these arguments use, in bytes: their size and the handles of their attachments.
    #[doc(hidden)]
    pub fn footprint(&self) -> usize {
        self.size() + self.attachments.len() * ATTACHMENT
    }

    fn explain(&self, error: &Error, argument: Option<usize>) -> ArgsError {
        if let Err(malformed) = self.check() {
            return ArgsError::Malformed(malformed);
        }
        let message = without_place(error);
        ArgsError::Mismatch { argument, message }
    }
}

/// Returns the message of an error without its line and column, which mean nothing without the text.
#[must_use]
pub fn without_place(error: &Error) -> String {
    let mut message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    if message.ends_with(&place) {
        message.truncate(message.len() - place.len());
    }
    message
}

/// Checks that a text is JSON. Nesting has no limit and numbers have no range, as in a browser.
pub(crate) fn check_json(text: &str) -> Result<(), DecodeError> {
    serde_json::from_str::<IgnoredAny>(text)
        .map(|_| ())
        .map_err(|error| DecodeError::Json(error.to_string()))
}

#[cfg(test)]
mod tests;
