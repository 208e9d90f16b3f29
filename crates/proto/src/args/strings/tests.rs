use std::fmt::Debug;

use bytestring::ByteString;
use proptest::prelude::*;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;
use crate::{Args, Binary, Rest};

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

/// A type that accepts any value and any error.
#[derive(Debug)]
struct Lenient<T>(#[allow(dead_code, reason = "for its Debug")] Result<T, String>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(
            T::deserialize(deserializer).map_err(|error| error.to_string()),
        ))
    }
}

/// A type that requests a number and accepts a text.
#[derive(Debug)]
struct Picky;

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl Visitor<'_> for Any {
            type Value = Picky;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_str<E>(self, _: &str) -> Result<Picky, E> {
                Ok(Picky)
            }
        }

        deserializer.deserialize_u64(Any)
    }
}

/// A type that reads nothing.
#[derive(Debug)]
struct Blind;

impl<'de> Deserialize<'de> for Blind {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Self)
    }
}

/// Reads a list twice: here and, after a space is added to it, by serde_json.
fn both<T: DeserializeOwned + Debug>(array: &str, named: bool) -> [String; 2] {
    [array.to_owned(), array.replacen('[', "[ ", 1)].map(|json| {
        let args = Args::in_packet(ByteString::from(json), 0, named);
        let one = args
            .deserialize_one::<T>()
            .map_err(|error| error.to_string());
        let all = args.deserialize::<T>().map_err(|error| error.to_string());
        // The errors of invalid JSON contain a position, which the space shifts.
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
        bytes::Bytes, Box<RawValue>, std::collections::HashMap<String, u8>, Rest<Option<Choice>>,
        Lenient<String>, (String, Lenient<bytes::Bytes>), Lenient<Box<RawValue>>, Lenient<Choice>, Picky, (Picky, Picky), Blind,
        (Blind, Blind)
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
    let strings = |array, named| Strings::of(array, named, &Cell::new(false)).is_some();
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
        // A damaged list has to fail alike.
        if let Some((before, after)) = array.split_at_checked(cut.min(array.len())) {
            assert_same(&[before, byte, after].concat());
        }
    }
}
