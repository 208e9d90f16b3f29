use bytes::Bytes;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::socket_io::{Codec, Encoded, Kind, Packet};
use crate::{Binary, EncodedArgs};

#[derive(Deserialize)]
struct Vectors {
    packets: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    hex: String,
    packet: Option<Meaning>,
    error: Option<String>,
    #[serde(default = "yes")]
    canonical: bool,
}

#[derive(Deserialize)]
struct Meaning {
    kind: String,
    nsp: String,
    id: Option<u64>,
    data: Option<Box<RawValue>>,
    #[serde(default)]
    attachments: Vec<String>,
}

const fn yes() -> bool {
    true
}

fn vectors() -> Vec<Row> {
    let text = include_str!("../../../tests/vectors/msgpack.json");
    serde_json::from_str::<Vectors>(text).unwrap().packets
}

fn bytes(hex: &str) -> Bytes {
    let digits: Vec<u8> = hex
        .bytes()
        .map(|digit| u8::try_from(char::from(digit).to_digit(16).unwrap()).unwrap())
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] * 16 + pair[1])
        .collect()
}

fn read(message: &Bytes) -> Result<Packet, DecodeError> {
    let mut decoding = codec().decoding();
    let message = Message::Binary(message.clone());
    decoding
        .feed(message, &PacketLimits::default())
        .map(Option::unwrap)
}

fn codec() -> Codec {
    Codec::Other(std::sync::Arc::new(Msgpack))
}

/// Returns the kind, namespace, id, payload and attachments of a packet.
fn show(packet: &Packet) -> Value {
    let (kind, id, json, attachments): (_, _, &str, &[Bytes]) = match packet {
        Packet::Connect { auth, .. } => ("connect", None, auth.as_deref().unwrap_or("null"), &[]),
        Packet::Disconnect { .. } => ("disconnect", None, "null", &[]),
        Packet::Event { id, event, .. } => {
            let args = event.args();
            ("event", *id, args.json(), args.attachments())
        }
        Packet::Ack { id, args, .. } => ("ack", *id, args.json(), args.attachments()),
        Packet::ConnectError { data, .. } => ("connect_error", None, data, &[]),
    };
    let json: Value = serde_json::from_str(json).unwrap();
    let attachments: Vec<&[u8]> = attachments.iter().map(|data| &**data).collect();
    json!([kind, **packet.nsp(), id, json, attachments])
}

#[test]
fn messages_mean_what_the_vectors_say() {
    for Row {
        name,
        hex,
        packet,
        error,
        ..
    } in vectors()
    {
        match (read(&bytes(&hex)), packet, error) {
            (Ok(packet), Some(meaning), None) => {
                let Meaning {
                    kind,
                    nsp,
                    id,
                    data,
                    attachments,
                } = meaning;
                let attachments: Vec<_> = attachments.iter().map(|hex| bytes(hex)).collect();
                let expected = json!([kind, nsp, id, data, attachments]);
                assert_eq!(show(&packet), expected, "{name}");
            }
            (Err(error), None, Some(expected)) => assert_eq!(error.to_string(), expected, "{name}"),
            (Ok(packet), ..) => panic!("{name}: accepted as {packet:?}"),
            (Err(error), ..) => panic!("{name}: refused: {error}"),
        }
    }
}

#[test]
fn packets_are_written_as_the_javascript_package_writes_them() {
    for Row {
        name,
        hex,
        packet,
        canonical,
        ..
    } in vectors()
    {
        let Some(meaning) = packet.filter(|_| canonical) else {
            continue;
        };
        let attachments: Vec<_> = meaning.attachments.iter().map(|hex| bytes(hex)).collect();
        let kind = match &*meaning.kind {
            "connect" => Kind::Connect,
            "disconnect" => Kind::Disconnect,
            "event" => Kind::Event,
            "ack" => Kind::Ack,
            _ => Kind::ConnectError,
        };
        let parts = Parts {
            kind,
            nsp: meaning.nsp.into(),
            id: meaning.id,
            json: meaning.data.as_ref().map(|data| data.get().into()),
            attachments: attachments.into(),
        };
        let written = Msgpack.encode(&parts);
        assert_eq!(written, [Message::Binary(bytes(&hex))], "{name}");
    }
}

#[test]
fn text_is_no_packet() {
    let mut decoder = Msgpack.decoder();
    let error = decoder
        .feed(Message::Text("0".into()), &PacketLimits::default())
        .unwrap_err();
    assert_eq!(error.to_string(), "malformed packet: text");
}

#[test]
fn names_are_within_the_limits() {
    let long = format!("/{}", "n".repeat(256));
    let connect = codec().plain(Kind::Connect, &long, None);
    let event = EncodedArgs::event(&long, &()).unwrap();
    let event = codec().packet(event, Kind::Event, "/", None);
    for (packet, error) in [
        (connect, DecodeError::NamespaceTooLong(256)),
        (event, DecodeError::EventNameTooLong(256)),
    ] {
        assert_eq!(read(&message(packet)).unwrap_err(), error);
    }
}

/// Returns the only message of an encoded packet.
fn message(encoded: Encoded) -> Bytes {
    match encoded {
        Encoded::Messages(messages) => match &messages[..] {
            [Message::Binary(message)] => message.clone(),
            other => panic!("{other:?}"),
        },
        packet @ Encoded::Packet(_) => panic!("{packet:?}"),
    }
}

/// Encodes an event `e` with these arguments and decodes it.
fn there_and_back<T: Serialize>(args: &T) -> Packet {
    let args = EncodedArgs::event("e", args).unwrap();
    let packet = codec().packet(args, Kind::Event, "/", None);
    read(&message(packet)).unwrap()
}

fn event_args<T: serde::de::DeserializeOwned>(packet: Packet) -> T {
    let Packet::Event { event, .. } = packet else {
        panic!("no event");
    };
    assert_eq!(event.name(), "e");
    event.into_args().deserialize().unwrap()
}

/// A packet with the object `{"_placeholder":true,"num":0}` and a binary, which a client may send.
const LOOKS_LIKE_ONE: &str =
    "83a47479706502a36e7370a12fa46461746193a16582ac5f706c616365686f6c646572c3a36e756d00c40107";

#[test]
fn an_object_that_looks_like_a_placeholder_is_not_taken_for_one() {
    let packet = read(&bytes(LOOKS_LIKE_ONE)).unwrap();
    let (object, data): (Value, Binary) = event_args(packet);
    assert_eq!(object, json!({"_placeholder": true, "num": 0}));
    assert_eq!(&data[..], [7]);
}

#[test]
fn a_placeholder_for_nothing_is_written_as_the_object_that_it_is() {
    let object = json!({"_placeholder": true, "num": 5});
    let (read, data): (Value, Binary) =
        event_args(there_and_back(&(&object, Binary::from(vec![7]))));
    assert_eq!((read, &data[..]), (object, &[7][..]));
}

#[test]
fn small_binaries_are_copied_out_of_their_message_large_ones_not() {
    for (small, large) in [(10, 1000), (0, 1000)] {
        let args = (Binary::from(vec![1; small]), Binary::from(vec![2; large]));
        let args = EncodedArgs::event("e", &args).unwrap();
        let message = message(codec().packet(args, Kind::Event, "/", None));
        let within = message.as_ptr_range();
        let (small, large): (Binary, Binary) = event_args(read(&message).unwrap());
        assert!(!within.contains(&small.as_ptr()));
        assert!(within.contains(&large.as_ptr()));
    }
}

#[test]
fn text_that_was_received_may_be_nested_as_deep_as_it_likes() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let raw = RawValue::from_string(deep).unwrap();
    let args = EncodedArgs::event("e", &raw).unwrap();
    let message = message(codec().packet(args, Kind::Event, "/", None));
    assert!(message.len() > 100_000);
}

#[test]
fn half_a_surrogate_pair_is_replaced() {
    let raw = RawValue::from_string(r#""a\ud800b\n""#.to_owned()).unwrap();
    let read: String = event_args(there_and_back(&raw));
    assert!(read.starts_with('a') && read.ends_with("b\n"), "{read:?}");
    assert!(read.contains('\u{fffd}'), "{read:?}");
}

/// Any JSON. Numbers that are equal in JavaScript are equal here.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // serde_json sometimes reads other numbers as an adjacent double.
        any::<i16>().prop_map(|number| Value::from(f64::from(number) + 0.25)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..20)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Bytes that are nearly a packet: a packet that has been cut and changed.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let rows: Vec<_> = vectors()
        .iter()
        .map(|row| bytes(&row.hex).to_vec())
        .collect();
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (
        prop::sample::select(rows),
        changes,
        any::<prop::sample::Index>(),
        any::<bool>(),
    )
        .prop_map(|(mut row, changes, end, cut)| {
            for (at, byte) in changes {
                if !row.is_empty() {
                    let at = at.index(row.len());
                    row[at] = byte;
                }
            }
            if cut && !row.is_empty() {
                row.truncate(end.index(row.len()));
            }
            row
        })
}

proptest! {
    #[test]
    fn written_packets_are_read(
        value in any_value(),
        data in prop::collection::vec(any::<Vec<u8>>(), 0..5),
        id: Option<u64>,
        nsp in "/|/\\PC{0,40}",
    ) {
        let data: Vec<Binary> = data.into_iter().map(Binary::from).collect();
        let args = EncodedArgs::event("e", &(&value, &data)).unwrap();
        let packet = read(&message(codec().packet(args, Kind::Event, &nsp, id))).unwrap();
        let Packet::Event { nsp: read_nsp, id: read_id, event } = packet else {
            panic!("no event");
        };
        prop_assert_eq!((&*read_nsp, read_id), (&*nsp, id));
        prop_assert_eq!(event.into_args().deserialize(), Ok((value, data)));
    }

    #[test]
    fn any_bytes_are_a_packet_within_the_limits_or_an_error(
        message in prop_oneof![any::<Vec<u8>>(), nearly()],
    ) {
        let message = Bytes::from(message);
        if let Ok(packet) = read(&message) {
            prop_assert!(packet.nsp().len() <= 3 * 256);
            if let Packet::Event { event, .. } = &packet {
                prop_assert_eq!(event.args().check(), Ok(()));
                prop_assert!(event.args().attachments().len() <= 10);
                prop_assert!(event.args().json().len() <= 7 * message.len() + 330);
            }
        }
    }
}
