//! The deserializer of JSON with attachments: a placeholder can be read as the bytes that it stands for.
//!
//! serde_json has no lookahead, and an object is known to be a placeholder (`{"_placeholder":true,"num":0}`, in either
//! order) only at its second member. This deserializer therefore walks over the structure itself and leaves strings,
//! numbers and literals to serde_json. The text has been validated as JSON before; invalid text would result in an
//! error.

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, EnumAccess, Error as _, MapAccess, SeqAccess, Unexpected, VariantAccess,
        Visitor,
    },
};
use serde_json::{Error, de::StrRead};

use super::{binary, scan::Scanner};
use crate::buf::copy;

/// The maximum depth of nesting. It is the limit of serde_json, which guards the stack.
const MAX_DEPTH: usize = 127;

/// The `Deserializer` for a JSON text without attachments.
type Plain<'de> = serde_json::Deserializer<StrRead<'de>>;

/// Reads a text to its end.
pub(super) fn read_plain<'de, T>(
    json: &'de str,
    read: impl FnOnce(&mut Plain<'de>) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut reader = Plain::from_str(json);
    let value = read(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// The `Deserializer` for a JSON text with attachments.
pub(super) struct WithAttachments<'de, 'a> {
    text: Scanner<'de>,
    attachments: &'a [Bytes],
    depth: usize,
}

impl<'de, 'a> WithAttachments<'de, 'a> {
    /// Reads a text to its end.
    pub(super) fn read<T>(
        json: &'de str,
        attachments: &'a [Bytes],
        read: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut reader = Self {
            text: Scanner::new(json),
            attachments,
            depth: 0,
        };
        let value = read(&mut reader)?;
        match reader.text.peek() {
            None => Ok(value),
            Some(_) => Err(Error::custom("trailing characters")),
        }
    }

    /// Returns true if a string, a number or a literal is next.
    fn at_leaf(&mut self) -> bool {
        !matches!(self.text.peek(), Some(b'[' | b'{'))
    }

    fn leaf<T>(
        &mut self,
        read: impl FnOnce(&mut Plain<'de>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        read_plain(self.text.leaf(), read)
    }

    /// Takes a placeholder if one is next. Returns its attachment.
    fn attachment(&mut self) -> Result<Option<&'a Bytes>, Error> {
        let Some(index) = self.text.take_placeholder() else {
            return Ok(None);
        };
        let attachment = index.and_then(|index| self.attachments.get(index));
        attachment
            .map(Some)
            .ok_or_else(|| Error::custom("placeholder without an attachment"))
    }

    fn expect(&mut self, byte: u8) -> Result<(), Error> {
        self.text
            .eat(char::from(byte))
            .ok_or_else(|| Error::custom(format_args!("expected {:?}", char::from(byte))))
    }

    /// Reads a value between brackets.
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
        match self.text.eat(char::from(close)) {
            Some(()) => Ok(value),
            None => Err(Error::custom("trailing characters")),
        }
    }

    /// Passes an array or an object to the visitor. An attachment is refused: it does not become a text or a list.
    fn no_leaf<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        if self.attachment()?.is_some() {
            return Err(Error::invalid_type(
                Unexpected::Other("attachment"),
                &visitor,
            ));
        }
        self.deserialize_any(visitor)
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

/// Implements methods of a `Deserializer` that read a leaf, by calling them on serde_json.
macro_rules! leaves {
    ($($method:ident($($arg:ident: $ty:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $ty,)* visitor: V) -> Result<V::Value, Error> {
            if self.at_leaf() {
                self.leaf(|leaf| leaf.$method($($arg,)* visitor))
            } else {
                self.no_leaf(visitor)
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut WithAttachments<'de, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if let Some(bytes) = self.attachment()? {
            return visitor.visit_byte_buf(copy::to_vec(bytes));
        }
        match self.text.peek() {
            Some(b'[') => self.array(visitor),
            Some(b'{') => self.object(visitor),
            _ => self.leaf(|leaf| leaf.deserialize_any(visitor)),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.attachment()? {
            Some(bytes) => visitor.visit_bytes(bytes),
            None if self.at_leaf() => self.leaf(|leaf| leaf.deserialize_bytes(visitor)),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.attachment()? {
            Some(bytes) => visitor.visit_byte_buf(copy::to_vec(bytes)),
            None => self.deserialize_bytes(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.text.peek() == Some(b'n') {
            return self.leaf(|leaf| leaf.deserialize_option(visitor));
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
            return read_plain(self.text.value(), |json| {
                json.deserialize_newtype_struct(name, visitor)
            });
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.at_leaf() {
            return self.leaf(|leaf| leaf.deserialize_enum(name, variants, visitor));
        }
        if self.text.peek() == Some(b'{') && self.text.placeholder().is_none() {
            return self.nested(b'{', b'}', |reader| visitor.visit_enum(Variant { reader }));
        }
        self.no_leaf(visitor)
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
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_identifier();
    }
}

/// The elements of an array, or the members of an object.
struct Members<'r, 'de, 'a> {
    reader: &'r mut WithAttachments<'de, 'a>,
    first: bool,
}

impl Members<'_, '_, '_> {
    /// Returns true if there is another element or member.
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

/// The key of a member. It can also be read as a number or a boolean, as in serde_json.
struct Key<'r, 'de, 'a>(&'r mut WithAttachments<'de, 'a>);

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
            read_plain(self.unquoted(), |json| json.$method(visitor))
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'_, 'de, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.0.leaf(|leaf| leaf.deserialize_str(visitor))
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
        self.0
            .leaf(|leaf| leaf.deserialize_enum(name, variants, visitor))
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
    reader: &'r mut WithAttachments<'de, 'a>,
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
