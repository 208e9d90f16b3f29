//! The reader of MessagePack values.

use rmp::Marker;

use super::malformed;
use crate::DecodeError;
use crate::always::always;

/// The unread part of a message.
#[derive(Debug)]
pub(super) struct ValueReader<'m> {
    pub(super) rest: &'m [u8],
    /// True if extensions of type -1 are timestamps. The package `notepack.io` 2, which clients use, has none.
    timestamps: bool,
}

/// A value, or the start of an array or a map: its elements or members follow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'m> {
    Nil,
    /// The value `undefined`, as the package `notepack.io` encodes it.
    Undefined,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    /// A text, which is not necessarily UTF-8.
    Text(&'m [u8]),
    Binary(&'m [u8]),
    /// An array with this number of elements.
    Array(u32),
    /// A map with this number of members, each with a key and a value.
    Map(u32),
    /// A date in milliseconds since 1970, as `notepack.io` encodes it.
    Date(i64),
    Extension(i8, &'m [u8]),
}

impl<'m> ValueReader<'m> {
    pub(super) const fn new(message: &'m [u8]) -> Self {
        Self {
            rest: message,
            timestamps: false,
        }
    }

    pub(super) const fn with_timestamps(message: &'m [u8]) -> Self {
        Self {
            rest: message,
            timestamps: true,
        }
    }

    pub(super) fn next(&mut self) -> Result<Value<'m>, DecodeError> {
        let [marker] = self.bytes()?;
        Ok(match Marker::from_u8(marker) {
            Marker::Null => Value::Nil,
            Marker::False => Value::Bool(false),
            Marker::True => Value::Bool(true),
            Marker::FixPos(number) => Value::Unsigned(number.into()),
            Marker::U8 => Value::Unsigned(u8::from_be_bytes(self.bytes()?).into()),
            Marker::U16 => Value::Unsigned(u16::from_be_bytes(self.bytes()?).into()),
            Marker::U32 => Value::Unsigned(u32::from_be_bytes(self.bytes()?).into()),
            Marker::U64 => Value::Unsigned(u64::from_be_bytes(self.bytes()?)),
            Marker::FixNeg(number) => Value::Signed(number.into()),
            Marker::I8 => Value::Signed(i8::from_be_bytes(self.bytes()?).into()),
            Marker::I16 => Value::Signed(i16::from_be_bytes(self.bytes()?).into()),
            Marker::I32 => Value::Signed(i32::from_be_bytes(self.bytes()?).into()),
            Marker::I64 => Value::Signed(i64::from_be_bytes(self.bytes()?)),
            Marker::F32 => Value::Float(f32::from_be_bytes(self.bytes()?).into()),
            Marker::F64 => Value::Float(f64::from_be_bytes(self.bytes()?)),
            Marker::FixStr(len) => Value::Text(self.take(len.into())?),
            Marker::Str8 => Value::Text(self.sized(Self::len8)?),
            Marker::Str16 => Value::Text(self.sized(Self::len16)?),
            Marker::Str32 => Value::Text(self.sized(Self::len32)?),
            Marker::Bin8 => Value::Binary(self.sized(Self::len8)?),
            Marker::Bin16 => Value::Binary(self.sized(Self::len16)?),
            Marker::Bin32 => Value::Binary(self.sized(Self::len32)?),
            Marker::FixArray(len) => Value::Array(len.into()),
            Marker::Array16 => Value::Array(self.len16()?),
            Marker::Array32 => Value::Array(self.len32()?),
            Marker::FixMap(len) => Value::Map(len.into()),
            Marker::Map16 => Value::Map(self.len16()?),
            Marker::Map32 => Value::Map(self.len32()?),
            Marker::FixExt1 => match self.extension(1)? {
                (0, _) => Value::Undefined,
                (kind, data) => Value::Extension(kind, data),
            },
            Marker::FixExt2 => self.fixed_extension(2)?,
            Marker::FixExt4 => self.fixed_extension(4)?,
            Marker::FixExt8 => match self.extension(8)? {
                (0, data) => {
                    let date = always(data.try_into().ok(), "eight bytes have been taken");
                    Value::Date(i64::from_be_bytes(date))
                }
                (kind, data) => self.other(kind, data),
            },
            Marker::FixExt16 => self.fixed_extension(16)?,
            Marker::Ext8 => self.sized_extension(Self::len8)?,
            Marker::Ext16 => self.sized_extension(Self::len16)?,
            Marker::Ext32 => self.sized_extension(Self::len32)?,
            Marker::Reserved => return Err(malformed("unknown type of value")),
        })
    }

    /// Takes `undefined` if it is next. Returns true if it was.
    pub(super) fn undefined(&mut self) -> Result<bool, DecodeError> {
        let next = self.rest.starts_with(&[Marker::FixExt1.to_u8(), 0]);
        if next {
            self.take(3)?;
        }
        Ok(next)
    }

    /// Skips a value of any depth.
    pub(super) fn skip(&mut self) -> Result<(), DecodeError> {
        let mut left = 1_u64;
        while left > 0 {
            left -= 1;
            match self.next()? {
                Value::Array(len) => left += u64::from(len),
                Value::Map(len) => left += 2 * u64::from(len),
                _ => {}
            }
        }
        Ok(())
    }

    fn take(&mut self, len: usize) -> Result<&'m [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(malformed("too short"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (bytes, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(malformed("too short"))?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn len8(&mut self) -> Result<u32, DecodeError> {
        Ok(u8::from_be_bytes(self.bytes()?).into())
    }

    fn len16(&mut self) -> Result<u32, DecodeError> {
        Ok(u16::from_be_bytes(self.bytes()?).into())
    }

    fn len32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.bytes()?))
    }

    fn sized(
        &mut self,
        len: fn(&mut Self) -> Result<u32, DecodeError>,
    ) -> Result<&'m [u8], DecodeError> {
        let len = len(self)?;
        self.take(len as usize)
    }

    fn extension(&mut self, len: usize) -> Result<(i8, &'m [u8]), DecodeError> {
        let kind = i8::from_be_bytes(self.bytes()?);
        Ok((kind, self.take(len)?))
    }

    fn fixed_extension(&mut self, len: usize) -> Result<Value<'m>, DecodeError> {
        let (kind, data) = self.extension(len)?;
        Ok(self.other(kind, data))
    }

    /// Reads an extension with a length of its own. Kind 0 is an `ArrayBuffer`, as `notepack.io` encodes it.
    fn sized_extension(
        &mut self,
        len: fn(&mut Self) -> Result<u32, DecodeError>,
    ) -> Result<Value<'m>, DecodeError> {
        let len = len(self)?;
        Ok(match self.extension(len as usize)? {
            (0, data) => Value::Binary(data),
            (kind, data) => self.other(kind, data),
        })
    }

    fn other(&self, kind: i8, data: &'m [u8]) -> Value<'m> {
        let millis = || {
            (self.timestamps && kind == -1)
                .then(|| timestamp(data))
                .flatten()
        };
        millis().map_or(Value::Extension(kind, data), Value::Date)
    }
}

/// Reads a timestamp of MessagePack, in milliseconds since 1970. Out of range, it becomes a date that JavaScript lacks.
fn timestamp(data: &[u8]) -> Option<i64> {
    const NANOS: u64 = 1_000_000;
    let (seconds, nanos) = match data.len() {
        4 => (u32::from_be_bytes(data.try_into().ok()?).into(), 0),
        8 => {
            let both = u64::from_be_bytes(data.try_into().ok()?);
            (i64::try_from(both & 0x3_ffff_ffff).ok()?, both >> 34)
        }
        12 => {
            let (nanos, seconds) = data.split_first_chunk()?;
            let seconds = i64::from_be_bytes(seconds.try_into().ok()?);
            (seconds, u32::from_be_bytes(*nanos).into())
        }
        _ => return None,
    };
    let millis = i64::try_from(nanos / NANOS).ok()?;
    Some(seconds.saturating_mul(1000).saturating_add(millis))
}
