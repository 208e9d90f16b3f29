//! A list of arguments that are all strings without escapes: most events are a name and a text or two.
//!
//! Such strings are found many bytes at a time and handed out as they stand. Whatever is not so, or does not fit the type that is
//! asked for, serde_json reads from the beginning, and it is its error that is told.

use std::fmt;

use memchr::memchr2;
use serde::de::{
    self, DeserializeSeed, Deserializer, SeqAccess, Visitor, value::BorrowedStrDeserializer,
};
use serde::forward_to_deserialize_any;

/// It is not what this reads.
#[derive(Debug)]
pub(super) struct NotPlain;

/// A JSON array.
pub(super) struct Strings<'de> {
    /// Behind the bracket, or the last element.
    rest: &'de str,
    first: bool,
}

impl<'de> Strings<'de> {
    /// Nothing if a look at both ends of the array says that something in it is no string.
    pub(super) fn of(array: &'de str, named: bool) -> Option<Self> {
        let rest = array.strip_prefix('[')?;
        if !rest.ends_with("\"]") {
            return None;
        }
        let mut strings = Self { rest, first: true };
        if named {
            strings.next().ok()??;
        }
        (strings.rest.starts_with(",\"") || !named).then_some(strings)
    }

    fn next(&mut self) -> Result<Option<&'de str>, NotPlain> {
        let rest = match self.rest.strip_prefix(',') {
            Some(rest) if !self.first => rest,
            None if self.first => self.rest,
            None if self.rest == "]" => return Ok(None),
            _ => return Err(NotPlain),
        };
        let text = rest.strip_prefix('"').ok_or(NotPlain)?;
        let (string, rest) = plain(text)
            .and_then(|len| text.split_at_checked(len))
            .ok_or(NotPlain)?;
        self.rest = rest.strip_prefix('"').ok_or(NotPlain)?;
        self.first = false;
        Ok(Some(string))
    }
}

/// Whether a string needs no escapes in JSON: then it is copied as it is.
pub(super) fn is_plain(text: &str) -> bool {
    plain(text) == Some(text.len())
}

/// How much of a text is before its first quote or backslash. Nothing if there is a control character in that.
fn plain(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let len = memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
    // To the end, so that it becomes a few wide instructions.
    let least = bytes.get(..len)?.iter().copied().fold(u8::MAX, u8::min);
    (least >= b' ').then_some(len)
}

impl<'de> Deserializer<'de> for Strings<'de> {
    type Error = NotPlain;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_seq(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> SeqAccess<'de> for Strings<'de> {
    type Error = NotPlain;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, NotPlain> {
        let string = self.next()?;
        string
            .map(|string| seed.deserialize(One(string)))
            .transpose()
    }
}

/// One string.
struct One<'de>(&'de str);

impl<'de> Deserializer<'de> for One<'de> {
    type Error = NotPlain;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_some(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, NotPlain> {
        // By such names types ask for more than serde knows of: raw JSON, attachments.
        if name.starts_with('$') {
            return Err(NotPlain);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NotPlain> {
        visitor.visit_enum(BorrowedStrDeserializer::new(self.0))
    }

    /// What JSON's strings are read as besides.
    fn deserialize_bytes<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NotPlain> {
        Err(NotPlain)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NotPlain> {
        Err(NotPlain)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string unit unit_struct seq tuple tuple_struct map struct
        identifier
    }
}

impl de::Error for NotPlain {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl std::error::Error for NotPlain {}

impl fmt::Display for NotPlain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no plain string")
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use bytestring::ByteString;
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde::de::DeserializeOwned;
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;
    use crate::protocol::{Args, Binary, Rest};

    #[derive(Debug, PartialEq, Deserialize)]
    enum Choice {
        #[serde(rename = "a")]
        A,
        B(u8),
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Newtype(String);

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(u8),
        Text(String),
    }

    /// The same list, read here and, with a space in it, by serde_json.
    fn both<T: DeserializeOwned + Debug>(array: &str, named: bool) -> [String; 2] {
        [array.to_owned(), array.replacen('[', "[ ", 1)].map(|json| {
            let args = Args::in_packet(ByteString::from(json), 0, named);
            let one = args
                .deserialize_one::<T>()
                .map_err(|error| error.to_string());
            let all = args.deserialize::<T>().map_err(|error| error.to_string());
            // What is no JSON is told with its place.
            format!("{one:?} {all:?}").replace(char::is_numeric, "")
        })
    }

    macro_rules! assert_same {
        ($array:expr, $($ty:ty),*) => {$(
            for named in [false, true] {
                let [here, there] = both::<$ty>($array, named);
                assert_eq!(here, there, "{} as {}", $array, stringify!($ty));
            }
        )*};
    }

    fn assert_same(array: &str) {
        assert_same!(
            array, String, Box<str>, (String,), (String, String), (String, Option<String>),
            Option<String>, Value, Vec<Value>, Rest<String>, (String, Rest<Value>), Choice,
            Newtype, Untagged, (Newtype, Choice), char, u8, (), bool, Vec<u8>, Binary,
            bytes::Bytes, Box<RawValue>, std::collections::HashMap<String, u8>, Rest<Option<Choice>>
        );
    }

    #[test]
    fn lists_are_read_as_serde_json_reads_them() {
        for array in [
            r#"["a"]"#,
            r#"["e","a"]"#,
            r#"["e","a","b"]"#,
            r#"["e","é😀 '/"]"#,
            r#"["e",""]"#,
            r#"["e","a\"b"]"#,
            r#"["e\\","a"]"#,
            r#"["e","\ud83d\ude00","\ud800"]"#,
            r#"["e",1,"a"]"#,
            r#"["e","a",{"b":"c"},"d"]"#,
            r#"["e","a" ,"b"]"#,
            r#"["e","a"]]"#,
            r#"["e","a"x"b"]"#,
            r#"["e","a",]"#,
            r#"["e",,"a"]"#,
            r#"["e","a""b"]"#,
            r#"[,"a"]"#,
            r#"["]"#,
            r#"[""]"#,
            "[]",
            "[\"e\",\"a\nb\"]",
            "[\"e\",\"a\u{7f}\u{0}b\"]",
        ] {
            assert_same(array);
        }
    }

    #[test]
    fn what_is_plain_is_read_here() {
        let strings = |array, named| Strings::of(array, named).is_some();
        assert!(strings(r#"["e","a"]"#, true) && strings(r#"["a"]"#, false));
        assert!(!strings(r#"["e"]"#, true) && !strings(r#"["e",{"a":"b"}]"#, true));
    }

    proptest! {
        #[test]
        fn any_strings_are_read_as_serde_json_reads_them(
            strings in prop::collection::vec("[ -~é\u{1F600}\\\\\"\u{0}-\u{1f}]{0,40}", 0..4),
            cut in 0_usize..200,
            byte in prop::sample::select(vec!["", "\"", "\\", ",", "]", "x", " "]),
        ) {
            let array = serde_json::to_string(&strings).unwrap();
            assert_same(&array);
            // And what is broken somewhere is as broken.
            if let Some((before, after)) = array.split_at_checked(cut.min(array.len())) {
                assert_same(&[before, byte, after].concat());
            }
        }
    }
}
