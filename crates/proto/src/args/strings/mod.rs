//! The deserializer of arguments that are all strings without escapes: most events are a name and one or two texts.
//!
//! Such strings are found many bytes at a time and borrowed from the text. If an argument is anything else, or does not
//! fit the requested type, serde_json deserializes the list from its beginning, and its error is reported.

use std::cell::Cell;
use std::fmt;

use memchr::memchr2;
use serde::de::{
    self, DeserializeSeed, Deserializer, SeqAccess, Visitor, value::BorrowedStrDeserializer,
};
use serde::forward_to_deserialize_any;

thread_local! {
    /// The number of errors so far. A type may handle an error and still return a value.
    static ERRORS: Cell<u64> = const { Cell::new(0) };
}

/// The error of a text that this deserializer does not read, or that does not fit the type.
#[derive(Debug)]
pub(super) struct NotPlain(());

impl NotPlain {
    fn new() -> Self {
        ERRORS.set(ERRORS.get().wrapping_add(1));
        Self(())
    }
}

/// A JSON array.
pub(super) struct Strings<'de, 'e> {
    /// The text after the opening bracket or the last element.
    rest: &'de str,
    first: bool,
    /// True once the end of the array has been reached.
    ended: &'e Cell<bool>,
}

/// Reads a list of plain strings, after the name of an event if it is `named`. Returns `None` if the list is anything
/// else, or if `read` fails.
pub(super) fn read_strings<'de, T>(
    array: &'de str,
    named: bool,
    read: impl FnOnce(Strings<'de, '_>) -> Result<T, NotPlain>,
) -> Option<T> {
    let ended = Cell::new(false);
    let strings = Strings::of(array, named, &ended)?;
    let errors = ERRORS.get();
    let value = read(strings).ok()?;
    // A type that has not read all elements, or has handled an error, would get a different value from serde_json.
    (ended.get() && ERRORS.get() == errors).then_some(value)
}

impl<'de, 'e> Strings<'de, 'e> {
    /// Returns `None` if either end of the array shows that an element is not a string.
    fn of(array: &'de str, named: bool, ended: &'e Cell<bool>) -> Option<Self> {
        let rest = array.strip_prefix('[')?;
        if !rest.ends_with("\"]") {
            return None;
        }
        let mut strings = Self {
            rest,
            first: true,
            ended,
        };
        if named {
            strings.next().ok()??;
        }
        (strings.rest.starts_with(",\"") || !named).then_some(strings)
    }

    fn next(&mut self) -> Result<Option<&'de str>, NotPlain> {
        let rest = match self.rest.strip_prefix(',') {
            Some(rest) if !self.first => rest,
            None if self.first => self.rest,
            None if self.rest == "]" => {
                self.ended.set(true);
                return Ok(None);
            }
            _ => return Err(NotPlain::new()),
        };
        let text = rest.strip_prefix('"').ok_or_else(NotPlain::new)?;
        let (string, rest) = plain(text)
            .and_then(|len| text.split_at_checked(len))
            .ok_or_else(NotPlain::new)?;
        self.rest = rest.strip_prefix('"').ok_or_else(NotPlain::new)?;
        self.first = false;
        Ok(Some(string))
    }
}

/// Returns true if a string needs no escapes in JSON and can be copied unchanged.
pub(super) fn is_plain(text: &str) -> bool {
    plain(text) == Some(text.len())
}

/// Returns the length of the text before its first quote or backslash, or `None` if that contains a control character.
fn plain(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let len = memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
    // The fold has no early exit, so that it compiles to a few wide instructions.
    let least = bytes.get(..len)?.iter().copied().fold(u8::MAX, u8::min);
    (least >= b' ').then_some(len)
}

impl<'de> Deserializer<'de> for Strings<'de, '_> {
    type Error = NotPlain;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_seq(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> SeqAccess<'de> for Strings<'de, '_> {
    type Error = NotPlain;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, NotPlain> {
        let Some(text) = self.next()? else {
            return Ok(None);
        };
        let read = &Cell::new(false);
        let value = seed.deserialize(One { text, read })?;
        read.get().then_some(Some(value)).ok_or_else(NotPlain::new)
    }
}

macro_rules! nothing {
    ($($method:ident($(_: $arg:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $(_: $arg,)* _: V) -> Result<V::Value, NotPlain> {
            Err(NotPlain::new())
        }
    )*};
}

/// The deserializer of one string.
struct One<'de, 'r> {
    text: &'de str,
    /// True once the type has read the string.
    read: &'r Cell<bool>,
}

impl<'de> One<'de, '_> {
    fn take(&self) -> &'de str {
        self.read.set(true);
        self.text
    }
}

impl<'de> Deserializer<'de> for One<'de, '_> {
    type Error = NotPlain;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_borrowed_str(self.take())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_some(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        self.take();
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, NotPlain> {
        // Such names request more than serde's data model offers: raw JSON, attachments.
        if name.starts_with('$') {
            return Err(NotPlain::new());
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NotPlain> {
        visitor.visit_enum(BorrowedStrDeserializer::new(self.take()))
    }

    // All other types are left to serde_json, which reads or refuses the text.
    nothing! {
        deserialize_bool() deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64() deserialize_i128()
        deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128() deserialize_f32()
        deserialize_f64() deserialize_bytes() deserialize_byte_buf() deserialize_unit() deserialize_seq() deserialize_map()
        deserialize_unit_struct(_: &'static str) deserialize_tuple(_: usize)
        deserialize_tuple_struct(_: &'static str, _: usize)
        deserialize_struct(_: &'static str, _: &'static [&'static str])
    }

    forward_to_deserialize_any! {
        char str string identifier
    }
}

impl de::Error for NotPlain {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::new()
    }
}

impl std::error::Error for NotPlain {}

impl fmt::Display for NotPlain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no plain string")
    }
}

#[cfg(test)]
mod tests;
