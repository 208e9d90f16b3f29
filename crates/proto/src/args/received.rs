//! Arguments as they were received.

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Error, value::RawValue};

use super::{
    list::{List, Position},
    strings::{NotPlain, Strings, read_strings},
    with_attachments::{WithAttachments, read_plain},
};
use crate::DecodeError;

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
    attachments: Vec<Bytes>,
}

/// An error of reading arguments into a type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgsError {
    /// The text is not JSON, which is a violation of the protocol.
    #[error(transparent)]
    Malformed(DecodeError),
    /// The text is JSON of another type, or there are too few or too many arguments.
    #[error("{message}{}", Place(*argument))]
    Mismatch {
        /// The argument that does not fit, counted from 1.
        argument: Option<usize>,
        /// The description of the mismatch.
        message: String,
    },
}

/// The position of an error, as a suffix of its message.
struct Place(Option<usize>);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .map_or(Ok(()), |argument| write!(f, " at argument {argument}"))
    }
}

impl Args {
    /// Creates arguments from the text of a JSON array.
    #[must_use]
    pub const fn new(array: ByteString, attachments: Vec<Bytes>) -> Self {
        Self {
            packet: array,
            start: 0,
            named: false,
            attachments,
        }
    }

    /// Creates an empty list of arguments.
    #[must_use]
    pub const fn none() -> Self {
        Self::new(ByteString::from_static("[]"), Vec::new())
    }

    /// Creates the arguments of a packet whose JSON array begins at `start`.
    pub(crate) const fn in_packet(packet: ByteString, start: usize, named: bool) -> Self {
        Self {
            packet,
            start,
            named,
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

    /// Deserializes all arguments into one type.
    ///
    /// A tuple, a tuple struct or an array of fixed size takes one argument for each of its elements, `()` takes none,
    /// and any other type takes the only argument. An `Option` may be missing at the end. [`Rest`](super::Rest) as the
    /// last element takes all that remain.
    ///
    /// # Errors
    ///
    /// [`ArgsError::Malformed`] if the text is not JSON, [`ArgsError::Mismatch`] if the arguments do not fit.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, ArgsError> {
        if let Some(value) = self.strings(|list| T::deserialize(list)) {
            return Ok(value);
        }
        let position = Position::default();
        let value = if self.attachments.is_empty() {
            read_plain(self.json(), |json| {
                T::deserialize(self.list(json, &position))
            })
        } else {
            WithAttachments::read(self.json(), &self.attachments, |json| {
                T::deserialize(self.list(json, &position))
            })
        };
        value.map_err(|error| self.explain(&error, &position))
    }

    /// Deserializes exactly one argument, even if the type is a tuple.
    ///
    /// # Errors
    ///
    /// The errors of [`deserialize`](Self::deserialize).
    pub fn deserialize_one<T: DeserializeOwned>(&self) -> Result<T, ArgsError> {
        if let Some(value) = self.strings(|list| list.one()) {
            return Ok(value);
        }
        let position = Position::default();
        let value = if self.attachments.is_empty() {
            read_plain(self.json(), |json| self.list(json, &position).one())
        } else {
            WithAttachments::read(self.json(), &self.attachments, |json| {
                self.list(json, &position).one()
            })
        };
        value.map_err(|error| self.explain(&error, &position))
    }

    /// Reads the arguments if all are strings without escapes and the type is made of strings.
    fn strings<'a, T>(
        &'a self,
        read: impl FnOnce(List<'_, Strings<'a, '_>>) -> Result<T, NotPlain>,
    ) -> Option<T> {
        if !self.attachments.is_empty() {
            return None;
        }
        read_strings(self.json(), self.named, |array| {
            let position = &Position::default();
            read(List {
                array,
                named: false,
                position,
            })
        })
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
    pub fn raw(&self) -> Result<Vec<&RawValue>, ArgsError> {
        let position = Position::default();
        let mut all: Vec<&RawValue> =
            serde_json::from_str(self.json()).map_err(|error| self.explain(&error, &position))?;
        if self.named && !all.is_empty() {
            all.remove(0);
        }
        Ok(all)
    }

    /// Returns the number of arguments.
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

    /// Returns the JSON array as it was received. The array of an event starts with the event's name.
    #[must_use]
    pub fn json(&self) -> &str {
        self.packet.get(self.start..).unwrap_or_default()
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
        let message = without_place(error);
        let argument = Some(position.get()).filter(|&argument| argument > 0);
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
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;
    use crate::Rest;

    fn event(array: &'static str) -> Args {
        Args::in_packet(ByteString::from_static(array), 0, true)
    }

    fn ack(array: &'static str) -> Args {
        Args::new(ByteString::from_static(array), Vec::new())
    }

    /// Returns the message of the error. Panics on success.
    fn refusal<T: DeserializeOwned + std::fmt::Debug>(array: &'static str) -> String {
        match ack(array).deserialize::<T>().unwrap_err() {
            ArgsError::Malformed(error) => panic!("{error}"),
            mismatch @ ArgsError::Mismatch { .. } => mismatch.to_string(),
        }
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Fields {
        a: u8,
        b: Option<u8>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Pair(u8, String);

    #[derive(Debug, PartialEq, Deserialize)]
    struct Newtype((u8, u8));

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(transparent)]
    struct Transparent((u8, u8));

    #[derive(Debug, PartialEq, Deserialize)]
    struct Unit;

    #[test]
    fn a_tuple_is_the_list_of_arguments() {
        let args = event(r#"["e", 1, "x"]"#);
        assert_eq!(args.deserialize(), Ok((1, String::from("x"))));
        assert_eq!(args.deserialize(), Ok(Pair(1, "x".into())));
        assert_eq!(ack("[1,2]").deserialize(), Ok([1, 2]));
        assert_eq!(ack("[1,2]").deserialize(), Ok(Transparent((1, 2))));
        assert_eq!(ack("[[1,2]]").deserialize(), Ok(((1, 2),)));
        assert_eq!(event(r#"["e"]"#).deserialize(), Ok(()));
        assert_eq!(ack(" [ ] ").deserialize(), Ok(()));
    }

    #[test]
    fn anything_else_is_the_only_argument() {
        let fields = Fields { a: 1, b: None };
        assert_eq!(event(r#"["e",{"a":1,"c":[{}]}]"#).deserialize(), Ok(fields));
        assert_eq!(ack(r#"["x"]"#).deserialize(), Ok(String::from("x")));
        assert_eq!(ack("[[1,2]]").deserialize(), Ok(vec![1, 2]));
        assert_eq!(ack("[[1,2]]").deserialize(), Ok(Newtype((1, 2))));
        assert_eq!(ack("[null]").deserialize(), Ok(Unit));
        assert_eq!(ack("[1.5]").deserialize(), Ok(1.5));
        assert_eq!(ack("[true]").deserialize(), Ok(true));
        assert_eq!(
            ack(r#"[{"k":1}]"#).deserialize(),
            Ok(BTreeMap::from([("k".to_owned(), 1)]))
        );
        assert_eq!(ack(r#"[{"k":[]}]"#).deserialize(), Ok(json!({"k": []})));
        let raw: Box<RawValue> = ack("[ {\"k\" : 1} ]").deserialize().unwrap();
        assert_eq!(raw.get(), "{\"k\" : 1}");
    }

    #[test]
    fn missing_arguments_may_be_optional() {
        assert_eq!(ack("[1]").deserialize(), Ok((1, None::<u8>, None::<u8>)));
        assert_eq!(
            ack("[1,null,2]").deserialize(),
            Ok((1, None::<u8>, Some(2)))
        );
        assert_eq!(ack("[]").deserialize(), Ok(None::<u8>));
        assert_eq!(ack("[null]").deserialize(), Ok(None::<u8>));
        assert_eq!(ack("[1]").deserialize(), Ok(Some(1)));
        assert_eq!(ack("[[1,2]]").deserialize(), Ok(Some((1, 2))));
        assert_eq!(refusal::<(u8, u8)>("[1]"), "expected 2 arguments, got 1");
        assert_eq!(refusal::<(u8, Value)>("[1]"), "expected 2 arguments, got 1");
        assert_eq!(refusal::<String>("[]"), "expected 1 argument, got 0");
        assert_eq!(refusal::<Newtype>("[]"), "expected 1 argument, got 0");
    }

    #[test]
    fn extra_arguments_are_refused() {
        assert_eq!(refusal::<u8>("[1,2]"), "expected 1 argument, got 2");
        assert_eq!(refusal::<(u8,)>("[1,2,3]"), "expected 1 argument, got 3");
        assert_eq!(refusal::<()>("[1,2]"), "expected 0 arguments, got 2");
        assert_eq!(refusal::<Option<u8>>("[1,2]"), "expected 1 argument, got 2");
    }

    #[test]
    fn the_rest_takes_what_remains() {
        assert_eq!(
            event(r#"["e",1,2,3]"#).deserialize(),
            Ok((1, Rest(vec![2, 3])))
        );
        assert_eq!(ack("[1]").deserialize(), Ok((1, Rest::<u8>(vec![]))));
        assert_eq!(ack("[1,2]").deserialize(), Ok(Rest(vec![1, 2])));
        assert_eq!(ack("[]").deserialize(), Ok(Rest::<u8>(vec![])));
        assert_eq!(
            ack("[1]").deserialize(),
            Ok((1, None::<u8>, Rest::<u8>(vec![])))
        );
        assert_eq!(
            refusal::<(u8, Rest<u8>)>(r#"[1,2,"x"]"#),
            r#"invalid type: string "x", expected u8 at argument 3"#
        );
        assert_eq!(
            serde_json::from_str::<Rest<u8>>("[1]").unwrap(),
            Rest(vec![1])
        );
    }

    #[test]
    fn one_argument_is_one_even_for_a_tuple() {
        assert_eq!(event(r#"["e",[1,2]]"#).deserialize_one(), Ok((1, 2)));
        assert_eq!(ack("[null]").deserialize_one(), Ok(()));
        assert_eq!(ack("[[1]]").deserialize_one(), Ok(Rest(vec![1])));
        let error = ack("[]").deserialize_one::<Option<u8>>().unwrap_err();
        assert_eq!(error.to_string(), "expected 1 argument, got 0");
        let error = ack("[1,2]").deserialize_one::<(u8, u8)>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid type: integer `1`, expected a tuple of size 2 at argument 1"
        );
        let error = ack("[[1,2],3]").deserialize_one::<(u8, u8)>().unwrap_err();
        assert_eq!(error.to_string(), "expected 1 argument, got 2");
    }

    #[test]
    fn a_mismatch_names_the_argument() {
        assert_eq!(
            ack("[5]").deserialize::<String>(),
            Err(ArgsError::Mismatch {
                argument: Some(1),
                message: "invalid type: integer `5`, expected a string".to_owned(),
            })
        );
        assert_eq!(
            refusal::<(u8, Fields)>(r#"[1,{"b":1}]"#),
            "missing field `a` at argument 2"
        );
        assert_eq!(
            refusal::<(u8, u8)>("[1,256]"),
            "invalid value: integer `256`, expected u8 at argument 2"
        );
        assert_eq!(
            refusal::<Rest<u8>>(r#"{"a":1}"#),
            "invalid type: map, expected a list of arguments"
        );
    }

    #[test]
    fn malformed_json_is_told_from_a_mismatch() {
        for array in [
            "",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[1]x",
            "[1 2]",
            "[01]",
            "[nul]",
            "[\"\t\"]",
            "[\"\\x\"]",
            "[{\"a\" 1}]",
            "[{\"a\":1,}]",
            "[{1:1}]",
            "[]]",
            "['a']",
            "[NaN]",
        ] {
            let args = ack(array);
            assert!(args.check().is_err(), "{array}");
            for error in [
                args.deserialize::<Value>().unwrap_err(),
                args.deserialize::<Rest<Value>>().unwrap_err(),
                args.deserialize::<Rest<String>>().unwrap_err(),
                args.deserialize_one::<Value>().unwrap_err(),
                args.raw().unwrap_err(),
                args.count().unwrap_err(),
            ] {
                assert!(matches!(error, ArgsError::Malformed(_)), "{array}: {error}");
            }
        }
        let error = ack("[1").deserialize::<u8>().unwrap_err().to_string();
        assert!(error.starts_with("malformed JSON: "), "{error}");
    }

    #[test]
    fn malformed_json_behind_the_arguments_is_found() {
        let args = ack(r#"[{"a":1,"ignored":[}]"#);
        assert!(matches!(
            args.deserialize::<Fields>(),
            Err(ArgsError::Malformed(_))
        ));
        let args = event(r#"["a\u00zz",1]"#);
        assert!(matches!(
            args.deserialize::<u8>(),
            Err(ArgsError::Malformed(_))
        ));
    }

    #[test]
    fn what_a_browser_accepts_is_never_malformed() {
        let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
        let deep = Args::new(deep.into(), Vec::new());
        assert_eq!(deep.check(), Ok(()));
        let error = deep.deserialize::<Value>().unwrap_err().to_string();
        assert_eq!(error, "recursion limit exceeded at argument 1");

        assert_eq!(
            refusal::<f64>("[1e999]"),
            "number out of range at argument 1"
        );
        assert_eq!(
            refusal::<String>(r#"["\ud800"]"#),
            "unexpected end of hex escape at argument 1"
        );
        assert_eq!(
            refusal::<String>(r#"["\udc00"]"#),
            "lone leading surrogate in hex escape at argument 1"
        );
    }

    #[test]
    fn raw_arguments_leave_the_name_out() {
        let args = event(r#"["e", {"a" : 1}, null]"#);
        let raw: Vec<&str> = args.raw().unwrap().iter().map(|raw| raw.get()).collect();
        assert_eq!(raw, [r#"{"a" : 1}"#, "null"]);
        assert_eq!(args.count(), Ok(2));
        assert_eq!(args.json(), r#"["e", {"a" : 1}, null]"#);
        assert_eq!(ack("[1]").raw().unwrap().len(), 1);
        assert_eq!(Args::none().count(), Ok(0));
        assert_eq!(Args::none().deserialize(), Ok(()));
    }

    #[test]
    fn a_type_that_reads_on_and_on_comes_to_an_end() {
        struct Greedy;

        impl<'de> Deserialize<'de> for Greedy {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_tuple(2, Self)
            }
        }

        impl<'de> serde::de::Visitor<'de> for Greedy {
            type Value = Self;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("numbers")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
                while seq.next_element::<Option<u8>>()?.is_some() {}
                Ok(self)
            }
        }

        assert!(ack("[1]").deserialize::<Greedy>().is_ok());
    }
}
