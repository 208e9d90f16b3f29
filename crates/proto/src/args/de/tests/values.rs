//! Values are read as serde_json reads them, which has no list of arguments.

use std::collections::HashMap;
use std::fmt::{self, Debug};

use proptest::prelude::*;
use serde::de::{DeserializeOwned, IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::args::de::{Args, ArgsError, check_json, without_place};
use crate::{Binary, Rest, Surplus};

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
struct Lenient<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(T::deserialize(deserializer).ok()))
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

/// Reads a value as the only argument, and with serde_json. Returns the results, or only that the text is malformed.
fn both<T: DeserializeOwned + Debug>(json: &str) -> [String; 2] {
    let well_formed = check_json(json).is_ok();
    let show = |result: Result<T, String>| match result {
        Err(_) if !well_formed => "malformed".to_owned(),
        Err(error) if ["trailing characters", "expected ','"].contains(&&*error) => {
            "unread".to_owned()
        }
        result => format!("{result:?}"),
    };
    let args = Args::new(format!("[{json}]").into(), Vec::new());
    let read = args
        .deserialize_one::<T>(Surplus::Refused)
        .map_err(|error| match error {
            ArgsError::Mismatch { message, .. } => message,
            ArgsError::Malformed(error) => error.to_string(),
        });
    let expected = serde_json::from_str::<T>(json).map_err(|error| without_place(&error));
    [show(read), show(expected)]
}

macro_rules! assert_same {
    ($json:expr, $($ty:ty),*) => {$(
        let [read, expected] = both::<$ty>($json);
        assert_eq!(read, expected, "{} as {}", $json, stringify!($ty));
    )*};
}

/// Asserts that a type that handles errors gets the same value, if serde_json goes on after the error.
macro_rules! assert_handled {
    ($json:expr, $($ty:ty),*) => {$(
        let [read, expected] = both::<$ty>($json);
        if expected != "unread" && check_json($json).is_ok() {
            assert_eq!(read, expected, "{} as {}", $json, stringify!($ty));
        }
    )*};
}

fn assert_same(json: &str) {
    assert_same!(
        json, String, Box<str>, (String,), (String, u8), Option<String>, Value, Vec<Value>, Rest<String>, Choice,
        Newtype, Untagged, (Newtype, Choice), char, u8, f64, (), bool, Vec<u8>, Binary, bytes::Bytes, Box<RawValue>,
        HashMap<String, u8>, Option<Choice>, IgnoredAny, Picky
    );
    assert_handled!(
        json,
        Lenient<String>,
        Lenient<u8>,
        Lenient<bool>,
        Lenient<bytes::Bytes>,
        Lenient<Box<RawValue>>,
        Lenient<Choice>,
        Lenient<Vec<u8>>
    );
}

#[test]
fn values_are_read_as_serde_json_reads_them() {
    for json in [
        r#""a""#,
        r#""""#,
        r#""é😀 '/""#,
        r#""a\"b""#,
        r#""e\\""#,
        r#""\ud83d\ude00""#,
        r#""\ud800""#,
        r#""\x""#,
        r#" "a" "#,
        r#""a"x"#,
        r#""a""b""#,
        r#""a"#,
        r#"""#,
        "\"a\nb\"",
        "\"a\u{7f}b\"",
        "\"a\u{0}b\"",
        "1",
        " -1.5e3 ",
        "256",
        "01",
        "1x",
        "null",
        "nul",
        "true",
        "truee",
        "",
        " ",
        ",",
        "]",
        "{}",
        r#"{"a":1}"#,
        r#" { "a" : [1, "]"] } "#,
        r#"{"B":1}"#,
        r#"{"B":1"#,
        r#"{"B":1}]"#,
        r#"{"B":1}x"#,
        r#"{"_placeholder":true,"num":0}"#,
        "[]",
        r#"["a"]"#,
        r#"["a",1]"#,
        r#"["a",1]]"#,
        r#"["a""#,
        "[1,2",
    ] {
        assert_same(json);
    }
}

#[test]
fn values_are_read_one_after_the_other() {
    let args = Args::of_event(
        r#"["e\n" , "a","\u00e9", [1,[2]] ,{"]":"["},-1,null,{"k":[]} ] "#.into(),
        0,
    );
    type All = (
        String,
        char,
        Value,
        Value,
        i8,
        Option<u8>,
        HashMap<String, Vec<u8>>,
    );
    let all: All = args.deserialize().unwrap();
    assert_eq!((&*all.0, all.1, all.4, all.5), ("a", '\u{e9}', -1, None));
    assert_eq!((all.2, all.3), (json!([1, [2]]), json!({"]": "["})));
    assert!(all.6["k"].is_empty());
    let Rest(rest) = args.deserialize::<Rest<Value>>().unwrap();
    assert_eq!(rest.len(), 7);
}

#[test]
fn a_type_that_handles_errors_cannot_hide_malformed_json() {
    type Two = (Lenient<u8>, String);
    let read = |array: &'static str| Args::new(array.into(), Vec::new()).deserialize::<Two>();
    for array in [
        r#"["x","a"]"#,
        r#"[1.5,"a"]"#,
        r#"[null,"a"]"#,
        r#"[[1,{}],"a"]"#,
        r#"["\ud800","a"]"#,
    ] {
        let (number, text) = read(array).unwrap();
        assert!(number.0.is_none() && text == "a", "{array}");
    }
    for array in [
        r#"["\x","a"]"#,
        r#"[1x,"a"]"#,
        r#"[nul,"a"]"#,
        r#"[["\x"],"a"]"#,
    ] {
        assert!(
            matches!(read(array), Err(ArgsError::Malformed(_))),
            "{array}"
        );
    }
    let args = Args::new(r#"["a"]"#.into(), Vec::new());
    assert!(args.deserialize::<Blind>().is_ok());
    let refused = args.deserialize_with::<Blind>(Surplus::Refused);
    assert!(matches!(refused, Err(ArgsError::Mismatch { .. })));
}

proptest! {
    #[test]
    fn any_values_are_read_as_serde_json_reads_them(
        strings in prop::collection::vec("[ -~é\u{1F600}\\\\\"\u{0}-\u{1f}]{0,40}", 1..4),
        cut in 0_usize..200,
        byte in prop::sample::select(vec!["", "\"", "\\", ",", "]", "x", " "]),
    ) {
        for json in [
            serde_json::to_string(&strings[0]).unwrap(),
            serde_json::to_string(&strings).unwrap(),
            json!({"B": strings, "k": 1.5}).to_string(),
        ] {
            assert_same(&json);
            // A damaged value has to fail alike.
            if let Some((before, after)) = json.split_at_checked(cut.min(json.len())) {
                let damaged = [before, byte, after].concat();
                // Several values are too many arguments, and no comma may follow the only one.
                if check_json(&damaged).is_ok() || !damaged.contains(',') {
                    assert_same(&damaged);
                }
            }
        }
    }

    #[test]
    fn a_malformed_list_is_never_read(
        elements in prop::collection::vec(
            r#""[a-z\\]{0,3}"|-?[0-9]{1,2}(\.[0-9])?|null|tru?e|\[[0-9,]{0,4}\]|\{("a":[0-9])?\}| |x|"#, 0..5,
        ),
        separator in prop::sample::select(vec![",", ",", " , ", ",,", "", ":"]),
        end in prop::sample::select(vec!["]", "]", " ] ", "]]", "", "]x", "}"]),
        named: bool,
    ) {
        let array = format!("[{}{end}", elements.join(separator));
        let expected: Result<Vec<Value>, _> = serde_json::from_str(&array);
        let args = if named {
            Args::of_event(array.clone().into(), 0)
        } else {
            Args::of_ack(array.clone().into(), 0)
        };
        match (args.deserialize::<Rest<Value>>(), expected) {
            (Ok(Rest(read)), Ok(mut expected)) => {
                if named && !expected.is_empty() {
                    expected.remove(0);
                }
                prop_assert_eq!(read, expected, "{}", array);
            }
            (Err(ArgsError::Malformed(_)), Err(_)) => {}
            (read, expected) => prop_assert!(false, "{array}: {read:?} and {expected:?}"),
        }
        let well_formed = check_json(&array).is_ok();
        for result in [
            args.deserialize::<(Value, Option<Value>)>().map(drop),
            args.deserialize::<Value>().map(drop),
            args.deserialize::<(String, Rest<IgnoredAny>)>().map(drop),
            args.deserialize::<(Lenient<u8>, Lenient<Vec<u8>>)>().map(drop),
            args.deserialize::<Rest<Lenient<HashMap<String, u8>>>>().map(drop),
            args.deserialize::<Box<RawValue>>().map(drop),
            args.deserialize::<()>(),
        ] {
            let malformed = matches!(result, Err(ArgsError::Malformed(_)));
            prop_assert_eq!(malformed, !well_formed, "{}", array);
        }
    }
}
