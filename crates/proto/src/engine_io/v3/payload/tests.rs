use proptest::prelude::*;

use super::*;
use crate::engine_io::Message;
use crate::engine_io::v3::PayloadWriter;

type Packets = Vec<Result<Packet, DecodeError>>;

fn read(body: &str) -> Packets {
    Payload::text(body.into()).collect()
}

fn read_binary(body: &'static [u8]) -> Packets {
    Payload::binary(Bytes::from_static(body)).collect()
}

fn text(data: &str) -> Packet {
    Packet::Message(Message::Text(data.into()))
}

fn binary(data: &'static [u8]) -> Packet {
    Packet::Message(Message::Binary(Bytes::from_static(data)))
}

#[test]
fn lengths_count_the_units_of_utf_16() {
    assert_eq!(
        read("6:4hello10:b4AQIDBA==1:2"),
        [
            Ok(text("hello")),
            Ok(binary(&[1, 2, 3, 4])),
            Ok(Packet::Ping(ByteString::new()))
        ]
    );
    assert_eq!(
        read("2:4\u{20ac}3:4\u{1F600}2:4x"),
        [Ok(text("\u{20ac}")), Ok(text("\u{1F600}")), Ok(text("x"))]
    );
    assert_eq!(read("0:"), []);
    assert_eq!(read("0:2:4x"), [Ok(text("x"))]);
}

#[test]
fn a_wrong_length_ends_the_body() {
    for body in [
        "4hello",
        "6",
        "7:4hello",
        "x:4",
        ":4x",
        "-1:4",
        "2:4\u{1F600}",
        "1e1:4",
        " 2:4x",
        "99999999999999999:4x",
        "9999999999999999:4x",
    ] {
        assert_eq!(read(body), [Err(DecodeError::Length)], "{body}");
    }
    assert_eq!(read(""), [Err(DecodeError::Empty)]);
    assert_eq!(read("2:4a5:4b"), [Ok(text("a")), Err(DecodeError::Length)]);
    assert_eq!(
        read("2:4a2:9b2:4c"),
        [Ok(text("a")), Err(DecodeError::UnknownType('9'))]
    );
}

#[test]
fn a_binary_body_counts_bytes() {
    assert_eq!(
        read_binary(b"\x00\x04\xff4\xe2\x82\xac\x01\x03\xff\x04\x01\x02\x00\x01\xff2"),
        [
            Ok(text("\u{20ac}")),
            Ok(binary(&[1, 2])),
            Ok(Packet::Ping(ByteString::new()))
        ]
    );
    let long: &[u8] = b"\x00\x01\x02\xff4hello world";
    assert_eq!(read_binary(long), [Ok(text("hello world"))]);
    assert_eq!(read_binary(b""), []);
}

#[test]
fn a_binary_body_may_be_wrong_too() {
    let lengths: [&[u8]; 6] = [
        b"\x00",
        b"\x00\x01",
        b"\x00\xff4",
        b"\x00\x02\xff4",
        b"\x00\x0a\xff4hello",
        b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\xff4",
    ];
    for body in lengths {
        let read: Packets = Payload::binary(Bytes::from_static(body)).collect();
        assert_eq!(read, [Err(DecodeError::Length)], "{body:?}");
    }
    assert_eq!(read_binary(b"\x00\x02\xff4\x80"), [Err(DecodeError::Utf8)]);
    assert_eq!(read_binary(b"\x01\x00\xff"), [Err(DecodeError::Empty)]);
}

#[test]
fn it_is_done_when_nothing_is_left() {
    let mut payload = Payload::text("2:4x".into());
    assert!(!payload.is_done());
    assert!(payload.next().is_some());
    assert!(payload.is_done() && payload.next().is_none());
    assert!(!Payload::text(ByteString::new()).is_done());
    assert!(Payload::binary(Bytes::new()).is_done());
    let mut bad = Payload::text("x2:4x".into());
    assert!(bad.next().is_some_and(|packet| packet.is_err()));
    assert!(bad.is_done() && bad.next().is_none());
}

fn any_message() -> impl Strategy<Value = Message> {
    prop_oneof![
        any::<String>().prop_map(|data| Message::Text(data.into())),
        any::<Vec<u8>>().prop_map(|data| Message::Binary(data.into())),
    ]
}

proptest! {
    #[test]
    fn written_packets_are_read(
        messages in prop::collection::vec(any_message(), 1..8),
        as_binary: bool,
    ) {
        let mut writer = if as_binary { PayloadWriter::binary() } else { PayloadWriter::text() };
        for message in &messages {
            match message {
                Message::Text(text) => writer.push_text(format!("4{}", &**text).as_bytes()),
                Message::Binary(data) => writer.push_binary(data),
            }
        }
        let body = writer.finish();
        let payload = if as_binary {
            Payload::binary(body)
        } else {
            Payload::text(ByteString::try_from(body).unwrap())
        };
        let expected: Packets = messages.into_iter().map(|m| Ok(Packet::Message(m))).collect();
        prop_assert_eq!(payload.collect::<Packets>(), expected);
    }

    #[test]
    fn reading_text_never_panics(body in "([0-9]{0,3}:?[0-6b]?\\PC{0,4})*") {
        let _ = read(&body);
    }

    #[test]
    fn reading_bytes_never_panics(body in prop::collection::vec(
        prop_oneof![Just(0_u8), Just(1), Just(2), Just(0xff), Just(b'4'), any::<u8>()], 0..40,
    )) {
        let _ = Payload::binary(body.into()).count();
    }
}
