//! Arguments with attachments.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use proptest::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};

use super::{Args, Binary, EncodedArgs, Rest, Surplus, check_placeholders};
use crate::DecodeError;

const ATTACHMENTS: [&[u8]; 3] = [b"zero", b"one", b"\xff"];
const ONE: Bytes = Bytes::from_static(b"one");
const NO_TEXT: Bytes = Bytes::from_static(b"\xff");

fn args(json: &str) -> Args {
    let attachments = ATTACHMENTS.map(Bytes::from_static).to_vec();
    Args::new(json.into(), attachments)
}

fn read<T: DeserializeOwned>(json: &str) -> T {
    args(json).deserialize().unwrap()
}

fn refusal<T: DeserializeOwned + std::fmt::Debug>(json: &str) -> String {
    args(json).deserialize::<T>().unwrap_err().to_string()
}

const P0: &str = r#"{"_placeholder":true,"num":0}"#;
const P1: &str = r#"{"_placeholder":true,"num":1}"#;
const P2: &str = r#"{"_placeholder":true,"num":2}"#;

/// Replaces `$0`, `$1` and `$2` in a text with placeholders.
fn fill(text: &str) -> String {
    text.replace("$0", P0).replace("$1", P1).replace("$2", P2)
}

#[test]
fn placeholders_are_bytes_wherever_bytes_are_wanted() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Photo {
        name: String,
        bytes: Bytes,
        thumbnail: Option<Bytes>,
        missing: Option<Bytes>,
        #[serde(default)]
        list: Vec<Bytes>,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct Wrapper(Bytes);

    let photo: Photo = read(&fill(
        r#"[{"name":"\u00e9","bytes":$0,"thumbnail":$1,"missing":null,"list":[$1,$0],"else":[$0,{"a":{}}]}]"#,
    ));
    assert_eq!(photo.name, "\u{e9}");
    assert_eq!(photo.bytes, "zero");
    assert_eq!(photo.thumbnail, Some(ONE));
    assert_eq!(photo.missing, None);
    assert_eq!(photo.list, ["one", "zero"]);

    assert_eq!(read::<Bytes>(&fill("[$1]")), "one");
    assert_eq!(read::<(u8, Bytes)>(&fill("[7,$1]")), (7, ONE));
    assert_eq!(
        read::<(u8, Rest<Bytes>)>(&fill("[7,$1,$1]")).1.0,
        [ONE, ONE]
    );
    assert_eq!(read::<Wrapper>(&fill("[$1]")), Wrapper(ONE));
    assert_eq!(
        read::<BTreeMap<String, Bytes>>(&fill(r#"[{"k":$1}]"#)),
        BTreeMap::from([("k".to_owned(), ONE)])
    );
    assert_eq!(
        args(&fill("[[$1,2]]")).deserialize_one(Surplus::Refused),
        Ok((ONE, 2))
    );
}

#[test]
fn enums_may_hold_bytes() {
    #[derive(Debug, PartialEq, Deserialize)]
    enum Choice {
        Unit,
        New(Bytes),
        Tuple(u8, Bytes),
        Struct { bytes: Bytes },
    }
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Text(String),
        Bytes(Bytes),
        Struct { num: u8, bytes: Bytes },
    }
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "type", content = "data")]
    enum Tagged {
        Bytes(Bytes),
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct Flat {
        #[serde(flatten)]
        others: HashMap<String, Untagged>,
    }

    assert_eq!(read::<Choice>(r#"["Unit"]"#), Choice::Unit);
    assert_eq!(read::<Choice>(r#"[{"Unit":null}]"#), Choice::Unit);
    assert_eq!(read::<Choice>(&fill(r#"[{"New":$1}]"#)), Choice::New(ONE));
    assert_eq!(
        read::<Choice>(&fill(r#"[{ "Tuple" : [1,$1] }]"#)),
        Choice::Tuple(1, ONE)
    );
    assert_eq!(
        read::<Choice>(&fill(r#"[{"Struct":{"bytes":$1}}]"#)),
        Choice::Struct { bytes: ONE }
    );
    assert_eq!(read::<Untagged>(r#"["x"]"#), Untagged::Text("x".into()));
    // Bytes that are valid UTF-8 would be read as text here, because serde cannot tell them apart.
    assert_eq!(read::<Untagged>(&fill("[$2]")), Untagged::Bytes(NO_TEXT));
    assert_eq!(
        read::<Untagged>(&fill(r#"[{"num":1,"bytes":$1}]"#)),
        Untagged::Struct { num: 1, bytes: ONE }
    );
    assert_eq!(
        read::<Tagged>(&fill(r#"[{"type":"Bytes","data":$1}]"#)),
        Tagged::Bytes(ONE)
    );
    assert_eq!(
        read::<Tagged>(&fill(r#"[{"data":$1,"type":"Bytes"}]"#)),
        Tagged::Bytes(ONE)
    );
    assert_eq!(
        read::<Flat>(&fill(r#"[{"k":$2}]"#)).others,
        HashMap::from([("k".to_owned(), Untagged::Bytes(NO_TEXT))])
    );
}

#[test]
fn a_placeholder_is_known_in_any_order_and_spacing() {
    for placeholder in [
        r#"{"num":1,"_placeholder":true}"#,
        "{ \"_placeholder\" :\ttrue ,\n\"num\" : 1 }",
        r#"{"_placeholder":true,"num":1,"extra":[{"}":"]"}]}"#,
    ] {
        let json = format!("[{placeholder},{placeholder}]");
        assert_eq!(read::<(Bytes, Bytes)>(&json), (ONE, ONE), "{placeholder}");
        assert_eq!(check_placeholders(&json, 2), Ok(()));
        assert_eq!(check_placeholders(&json, 1), Err(DecodeError::Placeholder));
    }
}

#[test]
fn objects_that_resemble_placeholders_are_data() {
    for data in [
        r#"{"_placeholder":false,"num":9}"#,
        r#"{"_placeholder":"true","num":9}"#,
        r#"{"num":9}"#,
        r#"{"num":{"_placeholder":false}}"#,
        r#"{"_placeholder":[true],"num":9}"#,
        r#"{"num":[{"num":[{}]}],"_placeholder":true}"#,
        r#""{\"_placeholder\":true,\"num\":9}""#,
        r#"{"\\":"{\"_placeholder\":true,\"num\":9}"}"#,
    ] {
        assert_eq!(check_placeholders(data, 1), Ok(()), "{data}");
        let value: Value = serde_json::from_str(data).unwrap();
        assert_eq!(read::<Value>(&format!("[{data}]")), value, "{data}");
    }
}

#[test]
fn a_placeholder_without_an_attachment_is_found() {
    for num in [
        "3",
        "-1",
        "0.5",
        "null",
        "true",
        "\"0\"",
        "99999999999999999999",
    ] {
        let json = format!(r#"["\"",[{{"a":{{"_placeholder":true,"num":{num}}}}}]]"#);
        assert_eq!(
            check_placeholders(&json, 3),
            Err(DecodeError::Placeholder),
            "{json}"
        );
        let json = format!(r#"[{{"_placeholder":true,"num":{num}}}]"#);
        assert_eq!(
            refusal::<Bytes>(&json),
            "placeholder without an attachment at argument 1"
        );
    }
}

#[test]
fn a_placeholder_without_a_number_is_found() {
    for data in [
        r#"{"_placeholder":true}"#,
        r#"{"_placeholder":true,"num":[0]}"#,
        r#"{"_placeholder":true,"other":1,"num":0}"#,
    ] {
        let json = format!("[{data}]");
        assert_eq!(
            check_placeholders(&json, 1),
            Err(DecodeError::Placeholder),
            "{json}"
        );
        assert_eq!(
            refusal::<Value>(&json),
            "placeholder without an attachment at argument 1"
        );
    }
}

#[test]
fn bytes_are_only_bytes() {
    assert_eq!(
        refusal::<Vec<u8>>(&fill("[$0]")),
        "invalid type: attachment, expected a sequence at argument 1"
    );
    assert_eq!(
        refusal::<(u8, String)>(&fill("[1,$0]")),
        "invalid type: attachment, expected a string at argument 2"
    );
    assert_eq!(
        refusal::<Bytes>(r#"[{"a":1}]"#),
        "invalid type: map, expected byte array at argument 1"
    );
    assert_eq!(read::<Bytes>(r#"["text"]"#), "text");
    assert_eq!(read::<Bytes>("[[1,2]]"), [1, 2][..]);
}

/// Asserts that both deserializers return the same value or the same error.
fn same<T: DeserializeOwned + PartialEq + std::fmt::Debug>(json: &str) {
    let plain = Args::new(json.into(), Vec::new());
    assert_eq!(
        args(json).deserialize::<T>(),
        plain.deserialize::<T>(),
        "{json}"
    );
}

/// Asserts that both deserializers return the same value or fail, with any error.
fn both<T: DeserializeOwned + PartialEq + std::fmt::Debug>(json: &str) {
    let plain = Args::new(json.into(), Vec::new());
    let (here, there) = (args(json).deserialize::<T>(), plain.deserialize::<T>());
    assert_eq!(here.ok(), there.ok(), "{json}");
}

#[test]
fn text_is_read_as_without_attachments() {
    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
    enum Choice {
        Unit,
        Struct { a: u8 },
    }
    #[derive(Debug, PartialEq, Eq, Hash, Deserialize)]
    struct Id(u32);

    let value = json!([1, -2, 1.5, "x\n\u{1F600}", null, true, [[], {}], {"a": {"b": [" ]}, "]}}]);
    let text = serde_json::to_string_pretty(&json!([value])).unwrap();
    assert_eq!(read::<Value>(&text), value);
    same::<Value>(&text);

    for text in [
        "[1]",
        "[-1]",
        "[300]",
        "[1.0]",
        "[1e2]",
        "[1e999]",
        "[true]",
        "[null]",
        r#"["x"]"#,
        r#"["\u00e9"]"#,
        r#"["\ud800"]"#,
        "[[1]]",
        "[{}]",
        "[]",
        "[1,2]",
        "[[1,2,3]]",
        r#"["Unit"]"#,
        r#"["None"]"#,
        r#"[{"Unit":null}]"#,
        r#"[{"Struct":{"a":1}}]"#,
        r#"[{"Struct":{"a":1,"b":2}}]"#,
        r#"[{"1":2}]"#,
        r#"[{"x":2}]"#,
        r#"[{"true":2}]"#,
        r#"[{"a":1}]"#,
        r#"[{"Unit":2}]"#,
        r#"[{"1x":2}]"#,
    ] {
        same::<u8>(text);
        same::<i64>(text);
        same::<f64>(text);
        same::<bool>(text);
        same::<char>(text);
        same::<String>(text);
        same::<()>(text);
        same::<Option<u8>>(text);
        same::<Vec<u8>>(text);
        same::<(u8,)>(text);
        same::<((u8, u8),)>(text);
        same::<Id>(text);
        same::<Rest<Value>>(text);
        both::<Choice>(text);
        both::<HashMap<u32, u8>>(text);
        both::<HashMap<Id, Option<u8>>>(text);
        both::<HashMap<Option<bool>, u8>>(text);
        both::<BTreeMap<Choice, u8>>(text);
        both::<i128>(text);
    }
    let raw: Box<RawValue> = read(r#"[ { "a" : [1, "]"] } ]"#);
    assert_eq!(raw.get(), r#"{ "a" : [1, "]"] }"#);
}

#[test]
fn depth_is_limited_as_without_attachments() {
    for depth in [100, 126, 127, 128, 129, 10_000] {
        let json = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        same::<Value>(&json);
        let json = format!("[{}1{}]", r#"{"num":"#.repeat(depth), "}".repeat(depth));
        same::<Value>(&json);
        assert_eq!(check_placeholders(&json, 1), Ok(()));
    }
}

#[test]
fn broken_text_is_an_error() {
    for text in [
        "",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1]x",
        "[1 2]",
        "[{]",
        "[{\"a\"]",
        "[{\"a\":}]",
        "[{\"a\" 1}]",
        "[\"",
        "[\"\\",
        "[{\"_placeholder\":true,\"num\":0",
        "[{\"_placeholder\":true,\"num\":}]",
        "[nul]",
        "]",
    ] {
        assert!(args(text).deserialize::<Rest<Value>>().is_err(), "{text}");
        assert!(args(text).deserialize::<Rest<Bytes>>().is_err(), "{text}");
        let _ = check_placeholders(text, 1);
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Document {
    text: String,
    number: i64,
    ratio: f32,
    flag: bool,
    bytes: Bytes,
    maybe: Option<Binary>,
    choices: Vec<Alternative>,
    named: BTreeMap<String, Bytes>,
    numbered: BTreeMap<u32, ()>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Alternative {
    Unit,
    Bytes(Bytes),
    Pair(char, Binary),
    Struct { num: u8, bytes: Bytes },
}

fn any_bytes() -> impl Strategy<Value = Bytes> + Clone {
    any::<Vec<u8>>().prop_map(Bytes::from)
}

fn any_alternative() -> impl Strategy<Value = Alternative> {
    prop_oneof![
        Just(Alternative::Unit),
        any_bytes().prop_map(Alternative::Bytes),
        (any::<char>(), any_bytes())
            .prop_map(|(char, bytes)| Alternative::Pair(char, bytes.into())),
        (any::<u8>(), any_bytes()).prop_map(|(num, bytes)| Alternative::Struct { num, bytes }),
    ]
}

fn any_document() -> impl Strategy<Value = Document> {
    let scalars = (any::<String>(), any::<i64>(), -1e6_f32..1e6, any::<bool>());
    let choices = prop::collection::vec(any_alternative(), 0..4);
    let named = prop::collection::btree_map(any::<String>(), any_bytes(), 0..3);
    let numbered = prop::collection::btree_map(any::<u32>(), Just(()), 0..3);
    (
        scalars,
        any_bytes(),
        prop::option::of(any_bytes().prop_map(Binary)),
        choices,
        named,
        numbered,
    )
        .prop_map(
            |((text, number, ratio, flag), bytes, maybe, choices, named, numbered)| Document {
                text,
                number,
                ratio,
                flag,
                bytes,
                maybe,
                choices,
                named,
                numbered,
            },
        )
}

proptest! {
    #[test]
    fn encoded_arguments_are_decoded(document in any_document(), other: Option<u8>, rest: Vec<String>) {
        let encoded = EncodedArgs::ack(&(&document, other)).unwrap();
        let args = Args::new(encoded.json().into(), encoded.attachments().to_vec());
        prop_assert_eq!(args.check(), Ok(()));
        prop_assert_eq!(check_placeholders(args.json(), args.attachments().len()), Ok(()));
        prop_assert_eq!(args.deserialize(), Ok((document, other)));

        let mut encoded = EncodedArgs::ack(&()).unwrap();
        for text in &rest {
            encoded.push(text).unwrap();
        }
        let args = Args::new(encoded.json().into(), Vec::new());
        prop_assert_eq!(args.deserialize(), Ok(Rest(rest)));
    }

    #[test]
    fn reading_never_panics(json in SOUP) {
        let plain = Args::new(json.as_str().into(), Vec::new());
        let _ = plain.raw();
        for args in [plain, args(&json)] {
            let _ = args.deserialize::<Value>();
            let _ = args.deserialize::<Rest<Value>>();
            let _ = args.deserialize::<(Bytes, Option<Document>)>();
            let _ = args.deserialize_one::<Alternative>(Surplus::Refused);
        }
        let _ = check_placeholders(&json, 1);
    }

    #[test]
    fn well_formed_text_is_read_alike(value in any_json()) {
        let json = format!("[{value:#}]");
        same::<Value>(&json);
        same::<Rest<Value>>(&json);
        same::<String>(&json);
        same::<Vec<u8>>(&json);
        both::<BTreeMap<String, Value>>(&json);
        both::<Alternative>(&json);
    }
}

/// A pattern of text that is almost JSON.
const SOUP: &str = r#"(\[|\]|\{|\}|,|:|"|\\|"_placeholder":true|"num":[0-3]|"[a-z]"|[0-9.eE-]{1,3}|true|null| |€)*"#;

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::from("num")),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let key = prop_oneof![
            any::<String>(),
            Just("num".to_owned()),
            Just("_placeholder".to_owned())
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..5)
                .prop_filter("a placeholder", |map| map.get("_placeholder")
                    != Some(&json!(true)))
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}
