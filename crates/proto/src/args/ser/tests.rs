use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::Rest;

fn event<T: Serialize>(args: T) -> String {
    EncodedArgs::event("e", &args).unwrap().json().to_owned()
}

fn ack<T: Serialize>(args: T) -> String {
    EncodedArgs::ack(&args).unwrap().json().to_owned()
}

#[derive(Serialize)]
struct Unit;

#[derive(Serialize)]
struct Newtype((u8, u8));

#[derive(Serialize)]
struct Pair(u8, &'static str);

#[derive(Serialize)]
struct Fields {
    a: u8,
    b: Option<u8>,
}

#[derive(Serialize)]
enum Choice {
    Unit,
    New(u8),
    Tuple(u8, u8),
    Struct { a: u8 },
}

#[test]
fn a_tuple_is_several_arguments_and_unit_is_none() {
    assert_eq!(event(()), r#"["e"]"#);
    assert_eq!(ack(()), "[]");
    assert_eq!(event((1, "two", [3])), r#"["e",1,"two",[3]]"#);
    assert_eq!(ack((1, "two", ())), r#"[1,"two",null]"#);
    assert_eq!(ack((1,)), "[1]");
    assert_eq!(ack([1, 2]), "[1,2]");
    assert_eq!(
        ack(serde_json::Value::Null),
        "[]",
        "serde reports it as a unit"
    );
    assert_eq!(ack(Box::new(&(1, 2))), "[1,2]");
}

#[test]
fn everything_else_is_one_argument() {
    assert_eq!(event("x"), r#"["e","x"]"#);
    assert_eq!(ack(String::from("\u{1F600}\"")), "[\"\u{1F600}\\\"\"]");
    assert_eq!(ack(vec![1, 2]), "[[1,2]]");
    assert_eq!(ack(Vec::<u8>::new()), "[[]]");
    assert_eq!(ack(&[1, 2][..]), "[[1,2]]");
    assert_eq!(ack(BTreeMap::from([("k", 1)])), r#"[{"k":1}]"#);
    assert_eq!(ack(Fields { a: 1, b: None }), r#"[{"a":1,"b":null}]"#);
    assert_eq!(ack(None::<u8>), "[null]");
    assert_eq!(ack(Some((1, 2))), "[[1,2]]");
    assert_eq!(ack(Newtype((1, 2))), "[[1,2]]");
    assert_eq!(ack(Unit), "[null]");
    assert_eq!(ack(Pair(1, "x")), r#"[[1,"x"]]"#);
    assert_eq!(ack('x'), r#"["x"]"#);
    assert_eq!(ack(true), "[true]");
    assert_eq!(ack(format_args!("{}-{}", 1, 2)), r#"["1-2"]"#);
    assert_eq!(ack(Choice::Unit), r#"["Unit"]"#);
    assert_eq!(ack(Choice::New(1)), r#"[{"New":1}]"#);
    assert_eq!(ack(Choice::Tuple(1, 2)), r#"[{"Tuple":[1,2]}]"#);
    assert_eq!(ack(Choice::Struct { a: 1 }), r#"[{"Struct":{"a":1}}]"#);
    let raw: &RawValue = serde_json::from_str("[1, 2]").unwrap();
    assert_eq!(ack(raw), "[[1, 2]]");
}

#[test]
fn the_rest_is_as_many_arguments_as_it_holds() {
    assert_eq!(event(Rest(vec![1, 2])), r#"["e",1,2]"#);
    assert_eq!(event(Rest::<u8>(vec![])), r#"["e"]"#);
    assert_eq!(ack((0, Rest(vec![1, 2]))), "[0,1,2]");
    assert_eq!(ack((0, Rest::<u8>(vec![]))), "[0]");
    assert_eq!(ack(Rest(vec![(1, 2), (3, 4)])), "[[1,2],[3,4]]");
    assert_eq!(ack(Rest(vec![()])), "[null]");
    assert_eq!(ack((vec![Rest(vec![1])],)), "[[[1]]]");
    let one = |args: &Rest<u8>| EncodedArgs::ack_of_one(args).unwrap();
    assert_eq!(one(&Rest(vec![1, 2])).json(), "[[1,2]]");
    assert_eq!(serde_json::to_string(&Rest(vec![1, 2])).unwrap(), "[1,2]");
}

#[test]
fn numbers_are_written_as_javascript_reads_them() {
    assert_eq!(
        ack((i8::MIN, i16::MIN, i32::MIN, i64::MIN)),
        "[-128,-32768,-2147483648,-9223372036854775808]"
    );
    assert_eq!(ack(u64::MAX), "[18446744073709551615]");
    assert_eq!(ack((1_i128, 1_u128)), "[1,1]");
    assert_eq!(ack(1.5_f32), "[1.5]");
    assert_eq!(ack(f64::NAN), "[null]");
    assert_eq!(ack((f64::INFINITY, f32::NEG_INFINITY)), "[null,null]");
}

#[test]
fn bytes_become_attachments_depth_first() {
    #[derive(Serialize)]
    struct Photo<'a> {
        first: Bytes,
        nested: Vec<Option<Bytes>>,
        list: Vec<u8>,
        last: (&'a str, Bytes),
    }
    let photo = Photo {
        first: Bytes::from_static(b"0"),
        nested: vec![None, Some(Bytes::from_static(b"1"))],
        list: vec![1],
        last: ("x", Bytes::from_static(b"2")),
    };
    let args = EncodedArgs::event("photo", &(&photo, Bytes::from_static(b"3"))).unwrap();
    assert_eq!(
        args.json(),
        concat!(
            r#"["photo",{"first":{"_placeholder":true,"num":0},"#,
            r#""nested":[null,{"_placeholder":true,"num":1}],"list":[1],"#,
            r#""last":["x",{"_placeholder":true,"num":2}]},{"_placeholder":true,"num":3}]"#
        )
    );
    assert_eq!(args.attachments(), ["0", "1", "2", "3"]);
}

#[test]
fn bytes_alone_are_one_argument() {
    let args = EncodedArgs::ack(&Bytes::from_static(b"x")).unwrap();
    assert_eq!(args.json(), r#"[{"_placeholder":true,"num":0}]"#);
    assert_eq!(args.attachments(), ["x"]);
}

proptest! {
    #[test]
    fn a_string_is_written_as_serde_json_writes_it(
        text in "[ -~\\u{0}-\\u{1f}é\u{1F600}\"\\\\]{0,80}",
        plain in "[a-z]{0,100}",
    ) {
        for text in [&text, &plain, &format!("{plain}{text}")] {
            let expected = serde_json::to_string(&("e", text)).unwrap();
            prop_assert_eq!(event(text), expected);
        }
    }
}

#[test]
fn an_argument_is_added_at_the_end() {
    let mut args = EncodedArgs::ack(&()).unwrap();
    args.push("a").unwrap();
    args.push(&(1, 2)).unwrap();
    args.push(&Bytes::from_static(b"x")).unwrap();
    assert_eq!(args.json(), r#"["a",[1,2],{"_placeholder":true,"num":0}]"#);

    let broken = BTreeMap::from([(vec![Bytes::from_static(b"y")], 1)]);
    let error = args.push(&(Bytes::from_static(b"z"), broken)).unwrap_err();
    assert!(matches!(error, EncodeError::Json(_)));
    assert_eq!(args.json(), r#"["a",[1,2],{"_placeholder":true,"num":0}]"#);
    assert_eq!(args.attachments(), ["x"]);
}

#[test]
fn values_without_a_json_form_are_errors() {
    let odd_keys = BTreeMap::from([(vec![1], 1)]);
    let error = EncodedArgs::ack(&odd_keys).unwrap_err();
    assert!(matches!(error, EncodeError::Json(_)));
    assert_eq!(error.to_string(), "cannot serialize the arguments");
}

#[test]
fn reserved_names_are_not_sent() {
    let error = EncodedArgs::event("disconnect", &()).unwrap_err();
    assert!(matches!(error, EncodeError::ReservedEvent("disconnect")));
    assert_eq!(error.to_string(), r#"reserved event name "disconnect""#);
}
