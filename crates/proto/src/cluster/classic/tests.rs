//! The messages that Node.js servers and emitters have sent, and some that no server should send.

use bytes::Bytes;
use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::cluster::message::*;
use crate::cluster::tests::message;
use crate::cluster::{Channel, MessageError};

#[derive(Deserialize)]
struct Recorded {
    from: String,
    op: String,
    channel: String,
    payload: String,
}

#[derive(Deserialize)]
struct Tried {
    test: String,
    channel: String,
    payload: String,
    /// True if a Node.js server does not exit.
    taken: bool,
}

fn bytes(base64: &str) -> Bytes {
    base64_simd::STANDARD.decode_to_vec(base64).unwrap().into()
}

/// Returns the channel of a name, with the prefix `socket.io`.
fn channel(name: &str) -> Channel<'_> {
    let (prefix, rest) = name.split_once('#').unwrap();
    let (nsp, rest) = rest.split_once('#').unwrap();
    let last = rest.strip_suffix('#').unwrap_or(rest);
    match prefix {
        "socket.io" if last.is_empty() => Channel::Namespace { nsp },
        "socket.io" => Channel::Room { nsp, room: last },
        "socket.io-request" => Channel::Requests { nsp },
        "socket.io-response" => Channel::Server { nsp, uid: last },
        _ => panic!("{name}"),
    }
}

#[test]
fn messages_of_node_are_decoded_and_encoded_to_the_same_bytes() {
    let all: Vec<Recorded> =
        serde_json::from_str(include_str!("../../../tests/vectors/classic-messages.json")).unwrap();
    assert!(all.len() > 120);
    for Recorded {
        from,
        op,
        channel: name,
        payload,
    } in all
    {
        let payload = bytes(&payload);
        let message =
            decode(channel(&name), &payload).unwrap_or_else(|error| panic!("{op}: {error}"));
        assert_eq!(&*message.nsp, channel(&name).nsp(), "{op}");
        let encoded = encode(&message);
        // The emitter writes the options of an event in another order.
        if from != "emitter" || payload.first() == Some(&b'{') {
            assert_eq!(encoded, as_we_write(&payload), "{op}: {message:?}");
        }
        assert_eq!(decode(channel(&name), &encoded), Ok(message), "{op}");
    }
}

/// Replaces the room that was named by the number 42, and the dates: here, a room is named by its text, and a date is
/// its text.
fn as_we_write(payload: &[u8]) -> Vec<u8> {
    let mut bytes = payload.to_vec();
    for (theirs, ours) in [
        (&b"\",42]"[..], &b"\",\"42\"]"[..]),
        (b"\",42,\"", b"\",\"42\",\""),
        (b"rooms\x91\x2a", b"rooms\x91\xa242"),
        (
            b"\xd7\xff\x1d\x53\x53\x00\x65\x53\xf1\x00",
            b"\xb82023-11-14T22:13:20.123Z",
        ),
        (b"\xd6\xff\x65\x53\xf1\x00", b"\xb82023-11-14T22:13:20.000Z"),
    ] {
        while let Some(at) = bytes.windows(theirs.len()).position(|part| part == theirs) {
            bytes.splice(at..at + theirs.len(), ours.iter().copied());
        }
    }
    bytes
}

#[test]
fn more_forms_are_accepted_than_a_node_server_survives() {
    let all: Vec<Tried> = serde_json::from_str(include_str!(
        "../../../tests/vectors/classic-tolerance.json"
    ))
    .unwrap();
    for Tried {
        test,
        channel: name,
        payload,
        taken,
    } in all
    {
        let decoded = decode(channel(&name), &bytes(&payload));
        match decoded {
            Err(MessageError::UnknownType(kind)) => assert_eq!(kind, 99, "{test}"),
            decoded => assert_eq!(decoded.is_ok(), taken, "{test}: {decoded:?}"),
        }
    }
}

fn request(json: &str) -> Result<Body<'static>, MessageError> {
    let bytes = Bytes::copy_from_slice(json.as_bytes());
    decode(Channel::Requests { nsp: "/" }, &bytes).map(|message| message.body)
}

fn answer(json: &str) -> Result<Body<'static>, MessageError> {
    let bytes = Bytes::copy_from_slice(json.as_bytes());
    decode(Channel::Server { nsp: "/", uid: "" }, &bytes).map(|message| message.body)
}

#[test]
fn an_old_server_names_one_socket() {
    assert_eq!(
        request(r#"{"requestId":"r","type":2,"sid":"s","room":42}"#),
        Ok(Body::Single {
            request: Some("r".into()),
            sid: "s".into(),
            change: Change::Join("42".into()),
        })
    );
    let done = answer(r#"{"requestId":"r"}"#);
    assert_eq!(
        done,
        Ok(Body::SingleDone {
            request: "r".into()
        })
    );
}

#[test]
fn malformed_messages_are_errors() {
    for json in [
        "",
        "{",
        "{}",
        "[]",
        r#"{"type":-1}"#,
        r#"{"type":2}"#,
        r#"{"type":2,"opts":{}}"#,
        r#"{"type":5,"requestId":"r"}"#,
        r#"{"type":5,"opts":{}}"#,
        r#"{"type":6}"#,
        r#"{"type":6,"data":[1]}"#,
        r#"{"type":7,"requestId":"r","packet":{"type":2,"data":["e"]}}"#,
        r#"{"type":7,"requestId":"r","packet":{"type":3,"data":["e"]},"opts":{}}"#,
        r#"{"type":7,"requestId":"r","packet":{"type":2,"data":["connect"]},"opts":{}}"#,
    ] {
        assert!(request(json).is_err(), "{json}");
    }
    for json in [
        "",
        "{}",
        r#"{"requestId":1}"#,
        r#"{"requestId":"r","type":8}"#,
        r#"{"requestId":"r","sockets":1}"#,
        r#"{"requestId":"r","sockets":[1]}"#,
        r#"{"requestId":"r","type":9,"outcome":"gone"}"#,
    ] {
        assert!(answer(json).is_err(), "{json}");
    }
}

/// Returns the channel of a message, and the parts of it that its form has.
fn sent(mut message: Message<'static>) -> (Channel<'static>, Message<'static>) {
    let nsp: &'static str = String::leak(message.nsp.to_string());
    let channel = match &mut message.body {
        Body::Broadcast { request: None, .. } => Channel::Namespace { nsp },
        Body::Join { selection, .. } | Body::Fetch { selection, .. } => {
            selection.flags = Flags::default();
            Channel::Requests { nsp }
        }
        Body::Broadcast { .. } => Channel::Requests { nsp },
        _ => {
            message.uid = "".into();
            Channel::Server { nsp, uid: "" }
        }
    };
    (channel, message)
}

proptest! {
    #[test]
    fn a_message_that_is_encoded_is_decoded(message in message()) {
        let (channel, message) = sent(message);
        prop_assert_eq!(decode(channel, &encode(&message)), Ok(message));
    }

    #[test]
    fn an_own_message_is_known_without_decoding_it(message in message(), uid in "[A-Za-z0-9_-]{20}") {
        let (channel, mut message) = sent(message);
        if !matches!(channel, Channel::Server { .. }) {
            message.uid = uid.clone().into();
            let encoded = encode(&message);
            prop_assert!(is_from(&uid, &encoded));
            let shorter: String = uid.chars().take(19).collect();
            prop_assert!(!is_from(&shorter, &encoded));
            prop_assert!(!is_from("AAAAAAAAAAAAAAAAAAAA", &encoded));
        }
    }

    #[test]
    fn an_event_has_the_form_that_node_needs(message in message()) {
        let (channel, message) = sent(message);
        if let Channel::Namespace { .. } = channel {
            let encoded = encode(&message);
            prop_assert_eq!(encoded.first(), Some(&0x93));
            let opts = b"\x83\xa5rooms";
            prop_assert!(encoded.windows(opts.len()).any(|part| part == opts));
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>) {
        let bytes = Bytes::from(bytes);
        for name in ["socket.io#/#", "socket.io-request#/#", "socket.io-response#/#"] {
            let _ = decode(channel(name), &bytes);
        }
    }

    #[test]
    fn no_change_of_a_message_makes_the_decoder_panic(
        at in any::<prop::sample::Index>(),
        byte: u8,
        message in message(),
    ) {
        let (channel, message) = sent(message);
        let mut bytes = encode(&message).to_vec();
        *at.get_mut(&mut bytes) = byte;
        let _ = decode(channel, &bytes.into());
    }
}
