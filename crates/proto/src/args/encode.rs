//! The serializer of arguments, which writes values into the text of a packet in one pass.

use std::io;

use bytes::Bytes;
use serde::{Serialize, Serializer, ser};
use serde_json::Error;

use super::binary;
use super::rest::REST;
use super::strings::is_plain;
use crate::EncodeError;
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
        if let Some(reserved) = super::reserved(name) {
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

    /// Adds one more argument at the end, even if it is a tuple.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Json`] if the value has no form in JSON; nothing is added then.
    pub fn push<T: Serialize + ?Sized>(&mut self, arg: &T) -> Result<(), EncodeError> {
        let before = (self.buf.len(), self.attachments.len());
        self.buf.pop();
        let pushed = self.list().push(arg);
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
        let json = self.buf.get(HEADROOM..).unwrap_or_default();
        str::from_utf8(json).unwrap_or_default()
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
            whole: true,
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

    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(Arguments {
            list: List {
                json: self.json,
                attachments: self.attachments,
            },
            whole: false,
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
            Self::Several(list) => list.push(value),
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

/// The serializer of the arguments, in which the type of the value decides whether it is several arguments, none or
/// one.
struct Arguments<'w, 'a> {
    list: List<'a>,
    /// True if the value is the whole list of arguments rather than one of them.
    whole: bool,
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
        if self.whole {
            return Ok(());
        }
        self.one().serialize_unit()
    }

    fn serialize_tuple(self, len: usize) -> Result<Tuple<'w, 'a>, Error> {
        if self.whole {
            return Ok(Tuple::Several(self.list));
        }
        self.one().serialize_tuple(len).map(Tuple::One)
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Tuple<'w, 'a>, Error> {
        if self.whole || name == REST {
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
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize) -> Self::SerializeTupleVariant;
        serialize_map(len: Option<usize>) -> Self::SerializeMap;
        serialize_struct(name: &'static str, len: usize) -> Self::SerializeStruct;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize) -> Self::SerializeStructVariant;
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
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;
    use crate::Rest;

    fn event<T: Serialize>(args: T) -> String {
        EncodedArgs::event("e", &args).unwrap().json().to_owned()
    }

    fn ack<T: Serialize>(args: T) -> String {
        EncodedArgs::ack(&args).unwrap().json().to_owned()
    }

    #[derive(Serialize)]
    struct Unit;

    #[derive(Serialize)]
    struct Newtype((u8, u8));

    #[derive(Serialize)]
    struct Pair(u8, &'static str);

    #[derive(Serialize)]
    struct Fields {
        a: u8,
        b: Option<u8>,
    }

    #[derive(Serialize)]
    enum Choice {
        Unit,
        New(u8),
        Tuple(u8, u8),
        Struct { a: u8 },
    }

    #[test]
    fn a_tuple_is_several_arguments_and_unit_is_none() {
        assert_eq!(event(()), r#"["e"]"#);
        assert_eq!(ack(()), "[]");
        assert_eq!(event((1, "two", [3])), r#"["e",1,"two",[3]]"#);
        assert_eq!(ack((1, "two", ())), r#"[1,"two",null]"#);
        assert_eq!(ack((1,)), "[1]");
        assert_eq!(ack(Pair(1, "x")), r#"[1,"x"]"#);
        assert_eq!(ack([1, 2]), "[1,2]");
        assert_eq!(ack(Box::new(&(1, 2))), "[1,2]");
    }

    #[test]
    fn everything_else_is_one_argument() {
        assert_eq!(event("x"), r#"["e","x"]"#);
        assert_eq!(ack(String::from("\u{1F600}\"")), "[\"\u{1F600}\\\"\"]");
        assert_eq!(ack(vec![1, 2]), "[[1,2]]");
        assert_eq!(ack(Vec::<u8>::new()), "[[]]");
        assert_eq!(ack(&[1, 2][..]), "[[1,2]]");
        assert_eq!(ack(BTreeMap::from([("k", 1)])), r#"[{"k":1}]"#);
        assert_eq!(ack(Fields { a: 1, b: None }), r#"[{"a":1,"b":null}]"#);
        assert_eq!(ack(None::<u8>), "[null]");
        assert_eq!(ack(Some((1, 2))), "[[1,2]]");
        assert_eq!(ack(Newtype((1, 2))), "[[1,2]]");
        assert_eq!(ack(Unit), "[null]");
        assert_eq!(ack('x'), r#"["x"]"#);
        assert_eq!(ack(true), "[true]");
        assert_eq!(ack(format_args!("{}-{}", 1, 2)), r#"["1-2"]"#);
        assert_eq!(ack(Choice::Unit), r#"["Unit"]"#);
        assert_eq!(ack(Choice::New(1)), r#"[{"New":1}]"#);
        assert_eq!(ack(Choice::Tuple(1, 2)), r#"[{"Tuple":[1,2]}]"#);
        assert_eq!(ack(Choice::Struct { a: 1 }), r#"[{"Struct":{"a":1}}]"#);
        let raw: &RawValue = serde_json::from_str("[1, 2]").unwrap();
        assert_eq!(ack(raw), "[[1, 2]]");
    }

    #[test]
    fn the_rest_is_as_many_arguments_as_it_holds() {
        assert_eq!(event(Rest(vec![1, 2])), r#"["e",1,2]"#);
        assert_eq!(event(Rest::<u8>(vec![])), r#"["e"]"#);
        assert_eq!(ack((0, Rest(vec![1, 2]))), "[0,1,2]");
        assert_eq!(ack((0, Rest::<u8>(vec![]))), "[0]");
        assert_eq!(ack(Rest(vec![(1, 2), (3, 4)])), "[[1,2],[3,4]]");
        assert_eq!(ack(Rest(vec![()])), "[null]");
        assert_eq!(ack((vec![Rest(vec![1])],)), "[[[1]]]");
        assert_eq!(serde_json::to_string(&Rest(vec![1, 2])).unwrap(), "[1,2]");
    }

    #[test]
    fn numbers_are_written_as_javascript_reads_them() {
        assert_eq!(
            ack((i8::MIN, i16::MIN, i32::MIN, i64::MIN)),
            "[-128,-32768,-2147483648,-9223372036854775808]"
        );
        assert_eq!(ack(u64::MAX), "[18446744073709551615]");
        assert_eq!(ack((1_i128, 1_u128)), "[1,1]");
        assert_eq!(ack(1.5_f32), "[1.5]");
        assert_eq!(ack(f64::NAN), "[null]");
        assert_eq!(ack((f64::INFINITY, f32::NEG_INFINITY)), "[null,null]");
    }

    #[test]
    fn bytes_become_attachments_depth_first() {
        #[derive(Serialize)]
        struct Photo<'a> {
            first: Bytes,
            nested: Vec<Option<Bytes>>,
            list: Vec<u8>,
            last: (&'a str, Bytes),
        }
        let photo = Photo {
            first: Bytes::from_static(b"0"),
            nested: vec![None, Some(Bytes::from_static(b"1"))],
            list: vec![1],
            last: ("x", Bytes::from_static(b"2")),
        };
        let args = EncodedArgs::event("photo", &(&photo, Bytes::from_static(b"3"))).unwrap();
        assert_eq!(
            args.json(),
            concat!(
                r#"["photo",{"first":{"_placeholder":true,"num":0},"#,
                r#""nested":[null,{"_placeholder":true,"num":1}],"list":[1],"#,
                r#""last":["x",{"_placeholder":true,"num":2}]},{"_placeholder":true,"num":3}]"#
            )
        );
        assert_eq!(args.attachments(), ["0", "1", "2", "3"]);
    }

    #[test]
    fn bytes_alone_are_one_argument() {
        let args = EncodedArgs::ack(&Bytes::from_static(b"x")).unwrap();
        assert_eq!(args.json(), r#"[{"_placeholder":true,"num":0}]"#);
        assert_eq!(args.attachments(), ["x"]);
    }

    proptest! {
        #[test]
        fn a_string_is_written_as_serde_json_writes_it(text in "[ -~\\u{0}-\\u{1f}é\u{1F600}\"\\\\]{0,80}", plain in "[a-z]{0,100}") {
            for text in [&text, &plain, &format!("{plain}{text}")] {
                let expected = serde_json::to_string(&("e", text)).unwrap();
                prop_assert_eq!(event(text), expected);
            }
        }
    }

    #[test]
    fn an_argument_is_added_at_the_end() {
        let mut args = EncodedArgs::ack(&()).unwrap();
        args.push("a").unwrap();
        args.push(&(1, 2)).unwrap();
        args.push(&Bytes::from_static(b"x")).unwrap();
        assert_eq!(args.json(), r#"["a",[1,2],{"_placeholder":true,"num":0}]"#);

        let broken = BTreeMap::from([(vec![Bytes::from_static(b"y")], 1)]);
        let error = args.push(&(Bytes::from_static(b"z"), broken)).unwrap_err();
        assert!(matches!(error, EncodeError::Json(_)));
        assert_eq!(args.json(), r#"["a",[1,2],{"_placeholder":true,"num":0}]"#);
        assert_eq!(args.attachments(), ["x"]);
    }

    #[test]
    fn what_json_cannot_say_is_an_error() {
        let odd_keys = BTreeMap::from([(vec![1], 1)]);
        let error = EncodedArgs::ack(&odd_keys).unwrap_err();
        assert!(matches!(error, EncodeError::Json(_)));
        assert_eq!(error.to_string(), "cannot serialize the arguments");
    }

    #[test]
    fn reserved_names_are_not_sent() {
        let error = EncodedArgs::event("disconnect", &()).unwrap_err();
        assert!(matches!(error, EncodeError::ReservedEvent("disconnect")));
        assert_eq!(error.to_string(), r#"reserved event name "disconnect""#);
    }
}
