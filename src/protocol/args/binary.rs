//! JSON with attachments: wherever bytes are wanted, a placeholder is read as the bytes that it stands for.
//!
//! serde_json cannot look ahead, and an object is known to be a placeholder (`{"_placeholder":true,"num":0}`, in either
//! order) only at its second member. So this reader walks over the structure itself and leaves strings, numbers and literals
//! to serde_json. The text has been found to be JSON before; if it were not, reading it would end in an error.

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess, Visitor},
};
use serde_json::Error;

use crate::protocol::DecodeError;

/// How deep a text may be nested; the limit of serde_json, which guards the stack.
const MAX_DEPTH: usize = 127;

/// Finds placeholders that stand for nothing.
pub(in crate::protocol) fn check_placeholders(
    json: &str,
    attachments: usize,
) -> Result<(), DecodeError> {
    let mut text = Text(json);
    while let Some(byte) = text.peek() {
        match byte {
            b'"' => _ = text.string(),
            b'{' => match text.placeholder() {
                Some(index) if index.is_none_or(|index| index >= attachments) => {
                    return Err(DecodeError::Placeholder);
                }
                _ => _ = text.eat(b'{'),
            },
            _ => text.skip(1),
        }
    }
    Ok(())
}

/// What is left of a JSON text.
#[derive(Clone, Copy)]
struct Text<'de>(&'de str);

impl<'de> Text<'de> {
    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        self.0 = self.0.trim_start_matches([' ', '\t', '\n', '\r']);
        self.0.bytes().next()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.skip(1))
    }

    /// Drops so many bytes, and more if a character would be cut.
    fn skip(&mut self, bytes: usize) {
        self.take(bytes);
    }

    fn take(&mut self, bytes: usize) -> &'de str {
        let end = (bytes..self.0.len()).find(|&end| self.0.is_char_boundary(end));
        let (taken, rest) = self
            .0
            .split_at_checked(end.unwrap_or(self.0.len()))
            .unwrap_or((self.0, ""));
        self.0 = rest;
        taken
    }

    /// Takes a string with its quotes.
    fn string(&mut self) -> &'de str {
        let mut escaped = true; // the opening quote ends nothing
        let end = self.0.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        self.take(end.map_or(self.0.len(), |end| end + 1))
    }

    /// Takes a string, a number or a literal.
    fn leaf(&mut self) -> &'de str {
        match self.peek() {
            Some(b'"') => self.string(),
            _ => {
                let ends = |byte: u8| {
                    matches!(
                        byte,
                        b',' | b':'
                            | b']'
                            | b'}'
                            | b'['
                            | b'{'
                            | b'"'
                            | b' '
                            | b'\t'
                            | b'\n'
                            | b'\r'
                    )
                };
                let end = self.0.bytes().position(ends);
                self.take(end.unwrap_or(self.0.len()))
            }
        }
    }

    /// Takes any value.
    fn value(&mut self) -> &'de str {
        let whole = {
            self.peek();
            self.0
        };
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'[' | b'{' => {
                    depth += 1;
                    self.skip(1);
                }
                b']' | b'}' => {
                    depth = depth.saturating_sub(1);
                    self.skip(1);
                }
                b',' | b':' => {
                    self.skip(1);
                    continue;
                }
                _ => _ = self.leaf(),
            }
            if depth == 0 {
                break;
            }
        }
        whole.get(..whole.len() - self.0.len()).unwrap_or_default()
    }

    /// If the object that starts here is a placeholder, its number; `None` inside if that is no number.
    fn placeholder(&self) -> Option<Option<usize>> {
        let mut text = *self;
        text.eat(b'{')?;
        let first = text.member()?;
        text.eat(b',')?;
        let second = text.member()?;
        match (first, second) {
            (("\"_placeholder\"", "true"), ("\"num\"", num))
            | (("\"num\"", num), ("\"_placeholder\"", "true")) => Some(num.parse().ok()),
            _ => None,
        }
    }

    /// A member that a placeholder may have, unless its value is an array or an object.
    fn member(&mut self) -> Option<(&'de str, &'de str)> {
        self.peek().filter(|&byte| byte == b'"')?;
        let key = self.string();
        if !matches!(key, "\"_placeholder\"" | "\"num\"") {
            return None;
        }
        self.eat(b':')?;
        self.peek().filter(|byte| !matches!(byte, b'[' | b'{'))?;
        Some((key, self.leaf()))
    }
}

/// A `Deserializer` for a JSON text with attachments.
pub(super) struct Binary<'de, 'a> {
    text: Text<'de>,
    attachments: &'a [Bytes],
    depth: usize,
}

impl<'de, 'a> Binary<'de, 'a> {
    pub(super) const fn new(json: &'de str, attachments: &'a [Bytes]) -> Self {
        Self {
            text: Text(json),
            attachments,
            depth: 0,
        }
    }

    /// Whether a string, a number or a literal is next.
    fn at_leaf(&mut self) -> bool {
        !matches!(self.text.peek(), Some(b'[' | b'{'))
    }

    fn leaf(&mut self) -> serde_json::Deserializer<serde_json::de::StrRead<'de>> {
        serde_json::Deserializer::from_str(self.text.leaf())
    }

    /// The attachment, if a placeholder is next.
    fn attachment(&mut self) -> Result<Option<&'a Bytes>, Error> {
        let Some(index) = self.text.placeholder() else {
            return Ok(None);
        };
        let attachment = index.and_then(|index| self.attachments.get(index));
        self.text.value();
        attachment
            .map(Some)
            .ok_or_else(|| Error::custom("placeholder without an attachment"))
    }

    fn expect(&mut self, byte: u8) -> Result<(), Error> {
        self.text
            .eat(byte)
            .ok_or_else(|| Error::custom(format_args!("expected {:?}", char::from(byte))))
    }

    /// Reads something between brackets.
    fn nested<T>(
        &mut self,
        open: u8,
        close: u8,
        read: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.depth == MAX_DEPTH {
            return Err(Error::custom("recursion limit exceeded"));
        }
        self.expect(open)?;
        self.depth += 1;
        let value = read(self)?;
        self.depth -= 1;
        self.expect(close)?;
        Ok(value)
    }

    fn array<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        self.nested(b'[', b']', |reader| {
            visitor.visit_seq(Members {
                reader,
                first: true,
            })
        })
    }

    fn object<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        self.nested(b'{', b'}', |reader| {
            visitor.visit_map(Members {
                reader,
                first: true,
            })
        })
    }
}

/// Leaves go to serde_json as they are asked for; arrays and objects are offered to the visitor, which refuses them.
macro_rules! leaves {
    ($($method:ident($($arg:ident: $ty:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $ty,)* visitor: V) -> Result<V::Value, Error> {
            if self.at_leaf() { self.leaf().$method($($arg,)* visitor) } else { self.deserialize_any(visitor) }
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Binary<'de, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if let Some(bytes) = self.attachment()? {
            return visitor.visit_byte_buf(bytes.to_vec());
        }
        match self.text.peek() {
            Some(b'[') => self.array(visitor),
            Some(b'{') => self.object(visitor),
            _ => self.leaf().deserialize_any(visitor),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.attachment()? {
            Some(bytes) => visitor.visit_bytes(bytes),
            None if self.at_leaf() => self.leaf().deserialize_bytes(visitor),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.attachment()? {
            Some(bytes) => visitor.visit_byte_buf(bytes.to_vec()),
            None => self.deserialize_bytes(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.text.peek() == Some(b'n') {
            return self.leaf().deserialize_option(visitor);
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        // serde_json's own types, like `RawValue`, want the text.
        if name.starts_with("$serde_json::") {
            return serde_json::Deserializer::from_str(self.text.value())
                .deserialize_newtype_struct(name, visitor);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.at_leaf() {
            return self.leaf().deserialize_struct(name, fields, visitor);
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.text.peek() == Some(b'{') {
            return self.nested(b'{', b'}', |reader| visitor.visit_enum(Variant { reader }));
        }
        if self.at_leaf() {
            self.leaf().deserialize_enum(name, variants, visitor)
        } else {
            self.deserialize_any(visitor)
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.text.value();
        visitor.visit_unit()
    }

    leaves! {
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
        deserialize_str();
        deserialize_string();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_identifier();
    }
}

/// The elements of an array, or the members of an object.
struct Members<'r, 'de, 'a> {
    reader: &'r mut Binary<'de, 'a>,
    first: bool,
}

impl Members<'_, '_, '_> {
    /// Whether there is another one.
    fn advance(&mut self, close: u8) -> Result<bool, Error> {
        if self.reader.text.peek() == Some(close) {
            return Ok(false);
        }
        if !std::mem::take(&mut self.first) {
            self.reader.expect(b',')?;
        }
        Ok(true)
    }
}

impl<'de> SeqAccess<'de> for Members<'_, 'de, '_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        if !self.advance(b']')? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

impl<'de> MapAccess<'de> for Members<'_, 'de, '_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        if !self.advance(b'}')? {
            return Ok(None);
        }
        seed.deserialize(Key(self.reader)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        self.reader.expect(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

/// The key of a member. As in serde_json, a number or a boolean may be wanted of it.
struct Key<'r, 'de, 'a>(&'r mut Binary<'de, 'a>);

impl<'de> Key<'_, 'de, '_> {
    fn unquoted(self) -> &'de str {
        let key = self.0.text.leaf();
        let inner = key.strip_prefix('"').and_then(|key| key.strip_suffix('"'));
        inner.unwrap_or(key)
    }
}

macro_rules! unquoted {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let mut json = serde_json::Deserializer::from_str(self.unquoted());
            let value = json.$method(visitor)?;
            json.end()?;
            Ok(value)
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'_, 'de, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.0.leaf().deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.leaf().deserialize_enum(name, variants, visitor)
    }

    unquoted! {
        deserialize_bool
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    serde::forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// An enum's variant with its data: `{"name":data}`.
struct Variant<'r, 'de, 'a> {
    reader: &'r mut Binary<'de, 'a>,
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de, '_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let name = seed.deserialize(Key(self.reader))?;
        self.reader.expect(b':')?;
        Ok((name, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Deserialize::deserialize(self.reader)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.reader)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.reader.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.reader.deserialize_struct("", fields, visitor)
    }
}
