//! Arguments are read, or refused for a reason that is true, whatever the types and with or without attachments.
#![no_main]

use std::collections::BTreeMap;

use axum_socketio_proto::{Args, ArgsError, EncodedArgs, Rest};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Document {
    text: String,
    number: i32,
    bytes: Option<Bytes>,
    choices: Vec<Choice>,
    map: BTreeMap<u8, Untagged>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Choice {
    Unit,
    Bytes(Bytes),
    Tuple(bool, Bytes),
    Struct { num: u8, bytes: Bytes },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
    Bytes(Bytes),
    More(Vec<Untagged>),
}

fuzz_target!(|json: &str| {
    let plain = Args::new(json.into(), Vec::new());
    let binary = Args::new(
        json.into(),
        vec![Bytes::from_static(b"0"), Bytes::from_static(b"\xff")],
    );
    let well_formed = plain.check().is_ok();
    assert_eq!(
        plain.raw().is_ok() && plain.count().is_ok(),
        well_formed && is_array(json)
    );

    for args in [&plain, &binary] {
        read::<()>(args, well_formed);
        read::<Value>(args, well_formed);
        read::<Rest<Value>>(args, well_formed);
        read::<Rest<Box<RawValue>>>(args, well_formed);
        read::<Rest<Untagged>>(args, well_formed);
        read::<(Bytes, Option<Bytes>)>(args, well_formed);
        read::<Choice>(args, well_formed);
        if let Some(document) = read::<Document>(args, well_formed) {
            let encoded = EncodedArgs::ack(&document).unwrap();
            let again = Args::new(encoded.json().into(), encoded.attachments().to_vec());
            assert_eq!(again.deserialize(), Ok(document));
        }
    }
    if well_formed && !json.contains("_placeholder") {
        assert_eq!(plain.deserialize::<Value>(), binary.deserialize::<Value>());
    }
});

fn is_array(json: &str) -> bool {
    json.trim_start().starts_with('[')
}

/// serde_json takes control characters in a string that is read as bytes.
fn has_control(json: &str) -> bool {
    json.bytes().any(|byte| byte < b' ')
}

fn read<T: DeserializeOwned>(args: &Args, well_formed: bool) -> Option<T> {
    let result = args.deserialize();
    match &result {
        Ok(_) => assert!(well_formed || !args.attachments().is_empty() || has_control(args.json())),
        Err(ArgsError::Malformed(_)) => assert!(!well_formed),
        Err(_) => assert!(well_formed),
    }
    result.ok()
}
