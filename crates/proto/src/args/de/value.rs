//! The deserializer of one value.
//!
//! A string without escapes is borrowed from the text, and serde_json reads the other strings, numbers and literals. It
//! also reads arrays and objects, unless there are attachments: an object is known to be a placeholder
//! (`{"_placeholder":true,"num":0}`, in either order) only at its second member, and serde_json has no lookahead. The
//! reader then walks over the structure itself. A text with attachments has been validated before.

use bytes::Bytes;
use serde::Deserializer;
use serde::de::{Error as _, Unexpected, Visitor};
use serde_json::{Error, de::StrRead};

use super::check_json;
use super::structure::{Items, Variant};
use crate::args::binary;
use crate::args::scan::Scanner;
use crate::buf::copy;

/// The maximum depth of nesting of an argument. It is the limit of serde_json, which guards the stack.
const MAX_DEPTH: usize = 127;

/// The deserializer of serde_json.
type Json<'de> = serde_json::Deserializer<StrRead<'de>>;

/// Reads a text to its end.
pub(super) fn read_all<'de, T>(
    json: &'de str,
    read: impl FnOnce(&mut Json<'de>) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut reader = Json::from_str(json);
    let value = read(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// A reader of values, one after the other. A reference to it is the deserializer of the next one.
#[derive(Debug)]
pub(super) struct Reader<'de, 'a> {
    pub(super) json: Scanner<'de>,
    attachments: &'a [Bytes],
    depth: usize,
    /// The outermost array or object whose type has failed, with its depth.
    failed: Option<(Scanner<'de>, usize)>,
}

impl<'de, 'a> Reader<'de, 'a> {
    pub(super) const fn new(json: &'de str, attachments: &'a [Bytes]) -> Self {
        Self {
            json: Scanner::new(json),
            attachments,
            depth: 0,
            failed: None,
        }
    }

    pub(super) const fn attachments(&self) -> &'a [Bytes] {
        self.attachments
    }

    /// Takes a character, or fails if another one is next.
    pub(super) fn expect(&mut self, char: char) -> Result<(), Error> {
        let missing = || Error::custom(format_args!("expected {char:?}"));
        self.json.eat(char).ok_or_else(missing)
    }

    /// Returns true if a string, a number or a literal is next.
    pub(super) fn at_leaf(&mut self) -> bool {
        !matches!(self.json.peek(), Some(b'[' | b'{'))
    }

    /// Returns true if an array or an object is next that may contain attachments.
    fn at_structure(&mut self) -> bool {
        !self.attachments.is_empty() && !self.at_leaf()
    }

    /// Reads a value with serde_json. It must not contain attachments.
    pub(super) fn value<T>(
        &mut self,
        read: impl FnOnce(&mut Json<'de>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let is_leaf = self.at_leaf();
        let mut after = self.json;
        // The end of an array or an object is unknown. Most often it is the last value of the list.
        let text = if is_leaf {
            after.leaf()
        } else {
            after.before_last_bracket()
        };
        let mut json = Json::from_str(text);
        let value = read(&mut json);
        let is_whole = json.end().is_ok();
        match &value {
            Ok(_) if is_whole => self.json = after,
            Ok(_) if !is_leaf => _ = self.json.value(),
            // The text is malformed. The list notices that the value is still there.
            Ok(_) => {}
            Err(_) => self.skip_well_formed(),
        }
        value
    }

    /// Skips the next value, if it is well-formed. A type that handles an error can then read on, but it hides no
    /// malformed text.
    fn skip_well_formed(&mut self) {
        let mut after = self.json;
        if check_json(after.value()).is_ok() {
            self.json = after;
        }
    }

    /// Takes a placeholder if one is next. Returns its attachment.
    fn attachment(&mut self) -> Result<Option<&'a Bytes>, Error> {
        if self.attachments.is_empty() {
            return Ok(None);
        }
        let Some(index) = self.json.take_placeholder() else {
            return Ok(None);
        };
        let attachment = index.and_then(|index| self.attachments.get(index));
        attachment
            .map(Some)
            .ok_or_else(|| Error::custom("placeholder without an attachment"))
    }

    /// Reads a value between brackets.
    pub(super) fn nested<T>(
        &mut self,
        open: char,
        close: char,
        read: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let before = (self.json, self.depth);
        let value = self.between(open, close, read);
        if value.is_err() {
            self.failed = Some(before);
        }
        value
    }

    fn between<T>(
        &mut self,
        open: char,
        close: char,
        read: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.depth == MAX_DEPTH {
            return Err(Error::custom("recursion limit exceeded"));
        }
        self.expect(open)?;
        self.depth += 1;
        let value = read(self)?;
        self.depth -= 1;
        match self.json.eat(close) {
            Some(()) => Ok(value),
            None => Err(Error::custom("trailing characters")),
        }
    }

    /// Skips the array or object in whose middle the reader is, if a type has failed there and has handled the error.
    #[inline]
    pub(super) fn recover(&mut self) {
        if let Some((start, depth)) = self.failed.take() {
            (self.json, self.depth) = (start, depth);
            self.json.value();
        }
    }

    /// Passes an array or an object to the visitor.
    fn structure<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        if self.json.peek() == Some(b'[') {
            self.nested('[', ']', |reader| visitor.visit_seq(Items::new(reader)))
        } else {
            self.nested('{', '}', |reader| visitor.visit_map(Items::new(reader)))
        }
    }

    /// Passes an array or an object to a visitor that wants no bytes. An attachment is refused: it does not become a
    /// text or a list.
    fn no_bytes<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        if self.attachment()?.is_some() {
            let attachment = Unexpected::Other("attachment");
            return Err(Error::invalid_type(attachment, &visitor));
        }
        self.structure(visitor)
    }
}

/// The visitor of a string, which copies a long string in pieces.
struct Copied<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Copied<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.expecting(f)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<V::Value, E> {
        if text.len() < copy::PIECE {
            return self.0.visit_str(text);
        }
        self.0.visit_string(copy::to_string(text))
    }
}

/// Implements methods of a `Deserializer` by calling them on serde_json.
macro_rules! by_serde_json {
    ($($method:ident($($arg:ident: $ty:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $ty,)* visitor: V) -> Result<V::Value, Error> {
            if self.at_structure() {
                return self.no_bytes(visitor);
            }
            self.value(|json| json.$method($($arg,)* visitor))
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Reader<'de, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if let Some(text) = self.json.plain_string() {
            return visitor.visit_borrowed_str(text);
        }
        if !self.at_structure() {
            return self.value(|json| json.deserialize_any(visitor));
        }
        match self.attachment()? {
            Some(bytes) => visitor.visit_byte_buf(copy::to_vec(bytes)),
            None => self.structure(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if let Some(text) = self.json.plain_string() {
            return visitor.visit_borrowed_str(text);
        }
        if self.at_structure() {
            return self.no_bytes(visitor);
        }
        self.value(|json| json.deserialize_str(visitor))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(Copied(visitor))
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.attachment()? {
            Some(bytes) => visitor.visit_bytes(bytes),
            None if self.at_structure() => self.structure(visitor),
            None => self.value(|json| json.deserialize_bytes(visitor)),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.attachment()? {
            Some(bytes) => visitor.visit_byte_buf(copy::to_vec(bytes)),
            None => self.deserialize_bytes(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.json.peek() == Some(b'n') {
            return self.value(|json| json.deserialize_option(visitor));
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if binary::wants_attachment(name)
            && let Some(bytes) = self.attachment()?
        {
            return binary::hand_over(bytes, visitor);
        }
        // serde_json's own types, like `RawValue`, want the text.
        if name.starts_with("$serde_json::") {
            let read = |json: &mut Json<'de>| json.deserialize_newtype_struct(name, visitor);
            return if self.at_structure() {
                read_all(self.json.value(), read)
            } else {
                self.value(read)
            };
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if !self.at_structure() {
            return self.value(|json| json.deserialize_enum(name, variants, visitor));
        }
        if self.json.peek() == Some(b'{') && self.json.placeholder().is_none() {
            return self.nested('{', '}', |reader| visitor.visit_enum(Variant { reader }));
        }
        self.no_bytes(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.json.plain_string().is_some() {
            return visitor.visit_unit();
        }
        if !self.at_structure() {
            return self.value(|json| json.deserialize_ignored_any(visitor));
        }
        self.json.value();
        visitor.visit_unit()
    }

    by_serde_json! {
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_identifier();
    }
}
