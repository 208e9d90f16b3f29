//! The deserializer of a JSON array as the arguments of a handler.
//!
//! The requested type decides how the array is read: a tuple takes its elements, any other type its first element.

use bytes::Bytes;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Error;

use super::Surplus;
use super::value::Reader;
use crate::always::always;
use crate::args::RawArgs;
use crate::args::raw::{self, RAW};
use crate::args::rest::REST;

/// A JSON array of arguments, possibly after the name of an event.
#[derive(Debug)]
pub(super) struct List<'de, 'a> {
    reader: Reader<'de, 'a>,
    first: bool,
    /// The number of arguments that the type takes.
    wanted: usize,
    /// The number of arguments that a tuple has asked for, including missing ones.
    asked: usize,
    got: usize,
    /// True while an argument is being read.
    reading: bool,
    /// True if an argument has been left where it was: it is malformed, or its type reads nothing. A type may have
    /// handled the error.
    unread: bool,
}

impl<'de, 'a> List<'de, 'a> {
    pub(super) const fn new(json: &'de str, attachments: &'a [Bytes]) -> Self {
        Self {
            reader: Reader::new(json, attachments),
            first: true,
            wanted: 0,
            asked: 0,
            got: 0,
            reading: false,
            unread: false,
        }
    }

    /// Creates a list of which the name of an event has been taken.
    pub(super) const fn behind_name(json: &'de str, attachments: &'a [Bytes]) -> Self {
        let mut list = Self::new(json, attachments);
        list.first = false;
        list
    }

    /// Starts the array.
    pub(super) fn open(&mut self) -> Result<(), Error> {
        match self.reader.json.eat('[') {
            Some(_) => Ok(()),
            None => Err(Error::custom("expected a list of arguments")),
        }
    }

    /// Starts the array of an event, and skips the event's name.
    pub(super) fn open_event(&mut self) -> Result<(), Error> {
        self.open()?;
        if self.reader.json.plain_string().is_some() {
            self.first = false;
        } else if self.advance()? {
            IgnoredAny::deserialize(&mut self.reader)?;
            self.got = 0;
        }
        Ok(())
    }

    /// Ends the array, of which the type may have left some arguments.
    pub(super) fn close(&mut self, surplus: Surplus) -> Result<(), Error> {
        if self.unread {
            return Err(Error::custom("an argument has not been read"));
        }
        if self.reader.json.rest() == "]" {
            return Ok(());
        }
        let taken = self.got;
        while self.advance()? {
            self.read(|reader| IgnoredAny::deserialize(reader))?;
        }
        self.reader.expect(']')?;
        if self.reader.json.peek().is_some() {
            return Err(Error::custom("trailing characters"));
        }
        if self.got > taken && surplus == Surplus::Refused {
            return Err(self.count_mismatch());
        }
        Ok(())
    }

    /// Reads all arguments.
    pub(super) fn all<T: Deserialize<'de>>(&mut self) -> Result<T, Error> {
        T::deserialize(All(self))
    }

    /// Reads one argument, whatever its type.
    pub(super) fn one<T: Deserialize<'de>>(&mut self) -> Result<T, Error> {
        self.wanted = 1;
        self.next(|reader| T::deserialize(reader))
    }

    /// Returns the number of the argument that is being read, counted from 1.
    pub(super) fn position(&self) -> Option<usize> {
        self.reading.then_some(self.got)
    }

    /// Goes on to the next argument. Returns false at the end.
    fn advance(&mut self) -> Result<bool, Error> {
        if self.reader.json.is_at(']') {
            return Ok(false);
        }
        if !std::mem::take(&mut self.first) {
            self.reader.expect(',')?;
        }
        self.got += 1;
        Ok(true)
    }

    /// Reads the argument that is next.
    fn read<T>(
        &mut self,
        read: impl FnOnce(&mut Reader<'de, 'a>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.reading = true;
        self.reader.json.peek();
        let before = self.reader.json.rest().len();
        let value = read(&mut self.reader);
        self.reader.recover();
        self.unread |= self.reader.json.rest().len() == before;
        let value = value?;
        self.reading = false;
        Ok(value)
    }

    /// Goes on to the next argument and reads it.
    fn next<T>(
        &mut self,
        read: impl FnOnce(&mut Reader<'de, 'a>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if !self.advance()? {
            return Err(self.count_mismatch());
        }
        self.read(read)
    }

    /// Skips an argument whose type has read nothing, unless the argument is missing.
    #[cold]
    fn skip_unread(&mut self) -> Result<(), Error> {
        if self.advance()? {
            self.read(|reader| IgnoredAny::deserialize(reader))?;
        }
        Ok(())
    }

    /// Takes all arguments that are left.
    fn remaining(&mut self) -> Result<RawArgs, Error> {
        if !self.advance()? {
            return Ok(RawArgs::default());
        }
        self.reader.json.peek();
        let text = self.reader.json.rest();
        self.read(|reader| IgnoredAny::deserialize(reader))?;
        while self.advance()? {
            self.read(|reader| IgnoredAny::deserialize(reader))?;
        }
        let taken = text.len() - self.reader.json.rest().len();
        let values = always(text.get(..taken), "whole values have been taken");
        let attachments = self.reader.attachments();
        Ok(RawArgs::from_values(values.trim_end(), attachments))
    }

    fn count_mismatch(&self) -> Error {
        let Self { wanted, got, .. } = self;
        let plural = if *wanted == 1 { "" } else { "s" };
        Error::custom(format_args!(
            "expected {wanted} argument{plural}, got {got}"
        ))
    }
}

/// The elements of a tuple. A missing element is deserialized too, because it may be an `Option`.
impl<'de> SeqAccess<'de> for &mut List<'de, '_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        if self.asked == self.wanted {
            return Ok(None);
        }
        self.asked += 1;
        let before = self.got;
        let value = seed.deserialize(Next(self))?;
        if self.got == before {
            self.skip_unread()?;
        }
        Ok(Some(value))
    }
}

/// The elements of a [`Rest`](crate::Rest).
struct Remaining<'r, 'de, 'a>(&'r mut List<'de, 'a>);

impl<'de> SeqAccess<'de> for Remaining<'_, 'de, '_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        if !self.0.advance()? {
            return Ok(None);
        }
        self.0.read(|reader| seed.deserialize(reader)).map(Some)
    }
}

/// The deserializer of the next argument, which may be missing.
struct Next<'r, 'de, 'a>(&'r mut List<'de, 'a>);

/// The deserializer of all arguments.
struct All<'r, 'de, 'a>(&'r mut List<'de, 'a>);

impl<'r, 'de, 'a> All<'r, 'de, 'a> {
    fn only(self) -> Next<'r, 'de, 'a> {
        self.0.wanted = 1;
        Next(self.0)
    }
}

/// Calls a macro with the methods of a `Deserializer` that mean one argument in any case.
macro_rules! one_argument {
    ($pass_on:ident) => {
        $pass_on! {
            deserialize_any();
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
            deserialize_bytes();
            deserialize_byte_buf();
            deserialize_unit_struct(name: &'static str);
            deserialize_seq();
            deserialize_map();
            deserialize_struct(name: &'static str, fields: &'static [&'static str]);
            deserialize_enum(name: &'static str, variants: &'static [&'static str]);
            deserialize_identifier();
            deserialize_ignored_any();
        }
    };
}

/// Implements methods of a `Deserializer` by calling them on the next argument.
macro_rules! next {
    ($($method:ident($($arg:ident: $ty:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $ty,)* visitor: V) -> Result<V::Value, Error> {
            self.0.next(|reader| reader.$method($($arg,)* visitor))
        }
    )*};
}

/// Implements methods of a `Deserializer` by calling them on the only argument.
macro_rules! only {
    ($($method:ident($($arg:ident: $ty:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $ty,)* visitor: V) -> Result<V::Value, Error> {
            self.only().$method($($arg,)* visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Next<'_, 'de, '_> {
    type Error = Error;

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if !self.0.advance()? {
            return visitor.visit_none();
        }
        self.0.read(|reader| reader.deserialize_option(visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == REST {
            return visitor.visit_seq(Remaining(self.0));
        }
        if name == RAW {
            return raw::hand_over(self.0.remaining()?, visitor);
        }
        self.0
            .next(|reader| reader.deserialize_newtype_struct(name, visitor))
    }

    one_argument!(next);
    next! {
        deserialize_unit();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
    }
}

impl<'de> Deserializer<'de> for All<'_, 'de, '_> {
    type Error = Error;

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.0.wanted = len;
        visitor.visit_seq(self.0)
    }

    one_argument!(only);
    only! {
        deserialize_option();
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_newtype_struct(name: &'static str);
    }
}
