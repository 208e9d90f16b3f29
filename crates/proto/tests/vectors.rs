//! The bytes of both protocols and their meaning, from files that the tests of clients read as well.
#![allow(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests"
)]

use axum_socketio_proto::{
    Args, DecodeError, EncodedArgs, engine_io,
    socket_io::{Assembler, EncodedPacket, Kind, Packet, PacketLimits},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
struct EngineIo {
    packets: Vec<Row>,
    payloads: Vec<Body>,
}

#[derive(Deserialize)]
struct SocketIo {
    packets: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    text: String,
    #[serde(default)]
    attachments: Vec<String>,
    packet: Option<Value>,
    error: Option<String>,
    #[serde(default = "yes")]
    canonical: bool,
}

#[derive(Deserialize)]
struct Body {
    body: String,
    packets: Vec<Value>,
    error: Option<String>,
    #[serde(default = "yes")]
    canonical: bool,
}

const fn yes() -> bool {
    true
}

#[test]
fn engine_io_packets_mean_what_the_vectors_say() {
    let EngineIo { packets, .. } =
        serde_json::from_str(include_str!("vectors/engine_io.json")).unwrap();
    for row in packets {
        let packet = engine_io::Packet::decode_text(row.text.as_str().into());
        check(&row, packet.clone().map(|packet| engine_io_packet(&packet)));
        if let (Ok(packet), true) = (packet, row.canonical) {
            assert_eq!(packet.encode_text(), row.text);
        }
    }
}

#[test]
fn engine_io_payloads_mean_what_the_vectors_say() {
    let EngineIo { payloads, .. } =
        serde_json::from_str(include_str!("vectors/engine_io.json")).unwrap();
    for row in payloads {
        let decoded: Vec<_> = engine_io::Payload::decode(row.body.as_str().into()).collect();
        let packets: Vec<Value> = decoded.iter().flatten().map(engine_io_packet).collect();
        assert_eq!(packets, row.packets, "{:?}", row.body);
        let error = decoded.iter().find_map(|packet| packet.as_ref().err());
        assert_eq!(error.map(ToString::to_string), row.error, "{:?}", row.body);

        if row.canonical && row.error.is_none() {
            let mut writer = engine_io::PayloadWriter::new();
            for packet in decoded.into_iter().flatten() {
                match packet {
                    engine_io::Packet::Message(engine_io::Message::Binary(data)) => {
                        writer.push_binary(&data);
                    }
                    text => writer.push_text(text.encode_text().as_bytes()),
                }
            }
            assert_eq!(writer.finish(), row.body);
        }
    }
}

#[test]
fn socket_io_packets_mean_what_the_vectors_say() {
    let SocketIo { packets } =
        serde_json::from_str(include_str!("vectors/socket_io.json")).unwrap();
    for row in packets {
        let packet = read(&row).and_then(|packet| socket_io_packet(&packet));
        check(&row, packet);
        if let (Some(packet), true) = (&row.packet, row.canonical) {
            let written = write(packet);
            assert_eq!(written.text(), row.text);
            let attachments: Vec<String> = written.attachments().iter().map(base64).collect();
            assert_eq!(attachments, row.attachments, "{}", row.text);
        }
    }
}

fn check(row: &Row, packet: Result<Value, DecodeError>) {
    match (packet, &row.packet, &row.error) {
        (Ok(packet), Some(expected), None) => {
            assert_eq!(packet, *expected, "{}", row.text);
        }
        (Err(error), None, Some(expected)) => {
            let error = error.to_string();
            assert!(error.starts_with(expected), "{}: {error}", row.text);
        }
        (Ok(_), ..) => panic!("{} was accepted", row.text),
        (Err(error), ..) => panic!("{} was refused: {error}", row.text),
    }
}

fn engine_io_packet(packet: &engine_io::Packet) -> Value {
    use engine_io::{Message, Packet};

    match packet {
        Packet::Open(data) => json!({"type": "open", "data": **data}),
        Packet::Close => json!({"type": "close"}),
        Packet::Ping(data) => json!({"type": "ping", "data": **data}),
        Packet::Pong(data) => json!({"type": "pong", "data": **data}),
        Packet::Message(Message::Text(data)) => json!({"type": "message", "text": **data}),
        Packet::Message(Message::Binary(data)) => {
            json!({"type": "message", "base64": base64(data)})
        }
        Packet::Upgrade => json!({"type": "upgrade"}),
        Packet::Noop => json!({"type": "noop"}),
    }
}

/// Feeds a text message and its attachments.
fn read(row: &Row) -> Result<Packet, DecodeError> {
    let attachments = row.attachments.iter().map(|data| format!("b{data}"));
    let mut assembler = Assembler::new();
    let mut packet = None;
    for text in std::iter::once(row.text.clone()).chain(attachments) {
        let engine_io::Packet::Message(message) = engine_io::Packet::decode_text(text.into())?
        else {
            panic!("{} is no message", row.text);
        };
        packet = assembler.feed(message, &PacketLimits::default())?;
    }
    Ok(packet.unwrap_or_else(|| panic!("{} is not complete", row.text)))
}

fn socket_io_packet(packet: &Packet) -> Result<Value, DecodeError> {
    let mut members = Map::new();
    members.insert("nsp".into(), json!(**packet.nsp()));
    let mut member = |name: &str, value: Value| _ = members.insert(name.into(), value);
    match packet {
        Packet::Connect { auth, .. } => {
            member("type", json!("connect"));
            if let Some(auth) = auth {
                member("auth", serde_json::from_str(auth).unwrap());
            }
        }
        Packet::Disconnect { .. } => member("type", json!("disconnect")),
        Packet::Event { id, event, .. } => {
            member("type", json!("event"));
            member("name", json!(event.name()));
            member("args", meaning(event.args())?);
            if let Some(id) = id {
                member("id", json!(id));
            }
        }
        Packet::Ack { id, args, .. } => {
            member("type", json!("ack"));
            member("args", meaning(args)?);
            if let Some(id) = id {
                member("id", json!(id));
            }
        }
        Packet::ConnectError { .. } => member("type", json!("connect_error")),
    }
    Ok(members.into())
}

fn meaning(args: &Args) -> Result<Value, DecodeError> {
    args.check()?;
    let raw = args.raw().unwrap();
    let values = raw.iter().map(|raw| {
        let mut value = serde_json::from_str(raw).unwrap();
        if !args.attachments().is_empty() {
            restore(&mut value, args.attachments());
        }
        value
    });
    Ok(values.collect())
}

fn restore(value: &mut Value, attachments: &[Bytes]) {
    match value {
        Value::Array(elements) => elements
            .iter_mut()
            .for_each(|value| restore(value, attachments)),
        Value::Object(members) if members.get("_placeholder") == Some(&json!(true)) => {
            let index: usize = serde_json::from_value(members["num"].clone()).unwrap();
            *value = json!({"$base64": base64(&attachments[index])});
        }
        Value::Object(members) => members
            .values_mut()
            .for_each(|value| restore(value, attachments)),
        _ => {}
    }
}

fn write(packet: &Value) -> EncodedPacket {
    let nsp = packet["nsp"].as_str().unwrap();
    let id = packet.get("id").map(|id| id.as_u64().unwrap());
    let args = || -> Vec<Leaves<'_>> {
        packet["args"]
            .as_array()
            .unwrap()
            .iter()
            .map(Leaves)
            .collect()
    };
    match packet["type"].as_str().unwrap() {
        "connect" => {
            let auth = packet.get("auth").map(ToString::to_string);
            EncodedPacket::plain(Kind::Connect, nsp, auth.as_deref())
        }
        "disconnect" => EncodedPacket::plain(Kind::Disconnect, nsp, None),
        "event" => {
            let mut event = EncodedArgs::event(packet["name"].as_str().unwrap(), &()).unwrap();
            args().iter().for_each(|arg| event.push(arg).unwrap());
            EncodedPacket::from_args(event, Kind::Event, nsp, id)
        }
        "ack" => {
            let mut ack = EncodedArgs::ack(&()).unwrap();
            args().iter().for_each(|arg| ack.push(arg).unwrap());
            EncodedPacket::from_args(ack, Kind::Ack, nsp, id)
        }
        other => panic!("{other} is not written"),
    }
}

/// A value whose `$base64` objects are bytes.
struct Leaves<'v>(&'v Value);

impl Serialize for Leaves<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(elements) => serializer.collect_seq(elements.iter().map(Leaves)),
            Value::Object(members) => match members.get("$base64") {
                Some(data) => serializer.serialize_bytes(&unbase64(data.as_str().unwrap())),
                None => {
                    serializer.collect_map(members.iter().map(|(key, value)| (key, Leaves(value))))
                }
            },
            leaf => leaf.serialize(serializer),
        }
    }
}

fn base64(data: &Bytes) -> String {
    base64_simd::STANDARD.encode_to_string(data)
}

fn unbase64(text: &str) -> Vec<u8> {
    base64_simd::STANDARD.decode_to_vec(text).unwrap()
}
