//! The deserializer of a JSON array as the arguments of a handler.
//!
//! The requested type decides how the array is read: a tuple takes its elements, any other type is its only element.
//! Each method of the `Deserializer` that a type may call first is therefore forwarded to the element, by a seed that
//! stores the call. serde_json deserializes the element itself.

use std::{cell::Cell, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, SeqAccess, Visitor},
};

use super::rest::REST;
use crate::buf::copy;

/// The number of the argument that is being read, counted from 1, or 0 between arguments. It locates errors.
pub(super) type Position = Cell<usize>;

/// A JSON array that holds a list of arguments, possibly after the name of an event.
pub(super) struct List<'p, D> {
    pub(super) array: D,
    pub(super) named: bool,
    pub(super) position: &'p Position,
}

impl<'de, D: Deserializer<'de>> List<'_, D> {
    /// Reads exactly one argument, whatever its type.
    pub(super) fn one<T: Deserialize<'de>>(self) -> Result<T, D::Error> {
        self.read(Exactly(PhantomData))
    }

    fn read<R: Read<'de>>(self, reader: R) -> Result<R::Value, D::Error> {
        let Self {
            array,
            named,
            position,
        } = self;
        array.deserialize_seq(Elements {
            reader,
            named,
            position,
        })
    }

    fn pass<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, D::Error> {
        self.read(One(seed))
    }
}

/// A reader of a list of arguments. The trait stands for a closure that is generic over the list's type.
trait Read<'de>: Sized {
    type Value;

    /// The expected number of arguments.
    fn wanted(&self) -> usize;

    fn read<A: SeqAccess<'de>>(
        self,
        arguments: &mut Arguments<'_, A>,
    ) -> Result<Self::Value, A::Error>;
}

/// A reader of no arguments.
struct Nothing<V>(V);

impl<'de, V: Visitor<'de>> Read<'de> for Nothing<V> {
    type Value = V::Value;

    fn wanted(&self) -> usize {
        0
    }

    fn read<A: SeqAccess<'de>>(self, _: &mut Arguments<'_, A>) -> Result<V::Value, A::Error> {
        self.0.visit_unit()
    }
}

/// A reader of one argument, or of none if the type is an `Option`.
struct One<S>(S);

impl<'de, S: DeserializeSeed<'de>> Read<'de> for One<S> {
    type Value = S::Value;

    fn wanted(&self) -> usize {
        1
    }

    fn read<A: SeqAccess<'de>>(
        self,
        arguments: &mut Arguments<'_, A>,
    ) -> Result<S::Value, A::Error> {
        self.0.deserialize(Next(arguments))
    }
}

/// A reader of one argument, even if the type is a tuple.
struct Exactly<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Read<'de> for Exactly<T> {
    type Value = T;

    fn wanted(&self) -> usize {
        1
    }

    fn read<A: SeqAccess<'de>>(self, arguments: &mut Arguments<'_, A>) -> Result<T, A::Error> {
        Next(arguments).pass(self.0)
    }
}

/// A reader of the elements of a tuple.
struct Several<V> {
    visitor: V,
    wanted: usize,
}

impl<'de, V: Visitor<'de>> Read<'de> for Several<V> {
    type Value = V::Value;

    fn wanted(&self) -> usize {
        self.wanted
    }

    fn read<A: SeqAccess<'de>>(
        self,
        arguments: &mut Arguments<'_, A>,
    ) -> Result<V::Value, A::Error> {
        self.visitor.visit_seq(arguments)
    }
}

/// The visitor of the JSON array.
struct Elements<'p, R> {
    reader: R,
    named: bool,
    position: &'p Position,
}

impl<'de, R: Read<'de>> Visitor<'de> for Elements<'_, R> {
    type Value = R::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of arguments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<R::Value, A::Error> {
        if self.named {
            elements.next_element::<IgnoredAny>()?;
        }
        let mut arguments = Arguments {
            elements,
            wanted: self.reader.wanted(),
            asked: 0,
            got: 0,
            position: self.position,
        };
        let value = self.reader.read(&mut arguments)?;
        arguments.finish()?;
        Ok(value)
    }
}

/// A list of arguments that is being read.
struct Arguments<'p, A> {
    elements: A,
    wanted: usize,
    /// The number of arguments that a tuple has asked for, including missing ones.
    asked: usize,
    got: usize,
    position: &'p Position,
}

impl<'de, A: SeqAccess<'de>> Arguments<'_, A> {
    /// Reads the next argument. Returns `None` at the end.
    fn next<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.position.set(self.got + 1);
        let value = self.elements.next_element_seed(seed)?;
        self.position.set(0);
        self.got += usize::from(value.is_some());
        Ok(value)
    }

    /// Returns an error if there are more arguments than the type has read.
    fn finish(mut self) -> Result<(), A::Error> {
        let taken = self.got;
        while self.next(PhantomData::<IgnoredAny>)?.is_some() {}
        if self.got > taken {
            Err(self.count_mismatch())
        } else {
            Ok(())
        }
    }

    fn count_mismatch(&self) -> A::Error {
        let Self { wanted, got, .. } = self;
        let plural = if *wanted == 1 { "" } else { "s" };
        A::Error::custom(format_args!(
            "expected {wanted} argument{plural}, got {got}"
        ))
    }
}

/// The elements of a tuple. A missing element is deserialized too, because it may be an `Option`.
impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for &mut Arguments<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        if self.asked == self.wanted {
            return Ok(None);
        }
        self.asked += 1;
        seed.deserialize(Next(self)).map(Some)
    }
}

/// The elements of a [`Rest`](super::Rest).
struct Remaining<'r, 'p, A>(&'r mut Arguments<'p, A>);

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Remaining<'_, '_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.0.next(seed)
    }
}

/// The next argument, which may be missing.
struct Next<'r, 'p, A>(&'r mut Arguments<'p, A>);

impl<'de, A: SeqAccess<'de>> Next<'_, '_, A> {
    fn pass<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        match self.0.next(seed)? {
            Some(value) => Ok(value),
            None => Err(self.0.count_mismatch()),
        }
    }
}

/// The seed of an optional argument. It leaves the visitor in the `Option` if the argument is missing.
struct Optional<'v, V>(&'v mut Option<V>);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Optional<'_, V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, element: D) -> Result<V::Value, D::Error> {
        let visitor = self
            .0
            .take()
            .ok_or_else(|| D::Error::custom("read twice"))?;
        element.deserialize_option(visitor)
    }
}

/// The seed of an argument that is a newtype.
struct Newtype<V> {
    name: &'static str,
    visitor: V,
}

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Newtype<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, element: D) -> Result<V::Value, D::Error> {
        element.deserialize_newtype_struct(self.name, self.visitor)
    }
}

/// The visitor of a string, which copies a long string in pieces.
struct Copied<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Copied<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<V::Value, E> {
        if text.len() < copy::PIECE {
            return self.0.visit_str(text);
        }
        self.0.visit_string(copy::to_string(text))
    }
}

/// The seed of an argument that is an owned string.
struct Owned<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Owned<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, element: D) -> Result<V::Value, D::Error> {
        element.deserialize_str(Copied(self.0))
    }
}

/// Implements methods of a `Deserializer` by forwarding them to the element.
macro_rules! pass_on {
    ($($method:ident($($arg:ident: $ty:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $ty,)* visitor: V) -> Result<V::Value, Self::Error> {
            struct Hint<V> { $($arg: $ty,)* visitor: V }

            impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Hint<V> {
                type Value = V::Value;

                fn deserialize<D: Deserializer<'de>>(self, element: D) -> Result<V::Value, D::Error> {
                    element.$method($(self.$arg,)* self.visitor)
                }
            }

            self.pass(Hint { $($arg,)* visitor })
        }
    )*};
    (scalars and all that) => {
        fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            self.pass(Owned(visitor))
        }

        pass_on! {
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

impl<'de, A: SeqAccess<'de>> Deserializer<'de> for Next<'_, '_, A> {
    type Error = A::Error;

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        let mut visitor = Some(visitor);
        match (self.0.next(Optional(&mut visitor))?, visitor) {
            (Some(value), _) => Ok(value),
            (None, Some(visitor)) => visitor.visit_none(),
            (None, None) => Err(self.0.count_mismatch()),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        if name == REST {
            return visitor.visit_seq(Remaining(self.0));
        }
        self.pass(Newtype { name, visitor })
    }

    pass_on!(scalars and all that);
    pass_on! {
        deserialize_unit();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
    }
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for List<'_, D> {
    type Error = D::Error;

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.read(Nothing(visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        wanted: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.read(Several { visitor, wanted })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        wanted: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.read(Several { visitor, wanted })
    }

    pass_on!(scalars and all that);
    pass_on! {
        deserialize_option();
        deserialize_newtype_struct(name: &'static str);
    }
}
