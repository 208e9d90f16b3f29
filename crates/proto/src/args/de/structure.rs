//! The access to the structure of a value with attachments: arrays, objects, keys and enums.

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess, Visitor},
};
use serde_json::Error;

use super::value::{Reader, read_all};

/// Reads a value inside of an array or an object. The reader is behind it even if its type has handled an error.
fn read<'de, S: DeserializeSeed<'de>>(
    reader: &mut Reader<'de, '_>,
    seed: S,
) -> Result<S::Value, Error> {
    let value = seed.deserialize(&mut *reader)?;
    reader.recover();
    Ok(value)
}

/// The elements of an array, or the members of an object.
pub(super) struct Items<'r, 'de, 'a> {
    reader: &'r mut Reader<'de, 'a>,
    first: bool,
}

impl<'r, 'de, 'a> Items<'r, 'de, 'a> {
    pub(super) const fn new(reader: &'r mut Reader<'de, 'a>) -> Self {
        let first = true;
        Self { reader, first }
    }

    /// Returns true if there is another element or member.
    fn advance(&mut self, close: char) -> Result<bool, Error> {
        if self.reader.json.is_at(close) {
            return Ok(false);
        }
        if !std::mem::take(&mut self.first) {
            self.reader.expect(',')?;
        }
        Ok(true)
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de, '_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        if !self.advance(']')? {
            return Ok(None);
        }
        read(self.reader, seed).map(Some)
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de, '_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        if !self.advance('}')? {
            return Ok(None);
        }
        seed.deserialize(Key(self.reader)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        self.reader.expect(':')?;
        read(self.reader, seed)
    }
}

/// The key of a member. It can also be read as a number or a boolean, as in serde_json.
struct Key<'r, 'de, 'a>(&'r mut Reader<'de, 'a>);

impl<'de> Key<'_, 'de, '_> {
    fn unquoted(self) -> &'de str {
        let key = self.0.json.leaf();
        let inner = key.strip_prefix('"').and_then(|key| key.strip_suffix('"'));
        inner.unwrap_or(key)
    }
}

macro_rules! unquoted {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let key = self.unquoted();
            if key.trim() != key {
                return Err(Error::custom("white space in a key that is a number or a boolean"));
            }
            read_all(key, |json| json.$method(visitor))
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'_, 'de, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.0.value(|json| json.deserialize_str(visitor))
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.0.value(|json| json.deserialize_bytes(visitor))
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
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
            .value(|json| json.deserialize_enum(name, variants, visitor))
    }

    unquoted! {
        deserialize_bool
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    serde::forward_to_deserialize_any! {
        char str string unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// An enum's variant with its data: `{"name":data}`.
pub(super) struct Variant<'r, 'de, 'a> {
    pub(super) reader: &'r mut Reader<'de, 'a>,
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de, '_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let name = seed.deserialize(Key(self.reader))?;
        self.reader.expect(':')?;
        Ok((name, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Deserialize::deserialize(self.reader)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        read(self.reader, seed)
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
