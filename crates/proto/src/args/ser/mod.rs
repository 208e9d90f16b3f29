//! The serializer of arguments, which writes values into the text of a packet in one pass.

use std::io;

use bytes::Bytes;
use serde::{Serialize, Serializer, ser};
use serde_json::Error;

use super::raw::{self, RAW, append_numbered};
use super::rest::REST;
use super::scan::is_plain;
use super::{RawArgs, binary};
use crate::EncodeError;
use crate::always::always;
use crate::buf::{copy, scratch};

/// The number of bytes left free in front of the JSON, for the headers of Socket.IO, Engine.IO and WebSocket.
pub(crate) const HEADROOM: usize = 64;

/// Arguments that are ready to be sent: a JSON array and the binary leaves extracted from it.
#[derive(Clone, Debug)]
pub struct EncodedArgs {
    buf: Vec<u8>,
    attachments: Vec<Bytes>,
}

impl EncodedArgs {
    /// The arguments of an event: `["name",arg,...]`.
    ///
    /// # Errors
    ///
    /// [`EncodeError::ReservedEvent`] for a name like `connect`, [`EncodeError::Json`] if a value has no form in JSON.
    pub fn event<T: Serialize + ?Sized>(name: &str, args: &T) -> Result<Self, EncodeError> {
        match super::reserved(name) {
            Some(reserved) => Err(EncodeError::ReservedEvent(reserved)),
            None => Self::named(name, args),
        }
    }

    /// The arguments of an event for other servers: `["name",arg,...]`.
    ///
    /// # Errors
    ///
    /// As [`event`](Self::event), but other names are reserved.
    pub fn server_event<T: Serialize + ?Sized>(name: &str, args: &T) -> Result<Self, EncodeError> {
        match super::reserved_for_servers(name) {
            Some(reserved) => Err(EncodeError::ReservedEvent(reserved)),
            None => Self::named(name, args),
        }
    }

    fn named<T: Serialize + ?Sized>(name: &str, args: &T) -> Result<Self, EncodeError> {
        let mut encoded = Self::open();
        encoded.push_all(name).map_err(EncodeError::Json)?;
        encoded.push_all(args).map_err(EncodeError::Json)?;
        Ok(encoded.close())
    }

    /// The arguments of an acknowledgement: `[arg,...]`. A tuple is several of them, `()` none, any other value one.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Json`] if a value has no form in JSON.
    pub fn ack<T: Serialize + ?Sized>(args: &T) -> Result<Self, EncodeError> {
        let mut encoded = Self::open();
        encoded.push_all(args).map_err(EncodeError::Json)?;
        Ok(encoded.close())
    }

    /// The arguments of an acknowledgement with one argument, even if the value is a tuple or a [`Rest`](crate::Rest):
    /// `[arg]`.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Json`] if the value has no form in JSON.
    pub fn ack_of_one<T: Serialize + ?Sized>(arg: &T) -> Result<Self, EncodeError> {
        let mut encoded = Self::open();
        encoded
            .list()
            .push(arg, Spread::Nothing)
            .map_err(EncodeError::Json)?;
        Ok(encoded.close())
    }

    /// Arguments that are encoded already: a JSON array, whose placeholders refer to the attachments.
    #[must_use]
    pub fn from_json(json: &str, attachments: Vec<Bytes>) -> Self {
        let mut buf = scratch::take(HEADROOM);
        copy::append(&mut buf, json.as_bytes());
        Self { buf, attachments }
    }

    /// Adds one more argument at the end, even if it is a tuple.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Json`] if the value has no form in JSON; nothing is added then.
    pub fn push<T: Serialize + ?Sized>(&mut self, arg: &T) -> Result<(), EncodeError> {
        let before = (self.buf.len(), self.attachments.len());
        self.buf.pop();
        let pushed = self.list().push(arg, Spread::Rest);
        if pushed.is_err() {
            self.buf.truncate(before.0 - 1);
            self.attachments.truncate(before.1);
        }
        self.buf.push(b']');
        pushed.map_err(EncodeError::Json)
    }

    /// The JSON array, with a placeholder for each attachment.
    #[must_use]
    pub fn json(&self) -> &str {
        let json = always(self.buf.get(HEADROOM..), "the head-room is never cut off");
        always(str::from_utf8(json).ok(), "serde_json writes UTF-8")
    }

    /// Replaces the JSON array with the result of `rewrite`, which receives its text. The attachments stay the same.
    #[must_use]
    pub fn map_json(mut self, rewrite: impl FnOnce(&str) -> String) -> Self {
        let json = rewrite(self.json());
        self.buf.truncate(HEADROOM);
        self.buf.extend_from_slice(json.as_bytes());
        self
    }

    /// The binary leaves, in the order of their placeholders.
    #[must_use]
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// The buffer, whose first [`HEADROOM`] bytes are free, and the attachments.
    pub(crate) fn into_parts(self) -> (Vec<u8>, Vec<Bytes>) {
        (self.buf, self.attachments)
    }

    /// Returns the buffer to this thread, for its next packet.
    pub(crate) fn recycle(self) {
        scratch::recycle(self.buf);
    }

    fn open() -> Self {
        let mut buf = scratch::take(HEADROOM);
        buf.push(b'[');
        Self {
            buf,
            attachments: Vec::new(),
        }
    }

    fn close(mut self) -> Self {
        self.buf.push(b']');
        self
    }

    fn push_all<T: Serialize + ?Sized>(&mut self, args: &T) -> Result<(), Error> {
        args.serialize(Arguments {
            list: self.list(),
            spread: Spread::All,
            writer: &mut None,
        })
    }

    const fn list(&mut self) -> List<'_> {
        List {
            json: &mut self.buf,
            attachments: &mut self.attachments,
        }
    }
}

type Writer<'a> = serde_json::Serializer<&'a mut Vec<u8>, TakeBinary<'a>>;

/// The formatter that writes a placeholder for each byte array and collects the bytes.
struct TakeBinary<'a>(&'a mut Vec<Bytes>);

impl serde_json::ser::Formatter for TakeBinary<'_> {
    fn write_byte_array<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        value: &[u8],
    ) -> io::Result<()> {
        write!(writer, r#"{{"_placeholder":true,"num":{}}}"#, self.0.len())?;
        self.0.push(binary::keep(value));
        Ok(())
    }
}

/// A JSON array that is being written.
struct List<'a> {
    json: &'a mut Vec<u8>,
    attachments: &'a mut Vec<Bytes>,
}

impl<'a> List<'a> {
    /// Writes a comma unless the next element is the first.
    fn separate(&mut self) {
        if self.json.last() != Some(&b'[') {
            self.json.push(b',');
        }
    }

    /// Starts the next element.
    fn element(mut self) -> Writer<'a> {
        self.separate();
        Writer::with_formatter(self.json, TakeBinary(self.attachments))
    }

    /// Writes a whole element: a string that [is plain](is_plain).
    fn push_plain(mut self, value: &str) {
        self.separate();
        self.json.reserve(value.len() + 3);
        self.json.push(b'"');
        copy::append(self.json, value.as_bytes());
        self.json.push(b'"');
    }

    /// Writes all elements of a list, whose attachments get the next numbers.
    fn push_raw(mut self, args: &RawArgs) {
        let values = args.inner();
        if values.is_empty() {
            return;
        }
        self.separate();
        let before = self.attachments.len();
        if before == 0 || args.attachments().is_empty() {
            copy::append(self.json, values.as_bytes());
        } else {
            let mut text = String::with_capacity(values.len());
            append_numbered(&mut text, values, |number| number.checked_add(before));
            copy::append(self.json, text.as_bytes());
        }
        self.attachments.extend_from_slice(args.attachments());
    }

    fn push<T: Serialize + ?Sized>(&mut self, value: &T, spread: Spread) -> Result<(), Error> {
        value.serialize(Arguments {
            list: List {
                json: self.json,
                attachments: self.attachments,
            },
            spread,
            writer: &mut None,
        })
    }
}

/// The elements of a tuple: one argument each, or a single argument together.
enum Tuple<'w, 'a> {
    Several(List<'a>),
    One(<&'w mut Writer<'a> as Serializer>::SerializeTuple),
}

impl ser::SerializeTuple for Tuple<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        match self {
            Self::Several(list) => list.push(value, Spread::Rest),
            Self::One(tuple) => tuple.serialize_element(value),
        }
    }

    fn end(self) -> Result<(), Error> {
        match self {
            Self::Several(_) => Ok(()),
            Self::One(tuple) => ser::SerializeTuple::end(tuple),
        }
    }
}

impl ser::SerializeTupleStruct for Tuple<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        ser::SerializeTuple::serialize_element(self, value)
    }

    fn end(self) -> Result<(), Error> {
        ser::SerializeTuple::end(self)
    }
}

/// The values that become any number of arguments instead of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spread {
    /// A tuple, `()`, a [`Rest`](crate::Rest) and [`RawArgs`]: the value is the whole list of arguments.
    All,
    /// A [`Rest`](crate::Rest) and [`RawArgs`]: the value is an element of the tuple that is the list.
    Rest,
    /// No value.
    Nothing,
}

/// The serializer of the arguments, in which the type of the value decides whether it is several arguments, none or
/// one.
struct Arguments<'w, 'a> {
    list: List<'a>,
    spread: Spread,
    /// The writer of a single argument, stored here until the value has ended.
    writer: &'w mut Option<Writer<'a>>,
}

impl<'w, 'a> Arguments<'w, 'a> {
    fn one(self) -> &'w mut Writer<'a> {
        self.writer.insert(self.list.element())
    }
}

macro_rules! one_argument {
    ($($method:ident($($arg:ident: $ty:ty),*) -> $ok:ty;)*) => {$(
        fn $method(self, $($arg: $ty),*) -> Result<$ok, Error> {
            self.one().$method($($arg),*)
        }
    )*};
}

impl<'w, 'a> Serializer for Arguments<'w, 'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = <&'w mut Writer<'a> as Serializer>::SerializeSeq;
    type SerializeTuple = Tuple<'w, 'a>;
    type SerializeTupleStruct = Tuple<'w, 'a>;
    type SerializeTupleVariant = <&'w mut Writer<'a> as Serializer>::SerializeTupleVariant;
    type SerializeMap = <&'w mut Writer<'a> as Serializer>::SerializeMap;
    type SerializeStruct = <&'w mut Writer<'a> as Serializer>::SerializeStruct;
    type SerializeStructVariant = <&'w mut Writer<'a> as Serializer>::SerializeStructVariant;

    fn serialize_unit(self) -> Result<(), Error> {
        if self.spread == Spread::All {
            return Ok(());
        }
        self.one().serialize_unit()
    }

    fn serialize_tuple(self, len: usize) -> Result<Tuple<'w, 'a>, Error> {
        if self.spread == Spread::All {
            return Ok(Tuple::Several(self.list));
        }
        self.one().serialize_tuple(len).map(Tuple::One)
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Tuple<'w, 'a>, Error> {
        if name == REST && self.spread != Spread::Nothing {
            return Ok(Tuple::Several(self.list));
        }
        self.one().serialize_tuple(len).map(Tuple::One)
    }

    one_argument! {
        serialize_bool(value: bool) -> ();
        serialize_i8(value: i8) -> ();
        serialize_i16(value: i16) -> ();
        serialize_i32(value: i32) -> ();
        serialize_i64(value: i64) -> ();
        serialize_i128(value: i128) -> ();
        serialize_u8(value: u8) -> ();
        serialize_u16(value: u16) -> ();
        serialize_u32(value: u32) -> ();
        serialize_u64(value: u64) -> ();
        serialize_u128(value: u128) -> ();
        serialize_f32(value: f32) -> ();
        serialize_f64(value: f64) -> ();
        serialize_char(value: char) -> ();
        serialize_bytes(value: &[u8]) -> ();
        serialize_none() -> ();
        serialize_unit_struct(name: &'static str) -> ();
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str) -> ();
        serialize_seq(len: Option<usize>) -> Self::SerializeSeq;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> Self::SerializeTupleVariant;
        serialize_map(len: Option<usize>) -> Self::SerializeMap;
        serialize_struct(name: &'static str, len: usize) -> Self::SerializeStruct;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> Self::SerializeStructVariant;
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        if is_plain(value) {
            self.list.push_plain(value);
            return Ok(());
        }
        self.one().serialize_str(value)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.one().serialize_some(value)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        if name == RAW
            && self.spread != Spread::Nothing
            && let Some(args) = raw::handed_over()
        {
            self.list.push_raw(&args);
            return Ok(());
        }
        self.one().serialize_newtype_struct(name, value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.one()
            .serialize_newtype_variant(name, index, variant, value)
    }

    fn collect_str<T: std::fmt::Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.one().collect_str(value)
    }
}

#[cfg(test)]
mod tests;
