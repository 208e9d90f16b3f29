//! The messages that Node.js servers have sent, and some that no server should send.

use std::borrow::Cow;

use bytes::Bytes;
use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Recorded {
    op: String,
    payload: String,
}

/// Returns messages that two Node.js servers with the sharded adapter of Redis have exchanged.
fn recorded() -> Vec<(String, Bytes)> {
    let list = include_str!("../../tests/vectors/cluster-messages.json");
    let list: Vec<Recorded> = serde_json::from_str(list).unwrap();
    let decode = |Recorded { op, payload }| {
        let payload = base64_simd::STANDARD.decode_to_vec(payload).unwrap();
        (op, payload.into())
    };
    list.into_iter().map(decode).collect()
}

#[test]
fn messages_of_node_are_decoded_and_encoded_to_the_same_bytes() {
    let all = recorded();
    assert!(all.len() > 50);
    for (op, payload) in all {
        let message =
            Message::decode(&payload, "/").unwrap_or_else(|error| panic!("{op}: {error}"));
        assert_eq!(
            message.encode(),
            named_by_text(&payload),
            "{op}: {message:?}"
        );
    }
}

#[derive(Deserialize)]
struct Notified {
    op: String,
    nsp: String,
    payload: String,
}

#[test]
fn messages_of_the_adapter_for_postgresql_are_decoded_and_encoded_to_the_same_bytes() {
    let list = include_str!("../../tests/vectors/postgres-messages.json");
    let list: Vec<Notified> = serde_json::from_str(list).unwrap();
    let (mut servers, mut emitters) = (0, 0);
    for Notified { op, nsp, payload } in list {
        let payload: Bytes = base64_simd::STANDARD.decode_to_vec(payload).unwrap().into();
        let message =
            Message::decode(&payload, &nsp).unwrap_or_else(|error| panic!("{op}: {error}"));
        assert_eq!(message.nsp, nsp, "{op}");
        // The emitter has another order of members, and leaves some out.
        if message.uid == EMITTER {
            emitters += 1;
        } else {
            servers += 1;
            assert_eq!(message.encode(), payload, "{op}: {message:?}");
        }
    }
    assert_eq!((servers, emitters), (38, 10));
}

/// Replaces the room that was named by the number 42: here, a room is named by its text.
fn named_by_text(payload: &[u8]) -> Vec<u8> {
    let mut bytes = payload.to_vec();
    for (number, text) in [
        (&b"\"room1\",42]"[..], &b"\"room1\",\"42\"]"[..]),
        (b"\"rooms\":[42]", b"\"rooms\":[\"42\"]"),
        (b"room1\x2a", b"room1\xa242"),
    ] {
        while let Some(at) = bytes.windows(number.len()).position(|part| part == number) {
            bytes.splice(at..at + number.len(), text.iter().copied());
        }
    }
    bytes
}

fn decode(json: &str) -> Result<Message<'static>, MessageError> {
    Message::decode(&Bytes::copy_from_slice(json.as_bytes()), "/")
}

#[test]
fn unknown_members_and_missing_options_are_accepted() {
    let message = decode(
        r#"{"new":1,"uid":"emitter","type":3,
        "data":{"packet":{"type":2,"data":["e"],"id":1},"opts":{"rooms":[42,"a",1.5],"flags":{"new":true}}}}"#,
    )
    .unwrap();
    assert_eq!((&*message.uid, &*message.nsp), ("emitter", "/"));
    let Body::Broadcast {
        args,
        request,
        selection,
        extended,
    } = message.body
    else {
        panic!("{message:?}");
    };
    assert_eq!((&*args, request, extended), (r#"["e"]"#, None, false));
    assert_eq!(selection.rooms, ["42", "a", "1.5"]);
    assert_eq!(selection.except, [""; 0]);
    assert_eq!(selection.flags, Flags::default());
}

#[test]
fn a_message_without_a_namespace_is_about_that_of_its_channel() {
    let nsp = |json: &'static str| {
        let message = Message::decode(&json.into(), "/chat").unwrap();
        message.nsp.into_owned()
    };
    assert_eq!(nsp(r#"{"uid":"emitter","type":2}"#), "/chat");
    assert_eq!(nsp(r#"{"uid":"a","type":2,"nsp":"/"}"#), "/");
}

#[test]
fn packets_that_must_not_reach_clients_are_refused() {
    let broadcast = |args: &str| {
        decode(&format!(
            r#"{{"uid":"a","nsp":"/","type":3,"data":{{"packet":{{"type":2,"data":{args}}},"opts":{{}}}}}}"#
        ))
    };
    assert!(broadcast(r#"["e",1]"#).is_ok());
    for args in [
        "1",
        "[]",
        "[1]",
        "{}",
        r#"["connect"]"#,
        r#"["disconnect",1]"#,
    ] {
        let refused = broadcast(args);
        assert!(
            matches!(refused, Err(MessageError::Content(_))),
            "{args}: {refused:?}"
        );
    }
}

#[test]
fn malformed_messages_are_errors() {
    for bytes in [
        &b""[..],
        b"\xc1\xff",
        b"{",
        b"{}",
        b"\xff\xfe{",
        br#"{"uid":"a","nsp":"/","type":3}"#,
        br#"{"uid":"a","nsp":"/","type":7,"data":{"opts":{}}}"#,
        br#"{"uid":"a","nsp":"/","type":11,"data":{"requestId":"x","clientCount":-1}}"#,
        br#"{"uid":"a","nsp":"/","type":12,"data":{"requestId":"x","outcome":"gone"}}"#,
        br#"{"uid":"a","nsp":"/","type":-1}"#,
    ] {
        let decoded = Message::decode(&Bytes::from_static(bytes), "/");
        assert!(decoded.is_err(), "{bytes:?}: {decoded:?}");
    }
    assert_eq!(
        decode(r#"{"uid":"a","nsp":"/","type":99}"#),
        Err(MessageError::UnknownType(99))
    );
}

fn text() -> impl Strategy<Value = Cow<'static, str>> {
    any::<String>().prop_map(Cow::Owned)
}

fn texts() -> impl Strategy<Value = Vec<Cow<'static, str>>> {
    prop::collection::vec(text(), 0..3)
}

fn selection() -> impl Strategy<Value = Selection<'static>> {
    let flag = || any::<Option<bool>>();
    let timeout = prop::option::of(0..1_u64 << 50);
    let flags = (flag(), flag(), flag(), timeout);
    (texts(), texts(), flags).prop_map(|(rooms, except, (volatile, compress, single, timeout))| {
        Selection {
            rooms,
            except,
            flags: Flags {
                volatile,
                compress,
                expect_single_response: single,
                timeout,
            },
        }
    })
}

/// Returns an event with an argument, and the attachments that belong to it.
fn event() -> impl Strategy<Value = (Cow<'static, str>, Vec<Bytes>)> {
    let binary = prop::collection::vec(any::<Vec<u8>>(), 0..3);
    ("e\\PC{0,5}", any::<String>(), binary).prop_map(|(name, arg, binary)| {
        let binary: Vec<_> = binary.into_iter().map(Bytes::from).collect();
        let args = crate::EncodedArgs::event(&name, &(arg, &binary)).unwrap();
        (args.json().to_owned().into(), binary)
    })
}

pub(super) fn message() -> impl Strategy<Value = Message<'static>> {
    let broadcast = (
        event(),
        prop::option::of(text()),
        selection(),
        any::<bool>(),
    )
        .prop_map(|((args, attachments), request, selection, extended)| {
            let extended = extended && request.is_some();
            let body = Body::Broadcast {
                args,
                request,
                selection,
                extended,
            };
            (body, attachments)
        });
    let plain = |body| (body, Vec::new());
    let join = (selection(), texts())
        .prop_map(move |(selection, rooms)| plain(Body::Join { selection, rooms }));
    let wanted = prop_oneof![
        Just(Wanted::Sockets),
        Just(Wanted::Count),
        Just(Wanted::Rooms)
    ];
    let fetch = (text(), selection(), wanted).prop_map(move |(request, selection, wanted)| {
        plain(Body::Fetch {
            request,
            selection,
            wanted,
        })
    });
    let answer = (text(), prop::option::of(text()), event(), any::<bool>()).prop_map(
        |(request, sid, (args, attachments), all)| {
            let answer = ClientAnswer::Answered {
                answer: args.clone(),
                // Binary values would be encoded twice, and have different numbers.
                args: (all && attachments.is_empty()).then_some(args),
            };
            let body = Body::ClientAnswer {
                request,
                sid,
                answer,
            };
            (body, attachments)
        },
    );
    let count = (text(), any::<u32>(), texts()).prop_map(move |(request, count, sids)| {
        plain(Body::ClientCount {
            request,
            count: count.into(),
            sids,
        })
    });
    let body = prop_oneof![broadcast, join, fetch, answer, count];
    (text(), text(), body).prop_map(|(uid, nsp, (body, attachments))| Message {
        uid,
        nsp,
        body,
        attachments: attachments.into(),
    })
}

proptest! {
    #[test]
    fn a_message_that_is_encoded_is_decoded(message in message()) {
        prop_assert_eq!(Message::decode(&message.encode(), "/"), Ok(message));
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>) {
        let _ = Message::decode(&bytes.into(), "/");
    }

    #[test]
    fn no_change_of_a_message_makes_the_decoder_panic(
        at in any::<prop::sample::Index>(),
        byte: u8,
        message in message(),
    ) {
        let mut bytes = message.encode().to_vec();
        *at.get_mut(&mut bytes) = byte;
        let _ = Message::decode(&bytes.into(), "/");
    }
}

#[test]
fn a_request_ends_with_the_last_expected_answer() {
    let mut requests = Requests::new(2);
    requests.insert("a", Vec::new()).unwrap();
    assert_eq!(requests.answer("a", "s", |all| all.push(1)), None);
    assert_eq!(requests.expect("a", Expected::Count(2)), None);
    assert_eq!(requests.missing("a"), Some(1));
    assert_eq!(requests.answer("b", "s", |all| all.push(7)), None);
    let last = requests.answer("a", "t", |all| all.push(2));
    assert_eq!(last, Some(vec![1, 2]));
    assert_eq!(requests.answer("a", "s", |all| all.push(3)), None);

    requests.insert("c", vec![1]).unwrap();
    assert_eq!(requests.expect("c", Expected::Count(0)), Some(vec![1]));
}

#[test]
fn a_request_does_not_wait_for_servers_that_are_gone() {
    let servers = |uids: &[&str]| Expected::Servers(uids.iter().map(|uid| (*uid).into()).collect());
    let mut requests = Requests::new(3);
    requests.insert("a", 1).unwrap();
    assert_eq!(requests.answer("a", "s", |_| {}), None);
    assert_eq!(requests.expect("a", servers(&["s", "t", "u"])), None);
    assert_eq!(requests.answer("a", "s", |_| {}), None, "an answer twice");
    assert_eq!(requests.answer("a", "new", |_| {}), None);
    requests.insert("b", 2).unwrap();
    assert_eq!(requests.forget_server("t"), [0; 0]);
    assert_eq!(requests.missing("a"), Some(1));
    assert_eq!(requests.missing("b"), None);
    assert_eq!(requests.forget_server("u"), [1]);
    assert_eq!(requests.expect("b", servers(&[])), Some(2));
}

#[test]
fn a_server_answers_once() {
    let mut requests = Requests::new(1);
    requests.insert("a", Vec::new()).unwrap();
    assert_eq!(requests.expect("a", Expected::Count(3)), None);
    assert_eq!(requests.answer("a", "one", |all| all.push(1)), None);
    assert_eq!(requests.answer("a", "one", |all| all.push(2)), None);
    for server in [3, 4] {
        let complete = requests.answer("a", "", |all| all.push(server));
        assert_eq!(complete, (server == 4).then(|| vec![1, 3, 4]), "no id");
    }
}

#[test]
fn requests_are_limited() {
    let mut requests = Requests::new(1);
    requests.insert("a", 1).unwrap();
    assert_eq!(requests.insert("b", 2), Err(2));
    assert_eq!((requests.len(), requests.is_empty()), (1, false));
    assert_eq!(requests.remove("a"), Some(1));
    requests.insert("b", 2).unwrap();
}
