//! Lists of arguments without attachments.

use std::collections::BTreeMap;

use bytestring::ByteString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::Rest;
use crate::args::de::{Args, ArgsError, Surplus};

fn event(array: &'static str) -> Args {
    Args::of_event(ByteString::from_static(array), 0)
}

fn ack(array: &'static str) -> Args {
    Args::new(ByteString::from_static(array), Vec::new())
}

/// Returns the message of the error. Panics on success.
fn refusal<T: DeserializeOwned + std::fmt::Debug>(array: &'static str) -> String {
    match ack(array)
        .deserialize_with::<T>(Surplus::Refused)
        .unwrap_err()
    {
        ArgsError::Malformed(error) => panic!("{error}"),
        mismatch @ ArgsError::Mismatch { .. } => mismatch.to_string(),
    }
}

#[derive(Debug, PartialEq, Deserialize)]
struct Fields {
    a: u8,
    b: Option<u8>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Pair(u8, String);

#[derive(Debug, PartialEq, Deserialize)]
struct Newtype((u8, u8));

#[derive(Debug, PartialEq, Deserialize)]
#[serde(transparent)]
struct Transparent((u8, u8));

#[derive(Debug, PartialEq, Deserialize)]
struct Unit;

#[test]
fn a_tuple_is_the_list_of_arguments() {
    let args = event(r#"["e", 1, "x"]"#);
    assert_eq!(args.deserialize(), Ok((1, String::from("x"))));
    assert_eq!(ack("[1,2]").deserialize(), Ok([1, 2]));
    assert_eq!(ack("[1,2]").deserialize(), Ok(Transparent((1, 2))));
    assert_eq!(ack("[[1,2]]").deserialize(), Ok(((1, 2),)));
    assert_eq!(event(r#"["e"]"#).deserialize(), Ok(()));
    assert_eq!(ack(" [ ] ").deserialize(), Ok(()));
}

#[test]
fn anything_else_is_the_only_argument() {
    let fields = Fields { a: 1, b: None };
    assert_eq!(event(r#"["e",{"a":1,"c":[{}]}]"#).deserialize(), Ok(fields));
    assert_eq!(ack(r#"["x"]"#).deserialize(), Ok(String::from("x")));
    assert_eq!(ack("[[1,2]]").deserialize(), Ok(vec![1, 2]));
    assert_eq!(ack("[[1,2]]").deserialize(), Ok(Newtype((1, 2))));
    assert_eq!(ack("[null]").deserialize(), Ok(Unit));
    assert_eq!(
        ack(r#"[[1,"x"]]"#).deserialize(),
        Ok(Pair(1, "x".into())),
        "a tuple struct is a value with a name"
    );
    assert_eq!(ack("[1.5]").deserialize(), Ok(1.5));
    assert_eq!(ack("[true]").deserialize(), Ok(true));
    assert_eq!(
        ack(r#"[{"k":1}]"#).deserialize(),
        Ok(BTreeMap::from([("k".to_owned(), 1)]))
    );
    assert_eq!(ack(r#"[{"k":[]}]"#).deserialize(), Ok(json!({"k": []})));
    let raw: Box<RawValue> = ack("[ {\"k\" : 1} ]").deserialize().unwrap();
    assert_eq!(raw.get(), "{\"k\" : 1}");
}

#[test]
fn missing_arguments_may_be_optional() {
    assert_eq!(ack("[1]").deserialize(), Ok((1, None::<u8>, None::<u8>)));
    assert_eq!(
        ack("[1,null,2]").deserialize(),
        Ok((1, None::<u8>, Some(2)))
    );
    assert_eq!(ack("[]").deserialize(), Ok(None::<u8>));
    assert_eq!(ack("[null]").deserialize(), Ok(None::<u8>));
    assert_eq!(ack("[1]").deserialize(), Ok(Some(1)));
    assert_eq!(ack("[[1,2]]").deserialize(), Ok(Some((1, 2))));
    assert_eq!(refusal::<(u8, u8)>("[1]"), "expected 2 arguments, got 1");
    assert_eq!(refusal::<(u8, Value)>("[1]"), "expected 2 arguments, got 1");
    assert_eq!(refusal::<String>("[]"), "expected 1 argument, got 0");
    assert_eq!(refusal::<Newtype>("[]"), "expected 1 argument, got 0");
}

#[test]
fn surplus_arguments_are_ignored_or_refused() {
    assert_eq!(ack(r#"[1,"x",{}]"#).deserialize(), Ok(1));
    assert_eq!(ack("[1,2,3]").deserialize(), Ok((1, 2)));
    assert_eq!(ack("[1,2]").deserialize(), Ok(()));
    assert_eq!(ack("[1,2]").deserialize(), Ok(Some(1)));
    assert_eq!(
        ack("[[1,2],3]").deserialize_one(Surplus::Ignored),
        Ok((1, 2))
    );
    let malformed = ack("[1,}]").deserialize::<u8>().unwrap_err();
    assert!(matches!(malformed, ArgsError::Malformed(_)), "{malformed}");
    assert_eq!(refusal::<u8>("[1,2]"), "expected 1 argument, got 2");
    assert_eq!(refusal::<(u8,)>("[1,2,3]"), "expected 1 argument, got 3");
    assert_eq!(refusal::<()>("[1,2]"), "expected 0 arguments, got 2");
    assert_eq!(refusal::<Option<u8>>("[1,2]"), "expected 1 argument, got 2");
}

#[test]
fn the_rest_takes_what_remains() {
    assert_eq!(
        event(r#"["e",1,2,3]"#).deserialize(),
        Ok((1, Rest(vec![2, 3])))
    );
    assert_eq!(ack("[1]").deserialize(), Ok((1, Rest::<u8>(vec![]))));
    assert_eq!(ack("[1,2]").deserialize(), Ok(Rest(vec![1, 2])));
    assert_eq!(ack("[]").deserialize(), Ok(Rest::<u8>(vec![])));
    assert_eq!(
        ack("[1]").deserialize(),
        Ok((1, None::<u8>, Rest::<u8>(vec![])))
    );
    assert_eq!(
        refusal::<(u8, Rest<u8>)>(r#"[1,2,"x"]"#),
        r#"invalid type: string "x", expected u8 at argument 3"#
    );
    assert_eq!(
        serde_json::from_str::<Rest<u8>>("[1]").unwrap(),
        Rest(vec![1])
    );
}

#[test]
fn one_argument_is_one_even_for_a_tuple() {
    assert_eq!(
        event(r#"["e",[1,2]]"#).deserialize_one(Surplus::Refused),
        Ok((1, 2))
    );
    assert_eq!(ack("[null]").deserialize_one(Surplus::Refused), Ok(()));
    assert_eq!(
        ack("[[1]]").deserialize_one(Surplus::Refused),
        Ok(Rest(vec![1]))
    );
    let error = ack("[]")
        .deserialize_one::<Option<u8>>(Surplus::Refused)
        .unwrap_err();
    assert_eq!(error.to_string(), "expected 1 argument, got 0");
    let error = ack("[1,2]")
        .deserialize_one::<(u8, u8)>(Surplus::Refused)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid type: integer `1`, expected a tuple of size 2 at argument 1"
    );
    let error = ack("[[1,2],3]")
        .deserialize_one::<(u8, u8)>(Surplus::Refused)
        .unwrap_err();
    assert_eq!(error.to_string(), "expected 1 argument, got 2");
}

#[test]
fn a_mismatch_names_the_argument() {
    assert_eq!(
        ack("[5]").deserialize::<String>(),
        Err(ArgsError::Mismatch {
            argument: Some(1),
            message: "invalid type: integer `5`, expected a string".to_owned(),
        })
    );
    assert_eq!(
        refusal::<(u8, Fields)>(r#"[1,{"b":1}]"#),
        "missing field `a` at argument 2"
    );
    assert_eq!(
        refusal::<(u8, u8)>("[1,256]"),
        "invalid value: integer `256`, expected u8 at argument 2"
    );
    assert_eq!(
        refusal::<Rest<u8>>(r#"{"a":1}"#),
        "expected a list of arguments"
    );
}

#[test]
fn malformed_json_differs_from_a_mismatch() {
    for array in [
        "",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[1]x",
        "[1 2]",
        "[01]",
        "[nul]",
        "[\"\t\"]",
        "[\"\\x\"]",
        "[{\"a\" 1}]",
        "[{\"a\":1,}]",
        "[{1:1}]",
        "[]]",
        "['a']",
        "[NaN]",
    ] {
        let args = ack(array);
        assert!(args.check().is_err(), "{array}");
        for error in [
            args.deserialize::<Value>().unwrap_err(),
            args.deserialize::<Rest<Value>>().unwrap_err(),
            args.deserialize::<Rest<String>>().unwrap_err(),
            args.deserialize_one::<Value>(Surplus::Refused).unwrap_err(),
            args.raw().unwrap_err(),
            args.count().unwrap_err(),
        ] {
            assert!(matches!(error, ArgsError::Malformed(_)), "{array}: {error}");
        }
    }
    let error = ack("[1").deserialize::<u8>().unwrap_err().to_string();
    assert!(error.starts_with("malformed JSON: "), "{error}");
}

#[test]
fn malformed_json_behind_the_arguments_is_found() {
    let args = ack(r#"[{"a":1,"ignored":[}]"#);
    assert!(matches!(
        args.deserialize::<Fields>(),
        Err(ArgsError::Malformed(_))
    ));
    let args = event(r#"["a\u00zz",1]"#);
    assert!(matches!(
        args.deserialize::<u8>(),
        Err(ArgsError::Malformed(_))
    ));
}

#[test]
fn json_that_browsers_accept_is_never_malformed() {
    let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
    let deep = Args::new(deep.into(), Vec::new());
    assert_eq!(deep.check(), Ok(()));
    let error = deep.deserialize::<Value>().unwrap_err().to_string();
    assert_eq!(error, "recursion limit exceeded at argument 1");

    assert_eq!(
        refusal::<f64>("[1e999]"),
        "number out of range at argument 1"
    );
    assert_eq!(
        refusal::<String>(r#"["\ud800"]"#),
        "unexpected end of hex escape at argument 1"
    );
    assert_eq!(
        refusal::<String>(r#"["\udc00"]"#),
        "lone leading surrogate in hex escape at argument 1"
    );
}

#[test]
fn raw_arguments_leave_the_name_out() {
    let args = event(r#"["e", {"a" : 1}, null]"#);
    assert_eq!(args.raw().unwrap(), [r#"{"a" : 1}"#, "null"]);
    assert_eq!(args.count(), Ok(2));
    assert_eq!(args.json(), r#"["e", {"a" : 1}, null]"#);
    assert_eq!(ack("[1]").raw().unwrap().len(), 1);
    assert_eq!(Args::none().count(), Ok(0));
    assert_eq!(Args::none().deserialize(), Ok(()));
}

#[test]
fn a_type_that_reads_on_and_on_comes_to_an_end() {
    struct Greedy;

    impl<'de> Deserialize<'de> for Greedy {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_tuple(2, Self)
        }
    }

    impl<'de> serde::de::Visitor<'de> for Greedy {
        type Value = Self;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("numbers")
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
            while seq.next_element::<Option<u8>>()?.is_some() {}
            Ok(self)
        }
    }

    assert!(ack("[1]").deserialize::<Greedy>().is_ok());
}
