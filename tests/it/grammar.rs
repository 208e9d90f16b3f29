//! The grammar of packets: anything else closes the connection.

use std::sync::Arc;

use axum::{Json, Router};
use axum_socketio::config::{Order, Unhandled};
use axum_socketio::extract::RawArgs;
use axum_socketio::{Ack, Data, Event, Namespace, Reply, Socket, SocketIo};
use bytes::Bytes;
use proto::websocket::{Opcode, masked_frame};
use serde_json::Value;
use tokio::sync::Notify;

use crate::support::{Ended, Polling, Reasons, Server, Ws, echo, serve, within};

/// Starts a server with handlers of all kinds in `/`, and another namespace.
async fn start() -> (Server, SocketIo, Reasons) {
    let (namespace, reasons) = echo();
    let namespace = namespace
        .on("value", async |Data(value): Data<Value>| Json(value))
        .on("two", async |Data((a, b)): Data<(Bytes, Bytes)>| {
            Reply((b, a))
        })
        .on("deaf", async || {})
        .on("late", async |ack: Ack<()>| ack.send(()))
        .on("5", async || Json("five"))
        .on("error", async || Json("an error"))
        .on("message", async || Json("a message"))
        .on("connection", async || Json("a connection"))
        .on("hop", async |socket: Socket| socket.disconnect());
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .namespace("/other", Namespace::new())
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    (server, io, reasons)
}

fn closed() -> Ended {
    Ended {
        texts: vec![],
        close: Some(None),
    }
}

/// Asserts that each of these, sent by a client that has joined, closes the connection without an answer.
async fn all_close(reason: &str, cases: &[&[&str]]) {
    let (server, io, mut reasons) = start().await;
    for texts in cases {
        let mut ws = Ws::joined(server.addr).await;
        ws.send_all(texts).await;
        assert_eq!(ws.ended().await, closed(), "{texts:?}");
        assert_eq!(reasons.next().await, reason, "{texts:?}");
    }
    assert_eq!(io.client_count(), 0);
}

/// Asserts that each of these gets its answer.
async fn all_answer(cases: &[(&str, &str)]) {
    let (server, _io, mut reasons) = start().await;
    let mut ws = Ws::joined(server.addr).await;
    for (text, answer) in cases {
        ws.send(text).await;
        assert_eq!(ws.text().await, *answer, "{text}");
    }
    ws.alive().await;
    reasons.none();
}

/// Asserts that each of these has no effect.
async fn all_are_ignored(cases: &[&str]) {
    let (server, _io, mut reasons) = start().await;
    let mut ws = Ws::joined(server.addr).await;
    for text in cases {
        ws.send(text).await;
        ws.alive().await;
    }
    reasons.none();
}

#[tokio::test]
async fn an_invalid_engine_io_packet_closes() {
    let cases: [&[&str]; 7] = [&[""], &["7"], &["9"], &["x"], &["b!"], &["bA"], &["ä"]];
    all_close("parse error", &cases).await;
}

#[tokio::test]
async fn a_close_packet_closes() {
    all_close("transport close", &[&["1"], &["1abc"]]).await;
}

#[tokio::test]
async fn other_engine_io_packets_are_ignored() {
    all_are_ignored(&["0", "0{}", "3", "5", "6", "6abc"]).await;
}

#[tokio::test]
async fn an_unknown_or_missing_type_closes() {
    all_close(
        "forced close",
        &[&["4"], &["47"], &["49"], &["4abc"], &["4 2[\"e\"]"]],
    )
    .await;
}

#[tokio::test]
async fn a_payload_of_connect_is_an_object() {
    let (server, ..) = start().await;
    for text in [
        "40[]",
        "40null",
        "40\"x\"",
        "40/,[]",
        "40/other,\"x\"",
        "40{",
        "40{}x",
        "40{}{}",
        "40{a}",
    ] {
        let mut ws = Ws::open(server.addr).await;
        ws.send(text).await;
        assert_eq!(ws.ended().await, closed(), "{text}");
    }
}

#[tokio::test]
async fn a_disconnect_has_no_payload() {
    all_close("forced close", &[&["41{}"], &["41[]"], &["41x"]]).await;
}

#[tokio::test]
async fn a_client_does_not_refuse() {
    all_close(
        "forced close",
        &[&["44"], &["44{}"], &["44\"x\""], &["44/other,{}"]],
    )
    .await;
}

#[tokio::test]
async fn an_event_is_an_array_that_begins_with_its_name() {
    let cases: [&[&str]; 14] = [
        &["42"],
        &["421"],
        &["42/,"],
        &["42{}"],
        &["42\"x\""],
        &["42[]"],
        &["42[true]"],
        &["42[null]"],
        &["42[{}]"],
        &["42[[\"e\"]]"],
        &["42[,\"e\"]"],
        &["42null"],
        &["42[\"e]"],
        &["42 [\"e\"]"],
    ];
    all_close("forced close", &cases).await;
}

#[tokio::test]
async fn reserved_names_are_no_events() {
    let cases: [&[&str]; 8] = [
        &[r#"42["connect"]"#],
        &[r#"42["connect_error",1]"#],
        &[r#"42["disconnect"]"#],
        &[r#"42["disconnecting"]"#],
        &[r#"42["newListener"]"#],
        &[r#"42["removeListener"]"#],
        &[r#"42["\u0063onnect"]"#],
        &[r#"421["disconnect"]"#],
    ];
    all_close("forced close", &cases).await;
}

#[tokio::test]
async fn numbers_and_unreserved_names_are_events() {
    all_answer(&[
        ("421[5,1]", r#"431["five"]"#),
        (r#"422["error"]"#, r#"432["an error"]"#),
        (r#"423["message"]"#, r#"433["a message"]"#),
        (r#"424["connection"]"#, r#"434["a connection"]"#),
        (r#"42/,5["echo",1]"#, "435[1]"),
        (r#"426[ "echo" , 1 ]"#, "436[1]"),
        (r#"427["\u0065cho",1]"#, "437[1]"),
        (
            r#"420["value",{"_placeholder":true,"num":7}]"#,
            r#"430[{"_placeholder":true,"num":7}]"#,
        ),
        (r#"42007["echo",1]"#, "437[1]"),
    ])
    .await;
}

#[tokio::test]
async fn an_ack_is_an_array_and_one_that_nobody_awaits_is_ignored() {
    all_are_ignored(&["43", "431", "43[]", "431[]", "437[1,{\"a\":[]}]"]).await;
    let cases: [&[&str]; 6] = [
        &["43{}"],
        &["431{}"],
        &["431\"x\""],
        &["431["],
        &["431[1"],
        &["431[]x"],
    ];
    all_close("forced close", &cases).await;
}

#[tokio::test]
async fn an_ack_id_fits_64_bits() {
    all_answer(&[(
        r#"4218446744073709551615["echo",1]"#,
        "4318446744073709551615[1]",
    )])
    .await;
    all_close(
        "forced close",
        &[
            &[r#"4218446744073709551616["echo"]"#],
            &[r#"42-1["echo"]"#],
            &[r#"421.5["echo"]"#],
        ],
    )
    .await;
}

#[tokio::test]
async fn the_number_of_attachments_is_a_number_and_not_zero() {
    let cases: [&[&str]; 10] = [
        &["45[\"x\"]"],
        &["451[\"x\"]"],
        &["45a-[\"x\"]"],
        &["451.5-[\"x\"]"],
        &["45-1-[\"x\"]"],
        &["45-[\"x\"]"],
        &["45+1-[\"x\"]"],
        &["450-[\"x\"]"],
        &["4500-[\"x\"]"],
        &["460-1[]"],
    ];
    all_close("forced close", &cases).await;
}

#[tokio::test]
async fn ten_attachments_pass_and_eleven_do_not() {
    let (server, ..) = start().await;
    let mut ws = Ws::joined(server.addr).await;
    let places: Vec<_> = (0..10)
        .map(|n| format!(r#"{{"_placeholder":true,"num":{n}}}"#))
        .collect();
    ws.send(&format!(r#"4510-1["deaf",{}]"#, places.join(",")))
        .await;
    for n in 0..10 {
        ws.send_binary(&[n]).await;
    }
    assert_eq!(ws.text().await, "431[]");
    ws.alive().await;
    let more: [&[&str]; 4] = [
        &["4511-[\"x\"]"],
        &["45999999999-[\"x\"]"],
        &["4599999999999999999999999-[\"x\"]"],
        &["4611-1[]"],
    ];
    all_close("forced close", &more).await;
}

#[tokio::test]
async fn placeholders_refer_to_attachments() {
    let cases: [&[&str]; 6] = [
        &[r#"451-["bytes",{"_placeholder":true,"num":1}]"#],
        &[r#"451-["bytes",{"_placeholder":true,"num":-1}]"#],
        &[r#"451-["bytes",{"_placeholder":true,"num":"0"}]"#],
        &[r#"451-["bytes",{"_placeholder":true,"num":0.5}]"#],
        &[r#"451-["bytes",{"_placeholder":true,"num":null}]"#],
        &[r#"451-["bytes",{"_placeholder":true,"num":99999999999999999999}]"#],
    ];
    all_close("forced close", &cases).await;
}

#[tokio::test]
async fn one_attachment_may_stand_in_two_places() {
    let (server, ..) = start().await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send(r#"451-1["two",{"_placeholder":true,"num":0},{"num":0,"_placeholder":true}]"#)
        .await;
    ws.send_binary(b"x").await;
    assert_eq!(
        ws.text().await,
        r#"462-1[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#
    );
    assert_eq!(ws.binary().await, "x");
    assert_eq!(ws.binary().await, "x");
    ws.alive().await;
}

#[tokio::test]
async fn attachments_may_come_as_base64_text() {
    let (server, ..) = start().await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send_all(&[r#"451-1["bytes",{"_placeholder":true,"num":0}]"#, "bAQID"])
        .await;
    assert_eq!(ws.text().await, r#"461-1[{"_placeholder":true,"num":0}]"#);
    assert_eq!(ws.binary().await, &[1, 2, 3][..]);
}

#[tokio::test]
async fn text_while_attachments_are_pending_closes() {
    const ONE: &str = r#"451-["bytes",{"_placeholder":true,"num":0}]"#;
    let cases: [&[&str]; 5] = [
        &[ONE, "42[\"echo\"]"],
        &[ONE, "40/other,"],
        &[ONE, "42/other,[\"e\"]"],
        &[ONE, ONE],
        &[ONE, "4"],
    ];
    all_close("forced close", &cases).await;
}

#[tokio::test]
async fn heartbeats_between_attachments_do_no_harm() {
    let (server, ..) = start().await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send_all(&[r#"451-1["bytes",{"_placeholder":true,"num":0}]"#, "3", "6"])
        .await;
    ws.send_raw(&masked_frame(Opcode::Ping, b"ping", [1, 2, 3, 4]))
        .await;
    ws.send_binary(b"").await;
    assert!(matches!(
        ws.event().await,
        Some(proto::websocket::WebSocketEvent::Pong(data)) if data == "ping"
    ));
    assert_eq!(ws.text().await, r#"461-1[{"_placeholder":true,"num":0}]"#);
    assert_eq!(ws.binary().await, "");
}

#[tokio::test]
async fn binary_while_none_is_pending_closes() {
    let (server, _io, mut reasons) = start().await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send_binary(b"42[\"echo\"]").await;
    assert_eq!(ws.ended().await, closed());
    assert_eq!(reasons.next().await, "forced close");
    all_close("forced close", &[&["bAQID"]]).await;
}

#[tokio::test]
async fn malformed_arguments_close_whoever_would_have_had_them() {
    let tails = [
        "",
        "]x",
        ",]",
        ",tru]",
        ",{]",
        ",{}",
        ",{\"a\"}]",
        ",[1,]]",
        ",1 2]",
        ",01]",
        ",'x']",
        ",\"\\q\"]",
        ",\"\n\"]",
        ",NaN]",
        "]]",
        "][]",
        "}",
    ];
    // Events whose handlers have arguments or none, and an event without a handler.
    for event in ["echo", "value", "deaf", "late", "nobody"] {
        let texts: Vec<String> = tails
            .iter()
            .flat_map(|tail| {
                [
                    format!("42[\"{event}\"{tail}"),
                    format!("421[\"{event}\"{tail}"),
                ]
            })
            .collect();
        let texts: Vec<[&str; 1]> = texts.iter().map(|text| [text.as_str()]).collect();
        let cases: Vec<&[&str]> = texts.iter().map(|text| &text[..]).collect();
        all_close("forced close", &cases).await;
    }
}

#[tokio::test]
async fn malformed_arguments_close_also_over_polling() {
    let (server, _io, mut reasons) = start().await;
    let mut client = Polling::joined(server.addr).await;
    client.begin_poll(&server).await;
    client.send("421[\"deaf\",{]").await;
    assert_eq!(client.end_poll().await.brief(), (200, "1"));
    assert_eq!(reasons.next().await, "forced close");
    client.gone().await;
}

#[tokio::test]
async fn arguments_that_are_json_but_cannot_be_read_are_answered_with_an_error() {
    let (server, _io, mut reasons) = start().await;
    let mut ws = Ws::joined(server.addr).await;
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    for argument in [
        deep.as_str(),
        r#""\ud800""#,
        r#""\udc00x""#,
        "1e999",
        "-1e999",
    ] {
        ws.send(&format!("421[\"value\",{argument}]")).await;
        let answer = ws.text().await;
        assert!(
            answer.starts_with(r#"431[{"error":""#),
            "{argument}: {answer}"
        );
        // A handler that does not take the arguments is not affected.
        ws.send(&format!("422[\"deaf\",{argument}]")).await;
        assert_eq!(ws.text().await, "432[]");
        ws.alive().await;
    }
    reasons.none();
}

#[tokio::test]
async fn very_deep_nesting_does_not_harm_the_server() {
    let (server, ..) = start().await;
    let deep = format!("{}{}", "[".repeat(400_000), "]".repeat(400_000));
    for event in ["value", "echo", "deaf", "nobody"] {
        let mut ws = Ws::joined(server.addr).await;
        ws.send(&format!("421[\"{event}\",{deep}]")).await;
        assert!(ws.text().await.starts_with("431["));
        ws.alive().await;
    }
}

#[tokio::test]
async fn an_event_that_nobody_handles_is_answered_with_an_error() {
    all_answer(&[(
        r#"421["nobody",1]"#,
        r#"431[{"error":"no handler for \"nobody\""}]"#,
    )])
    .await;
    all_are_ignored(&[r#"42["nobody",1]"#]).await;
}

#[tokio::test]
async fn an_event_that_nobody_handles_is_answered_with_silence_if_so_wished() {
    let (namespace, _reasons) = echo();
    let io = SocketIo::builder()
        .namespace("/", namespace.unhandled(Unhandled::Silent))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send(r#"421["nobody",1]"#).await;
    ws.alive().await;
}

#[tokio::test]
async fn packets_for_a_namespace_that_is_not_joined_close() {
    let cases: [&[&str]; 6] = [
        &["42/other,[\"e\"]"],
        &["41/other,"],
        &["43/other,1[]"],
        &["42/nowhere,[\"e\"]"],
        &["40/nowhere,", "42/nowhere,[\"e\"]"],
        &["41/nowhere"],
    ];
    let (server, ..) = start().await;
    for texts in cases {
        let mut ws = Ws::joined(server.addr).await;
        ws.send_all(texts).await;
        assert_eq!(ws.ended().await.close, Some(None), "{texts:?}");
        let mut ws = Ws::open(server.addr).await;
        ws.send_all(texts).await;
        assert_eq!(ws.ended().await.close, Some(None), "{texts:?}");
    }
}

#[tokio::test]
async fn packets_for_a_namespace_that_was_left_close() {
    let cases: [&[&str]; 3] = [&["41", "42[\"echo\"]"], &["41", "41"], &["41", "431[]"]];
    all_close("client namespace disconnect", &cases).await;
}

#[tokio::test]
async fn events_before_a_disconnect_are_handled() {
    let (server, _io, mut reasons) = start().await;
    let mut ws = Ws::joined(server.addr).await;
    ws.join("/other").await;
    ws.send_all(&[r#"421["echo","last"]"#, "41"]).await;
    assert_eq!(ws.text().await, r#"431["last"]"#);
    assert_eq!(reasons.next().await, "client namespace disconnect");
    ws.join("/").await;
    ws.alive().await;
}

#[tokio::test]
async fn packets_that_cross_a_disconnect_of_the_server_are_dropped() {
    let (server, _io, mut reasons) = start().await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send_all(&[r#"42["hop"]"#, r#"421["echo",1]"#, "41"])
        .await;
    assert_eq!(ws.text().await, "41");
    assert_eq!(reasons.next().await, "server namespace disconnect");
    ws.join("/").await;
    ws.alive().await;
}

#[tokio::test]
async fn queued_events_are_dropped_when_the_server_disconnects() {
    let (namespace, mut reasons) = echo();
    let namespace = namespace
        .on("hop", async |socket: Socket| {
            tokio::task::yield_now().await;
            socket.disconnect();
        })
        .order(Order::Completed);
    let io = SocketIo::builder().namespace("/", namespace).build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send_all(&[r#"42["hop"]"#, r#"421["echo",1]"#]).await;
    assert_eq!(ws.text().await, "41");
    assert_eq!(reasons.next().await, "server namespace disconnect");
    ws.join("/").await;
    ws.alive().await;
}

#[tokio::test]
async fn events_right_behind_connect_wait_for_its_handler_and_keep_their_order() {
    let go = Arc::new(Notify::new());
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let (gate, connected) = (Arc::clone(&go), sender.clone());
    let namespace = Namespace::new()
        .on_connect(move || {
            let (gate, connected) = (Arc::clone(&gate), connected.clone());
            async move {
                gate.notified().await;
                let _ = connected.send("connected".to_owned());
            }
        })
        .fallback(move |Event(name), args: RawArgs| {
            let _ = sender.send(format!("{name} {}", args.json()));
            std::future::ready(())
        });
    let io = SocketIo::builder().namespace("/", namespace).build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut ws = Ws::open(server.addr).await;
    ws.send_all(&["40", "42[\"a\",0]", "421[\"b\",1]", "42[\"c\",2]"])
        .await;
    assert!(ws.text().await.starts_with("40{"));
    assert!(events.try_recv().is_err());
    go.notify_one();
    for expected in ["connected", "a [0]", "b [1]", "c [2]"] {
        let event = within("an event", events.recv()).await;
        assert_eq!(event.as_deref(), Some(expected));
    }
    assert_eq!(ws.text().await, "431[]");
}

#[tokio::test]
async fn a_violation_closes_all_namespaces_of_the_connection_and_no_other() {
    let (server, _io, mut reasons) = start().await;
    let mut other = Ws::joined(server.addr).await;
    let mut ws = Ws::joined(server.addr).await;
    ws.join("/other").await;
    ws.send("42/other,[]").await;
    assert_eq!(ws.ended().await, closed());
    assert_eq!(reasons.next().await, "forced close");
    other.alive().await;
    reasons.none();
}

#[tokio::test]
async fn frames_that_break_websocket_close_with_its_code() {
    let (server, _io, mut reasons) = start().await;
    let cases: [(&[u8], u16); 8] = [
        // A frame that is not masked.
        (b"\x81\x012", 1002),
        // A reserved bit, an unknown opcode, and a continuation without a beginning.
        (b"\xc1\x80\0\0\0\0", 1002),
        (b"\x83\x80\0\0\0\0", 1002),
        (b"\x80\x80\0\0\0\0", 1002),
        // A fragmented ping, and a length that is not in its shortest form.
        (b"\x09\x80\0\0\0\0", 1002),
        (b"\x81\xfe\x00\x01\0\0\0\0x", 1002),
        // A bad close code, and text that is not UTF-8.
        (b"\x88\x82\0\0\0\0\x03\xed", 1002),
        (b"\x81\x81\0\0\0\0\xff", 1007),
    ];
    for (bytes, code) in cases {
        let mut ws = Ws::joined(server.addr).await;
        ws.send_raw(bytes).await;
        assert_eq!(ws.ended().await.close, Some(Some(code)), "{bytes:?}");
        assert_eq!(reasons.next().await, "transport error", "{bytes:?}");
    }
}

#[tokio::test]
async fn messages_may_come_in_fragments_and_byte_by_byte() {
    let (server, ..) = start().await;
    let mut ws = Ws::joined(server.addr).await;
    let text = r#"421["echo","€"]"#.as_bytes();
    let mut frames = Vec::new();
    for (n, byte) in text.iter().enumerate() {
        let fin = if n + 1 == text.len() { 0x80 } else { 0 };
        let opcode = u8::from(n == 0);
        frames.extend_from_slice(&[fin | opcode, 0x81, 0, 0, 0, 0, *byte]);
    }
    for byte in frames {
        ws.send_raw(&[byte]).await;
    }
    assert_eq!(ws.text().await, r#"431["€"]"#);
}

#[tokio::test]
async fn a_close_with_a_code_is_answered_with_it() {
    let (server, _io, mut reasons) = start().await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send_raw(b"\x88\x82\0\0\0\0\x03\xe9").await;
    assert_eq!(ws.ended().await.close, Some(Some(1001)));
    assert_eq!(reasons.next().await, "transport close");
}
