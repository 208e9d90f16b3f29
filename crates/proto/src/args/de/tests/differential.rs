//! The reader of values with attachments, compared with serde_json on the same text.
//!
//! An attachment to which no placeholder refers makes the reader walk over arrays and objects itself.
#![expect(dead_code, reason = "values are compared by what is printed of them")]

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::Bytes;
use proptest::prelude::*;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::{Args, Binary, Rest, Surplus};

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
enum External {
    #[serde(rename = "a")]
    Unit,
    New(Option<u8>),
    Tuple(u8, String),
    Struct {
        a: i8,
        #[serde(default)]
        b: Vec<u8>,
    },
}

#[derive(Debug, Deserialize)]
#[serde(tag = "a")]
enum Internal {
    #[serde(rename = "x")]
    X {
        b: u8,
    },
    Y(BTreeMap<String, Value>),
    Unit,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "a", content = "b")]
enum Adjacent {
    #[serde(rename = "x")]
    X(u8, u8),
    Y {
        c: Value,
    },
    Unit,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Unit,
    Byte(u8),
    Float(f64),
    Text(String),
    Pair(u8, u8),
    Fields { a: u8 },
    Any(Value),
}

#[derive(Debug, Deserialize)]
struct Flat {
    #[serde(default)]
    a: Option<Value>,
    #[serde(flatten)]
    inner: Option<Inner>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
struct Inner {
    b: u8,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Strict {
    a: u8,
    #[serde(default)]
    b: (),
}

#[derive(Debug, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
struct Newtype<T>(T);

#[derive(Debug, Deserialize)]
struct Pair<T>(T, T);

/// A type that handles every error, and reads on behind the value.
#[derive(Debug)]
struct Lenient<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(T::deserialize(deserializer).ok()))
    }
}

/// Reads a value as the only argument, with an attachment.
fn here<T: DeserializeOwned>(json: &str) -> Option<T> {
    let args = Args::new(
        format!("[{json}]").into(),
        vec![Bytes::from_static(b"unused")],
    );
    args.deserialize_one(Surplus::Refused).ok()
}

/// Asserts that a value is read as without attachments, and as serde_json reads it.
fn same<T: DeserializeOwned + Debug>(json: &str) {
    let kind = std::any::type_name::<T>();
    let expected = serde_json::from_str::<T>(json);
    let plain = Args::new(format!("[{json}]").into(), Vec::new());
    let plain = plain.deserialize_one::<T>(Surplus::Refused);
    let (here, expected) = (
        format!("{:?}", here::<T>(json)),
        format!("{:?}", expected.ok()),
    );
    assert_eq!(here, expected, "with an attachment: {json} as {kind}");
    assert_eq!(format!("{:?}", plain.ok()), expected, "{json} as {kind}");
}

/// Asserts that a type that handles errors is read as without attachments. serde_json does not go on after an error.
fn lenient<T: DeserializeOwned + Debug>(json: &str) {
    let plain = Args::new(format!("[{json}]").into(), Vec::new());
    let plain = plain.deserialize_one::<Lenient<T>>(Surplus::Refused).ok();
    let kind = std::any::type_name::<T>();
    let here = here::<Lenient<T>>(json);
    assert_eq!(
        format!("{here:?}"),
        format!("{plain:?}"),
        "{json} as {kind}"
    );
}

macro_rules! all {
    ($check:ident, $json:expr; $($ty:ty),* $(,)?) => {
        $($check::<$ty>($json);)*
    };
}

fn same_in_all_types(json: &str) {
    same_with_boolean_keys(json);
    all!(same, json;
        Value, IgnoredAny, Box<RawValue>, Vec<Box<RawValue>>, BTreeMap<String, Box<RawValue>>,
        (), Unit, bool, char, String, Box<str>, u8, i8, u64, i64, u128, i128, f32, f64,
        Option<()>, Option<Option<u8>>, Option<Value>, Option<External>, Vec<Option<Value>>,
        Newtype<Value>, Newtype<Option<u8>>, Newtype<External>, Pair<Value>, Pair<Option<Newtype<u8>>>,
        (Value,), (u8, String), [u8; 2], Vec<u8>, Vec<Vec<Value>>, Rest<Value>, Vec<IgnoredAny>,
        External, Internal, Adjacent, Untagged, Flat, Strict, Inner,
        Vec<External>, Vec<Untagged>, Vec<Flat>, BTreeMap<String, Untagged>, BTreeMap<String, External>,
        BTreeMap<String, u8>, BTreeMap<u8, Value>, BTreeMap<i128, Value>, BTreeMap<u128, Value>, BTreeMap<char, Value>, BTreeMap<Option<u8>, Value>, BTreeMap<Newtype<i64>, Value>, BTreeMap<External, Value>,
        BTreeMap<Newtype<String>, IgnoredAny>, BTreeMap<Bytes, Value>, BTreeMap<(), Value>, Vec<(f64, Value)>,
        Bytes, Binary, Option<Binary>, Vec<Bytes>,
    );
}

/// Reads keys as booleans. serde_json 1.0.154 makes a text that is not UTF-8 of a key that begins with another
/// character.
fn same_with_boolean_keys(json: &str) {
    if json.is_ascii() {
        same::<BTreeMap<bool, Value>>(json);
    }
}

fn lenient_in_all_types(json: &str) {
    all!(lenient, json;
        u8, String, External, Strict, (u8, u8), Vec<u8>, Vec<External>, BTreeMap<u8, u8>, Internal, Untagged, Pair<u8>,
        BTreeMap<String, Vec<u8>>, Unit, Option<bool>,
    );
    all!(same_lenient, json; Vec<Lenient<u8>>, BTreeMap<String, Lenient<u8>>, Vec<Lenient<Vec<u8>>>,
        Vec<Lenient<External>>, BTreeMap<String, Lenient<External>>, Vec<Lenient<Strict>>);
}

/// Asserts that elements that handle their errors hide none but their own, if serde_json can say which.
fn same_lenient<T: DeserializeOwned + Debug>(json: &str) {
    let Ok(expected) = serde_json::from_str::<T>(json) else {
        return;
    };
    let here = here::<T>(json);
    let kind = std::any::type_name::<T>();
    assert_eq!(
        format!("{here:?}"),
        format!("{:?}", Some(expected)),
        "{json} as {kind}"
    );
}

#[test]
fn odd_texts_are_read_alike() {
    for json in [
        "null",
        "true",
        "1",
        "-1",
        "256",
        "1.0",
        "1e2",
        "1e999",
        "-0",
        "0.1",
        "340282366920938463463374607431768211455",
        "-170141183460469231731687303715884105728",
        r#""a""#,
        r#""""#,
        r#""\ud83d\ude00""#,
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        r#""\ud800\u0061""#,
        r#""\u0000""#,
        r#""\/\b\f""#,
        "\"\u{7f}\u{80}\u{ffff}\"",
        "[]",
        "[[]]",
        "[1]",
        "[1,2]",
        "[1,2,3]",
        r#"[1,"a"]"#,
        "[null,1]",
        "[ 1 , [ ] ]",
        "[[1,2],[3]]",
        r#"["a","x"]"#,
        r#"[{"a":1},{"a":"x"},"a"]"#,
        r#"[{"New":null},{"New":1},{"Tuple":[1,"a"]},"a"]"#,
        "{}",
        r#"{"a":1}"#,
        r#"{"a":"x","b":1}"#,
        r#"{"b":1,"a":"x"}"#,
        r#"{"a":"x","b":[1,2]}"#,
        r#"{"a":"Y"}"#,
        r#"{"a":"Y","b":{"c":[]}}"#,
        r#"{"a":"Unit"}"#,
        r#"{"a":"Unit","b":null}"#,
        r#"{"a":null}"#,
        r#"{"a":1,"b":null}"#,
        r#"{"a":1,"c":null}"#,
        r#"{"a":1,"a":2}"#,
        r#"{"b":1,"b":2}"#,
        r#"{"New":null}"#,
        r#"{"New":1}"#,
        r#"{"New":1,"x":2}"#,
        r#"{"New":300}"#,
        r#"{"Tuple":[1,"x"]}"#,
        r#"{"Tuple":[1]}"#,
        r#"{"Tuple":{"a":1}}"#,
        r#"{"Struct":{"a":1}}"#,
        r#"{"Struct":[1,[2]]}"#,
        r#"{"Struct":{"a":1,"b":[1,2],"c":{}}}"#,
        r#"{"a":{}}"#,
        r#"{"Ne\u0077":1}"#,
        r#"{"\u0061":1}"#,
        r#"{"1":2}"#,
        r#"{" 1":2}"#,
        r#"{"1 ":2}"#,
        r#"{"\u0031":2}"#,
        r#"{"-1":2}"#,
        r#"{"01":2}"#,
        r#"{"1.0":2}"#,
        r#"{"true":1}"#,
        r#"{" true":1}"#,
        r#"{"true ":1}"#,
        r#"{"null":1}"#,
        r#"{"":1}"#,
        r#"{"\ud800":1}"#,
        r#"{"\n":1}"#,
        r#"{"é":1}"#,
        r#"{"_placeholder":false,"num":0}"#,
        r#"{"num":0,"x":[{"_placeholder":1}]}"#,
    ] {
        same_in_all_types(json);
        lenient_in_all_types(json);
        same_in_all_types(&format!("[{json}]"));
        lenient_in_all_types(&format!("[{json},1,{json}]"));
        same_in_all_types(&format!("{{\"k\":{json}}}"));
        lenient_in_all_types(&format!("{{\"k\":{json},\"l\":1}}"));
        same_in_all_types(&format!("{{\"New\": {json} }}"));
        same_in_all_types(&format!("{{\"a\": \"Y\", \"b\" :{json} }}"));
    }
}

#[test]
fn a_type_that_handles_an_error_reads_on_behind_the_value() {
    let p0 = r#"{"_placeholder":true,"num":0}"#;
    for wrong in [
        "1.5".to_owned(),
        r#"[1,{"b":[]}]"#.to_owned(),
        r#"{"a":{"b":[1]},"c":2}"#.to_owned(),
        r#"{"New":[1,2]}"#.to_owned(),
        r#"{"New":1,"more":[{}]}"#.to_owned(),
        format!("[[{p0}]]"),
        p0.to_owned(),
    ] {
        let args = format!(r#"[[{wrong},"a"],{wrong},"b",{p0}]"#);
        let args = Args::new(args.into(), vec![Bytes::from_static(b"x")]);
        type All = (
            (Lenient<Newtype<External>>, String),
            Lenient<u8>,
            String,
            Binary,
        );
        let all: All = args.deserialize().unwrap();
        assert!(all.0.0.0.is_none() && all.1.0.is_none(), "{wrong}");
        assert_eq!(
            (&*all.0.1, &*all.2, &**all.3),
            ("a", "b", &b"x"[..]),
            "{wrong}"
        );
    }
    // The depth is that of the value, however many errors have been handled before.
    let many = format!("[{}]", vec!["[[1]]"; 1000].join(","));
    let many: Vec<Lenient<u8>> = here(&many).unwrap();
    assert!(many.iter().all(|one| one.0.is_none()));
}

#[test]
fn a_type_that_reads_nothing_takes_its_argument() {
    struct Blind;

    impl<'de> Deserialize<'de> for Blind {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Ok(Self)
        }
    }

    let args = Args::new("[1,[2],3]".into(), Vec::new());
    let (_, list, _, three): (Blind, Vec<u8>, Option<()>, u8) =
        Args::new("[1,[2],null,3]".into(), Vec::new())
            .deserialize()
            .unwrap();
    assert_eq!((list, three), (vec![2], 3));
    let (one, _, three): (u8, Blind, u8) = args.deserialize_with(Surplus::Refused).unwrap();
    assert_eq!((one, three), (1, 3));
    let (_, _, _, _): (Blind, Blind, Blind, Blind) = args.deserialize().unwrap();
    assert!(
        Args::new("[x,2]".into(), Vec::new())
            .deserialize::<(Blind, u8)>()
            .is_err()
    );
}

fn any_value() -> impl Strategy<Value = Value> {
    let key = || {
        prop_oneof![
            3 => prop::sample::select(vec!["a", "b", "c", "New", "Tuple", "Struct", "Unit", "1", "-1", "true", "num"])
                .prop_map(str::to_owned),
            1 => "[ -~é\\\\\"\u{0}-\u{1f}]{0,3}",
        ]
    };
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..300).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|float| json!(float)),
        key().prop_map(Value::from),
        prop::sample::select(vec!["x", "Y"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key(), inner, 0..4)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn all_values_are_read_alike(value in any_value(), pretty: bool) {
        let json = if pretty { format!("{value:#}") } else { value.to_string() };
        same_in_all_types(&json);
        lenient_in_all_types(&json);
    }
}
