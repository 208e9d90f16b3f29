//! Values into the text of a packet, in one pass.

use std::io;

use bytes::Bytes;
use serde::{Serialize, Serializer, ser};
use serde_json::Error;

use crate::protocol::{EncodeError, socket_io};

/// The bytes left free before the JSON, for the headers of Socket.IO, Engine.IO and WebSocket.
pub(in crate::protocol) const HEADROOM: usize = 64;

/// What most events need; a small one is written without growing.
const TYPICAL: usize = 128;

/// Arguments ready to be sent: a JSON array, and the binary leaves that were taken out of it.
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
        if let Some(reserved) = socket_io::reserved(name) {
            return Err(EncodeError::ReservedEvent(reserved));
        }
        let mut encoded = Self::open();
        encoded.push_all(name).map_err(EncodeError::Json)?;
        encoded.push_all(args).map_err(EncodeError::Json)?;
        Ok(encoded.close())
    }

    /// The arguments of an acknowledgement: `[arg,...]`.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Json`] if a value has no form in JSON.
    pub fn ack<T: Serialize + ?Sized>(args: &T) -> Result<Self, EncodeError> {
        let mut encoded = Self::open();
        encoded.push_all(args).map_err(EncodeError::Json)?;
        Ok(encoded.close())
    }

    /// The JSON array, with a placeholder for each attachment.
    #[must_use]
    pub fn json(&self) -> &str {
        let json = self.buf.get(HEADROOM..).unwrap_or_default();
        str::from_utf8(json).unwrap_or_default()
    }

    /// The binary leaves, in the order of their placeholders.
    #[must_use]
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// The buffer, whose first [`HEADROOM`] bytes are free, and the attachments.
    pub(in crate::protocol) fn into_parts(self) -> (Vec<u8>, Vec<Bytes>) {
        (self.buf, self.attachments)
    }

    fn open() -> Self {
        let mut buf = Vec::with_capacity(HEADROOM + TYPICAL);
        buf.resize(HEADROOM, 0);
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
        let list = List {
            json: &mut self.buf,
            attachments: &mut self.attachments,
        };
        args.serialize(Arguments {
            list,
            writer: &mut None,
        })
    }
}

type Writer<'a> = serde_json::Serializer<&'a mut Vec<u8>, TakeBinary<'a>>;

/// Writes placeholders for bytes, and keeps the bytes.
struct TakeBinary<'a>(&'a mut Vec<Bytes>);

impl serde_json::ser::Formatter for TakeBinary<'_> {
    fn write_byte_array<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        value: &[u8],
    ) -> io::Result<()> {
        write!(writer, r#"{{"_placeholder":true,"num":{}}}"#, self.0.len())?;
        self.0.push(Bytes::copy_from_slice(value));
        Ok(())
    }
}

/// A JSON array that is being written.
struct List<'a> {
    json: &'a mut Vec<u8>,
    attachments: &'a mut Vec<Bytes>,
}

impl<'a> List<'a> {
    /// Starts the next element.
    fn element(self) -> Writer<'a> {
        if self.json.last() != Some(&b'[') {
            self.json.push(b',');
        }
        Writer::with_formatter(self.json, TakeBinary(self.attachments))
    }

    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let list = List {
            json: self.json,
            attachments: self.attachments,
        };
        value.serialize(&mut list.element())
    }
}

impl ser::SerializeTuple for List<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.push(value)
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

impl ser::SerializeTupleStruct for List<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.push(value)
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

/// Learns from the value itself whether it is several arguments, none or one.
struct Arguments<'w, 'a> {
    list: List<'a>,
    /// Where the writer of a single argument lives until the value has ended.
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
    type SerializeTuple = List<'a>;
    type SerializeTupleStruct = List<'a>;
    type SerializeTupleVariant = <&'w mut Writer<'a> as Serializer>::SerializeTupleVariant;
    type SerializeMap = <&'w mut Writer<'a> as Serializer>::SerializeMap;
    type SerializeStruct = <&'w mut Writer<'a> as Serializer>::SerializeStruct;
    type SerializeStructVariant = <&'w mut Writer<'a> as Serializer>::SerializeStructVariant;

    fn serialize_unit(self) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_tuple(self, _: usize) -> Result<List<'a>, Error> {
        Ok(self.list)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List<'a>, Error> {
        Ok(self.list)
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
        serialize_str(value: &str) -> ();
        serialize_bytes(value: &[u8]) -> ();
        serialize_none() -> ();
        serialize_unit_struct(name: &'static str) -> ();
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str) -> ();
        serialize_seq(len: Option<usize>) -> Self::SerializeSeq;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize) -> Self::SerializeTupleVariant;
        serialize_map(len: Option<usize>) -> Self::SerializeMap;
        serialize_struct(name: &'static str, len: usize) -> Self::SerializeStruct;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize) -> Self::SerializeStructVariant;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.one().serialize_some(value)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
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
