//! Polling: payloads in both directions, and every misuse of the transport.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum_socketio::{Data, Limits, Namespace, Socket, SocketIo, Timeouts};
use bytes::Bytes;
use tower::ServiceExt;

use crate::support::{Http, Polling, serve, start};

const CODE_1: &str = r#"{"code":1,"message":"Session ID unknown"}"#;

#[tokio::test]
async fn a_poll_waits_until_there_is_something() {
    let (server, io, _) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    client.begin_poll(&server).await;
    io.emit("news", 1);
    let answer = client.end_poll().await;
    assert_eq!(answer.brief(), (200, r#"42["news",1]"#));
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=UTF-8")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_post_is_answered_ok() {
    let (server, ..) = start(|io| io).await;
    let mut client = Polling::open(server.addr).await;
    let answer = client.post("40").await;
    assert_eq!(answer.brief(), (200, "ok"));
    assert_eq!(answer.header("content-type"), Some("text/html"));
    assert_eq!(answer.header("content-length"), Some("2"));
}

#[tokio::test]
async fn a_payload_carries_several_packets_in_order() {
    let (server, ..) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    client
        .send("421[\"echo\",\"a\"]\x1e422[\"echo\",\"b\"]\x1e423[\"echo\",\"c\"]")
        .await;
    assert_eq!(
        client.poll().await,
        "431[\"a\"]\x1e432[\"b\"]\x1e433[\"c\"]"
    );
}

#[tokio::test]
async fn a_handshake_and_a_connect_may_share_a_payload_with_events() {
    let (server, ..) = start(|io| io).await;
    let mut client = Polling::open(server.addr).await;
    client.send("40\x1e421[\"echo\",\"early\"]").await;
    let body = client.poll().await;
    let (connect, ack) = body.split_once('\x1e').unwrap();
    assert!(connect.starts_with(r#"40{"sid":"#));
    assert_eq!(ack, r#"431["early"]"#);
}

#[tokio::test]
async fn binary_travels_as_base64_both_ways() {
    let (server, ..) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    client
        .send("451-7[\"bytes\",{\"_placeholder\":true,\"num\":0}]\x1ebAQIDBA==")
        .await;
    assert_eq!(
        client.poll().await,
        "461-7[{\"_placeholder\":true,\"num\":0}]\x1ebAQIDBA=="
    );
}

#[tokio::test]
async fn attachments_may_come_in_a_later_post() {
    let (server, ..) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    client
        .send(r#"451-7["bytes",{"_placeholder":true,"num":0}]"#)
        .await;
    client.send("bAAAA").await;
    assert_eq!(
        client.poll().await,
        "461-7[{\"_placeholder\":true,\"num\":0}]\x1ebAAAA"
    );
}

#[tokio::test]
async fn overlapping_polls_close_the_session() {
    let (server, io, mut reasons) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    client.begin_poll(&server).await;
    let second = Http::once(server.addr, "GET", &client.target()).await;
    assert_eq!(second.brief(), (400, ""));
    assert_eq!(client.end_poll().await.brief(), (200, "1"));
    assert_eq!(reasons.next().await, "transport error");
    client.gone().await;
    assert_eq!(io.client_count(), 0);
}

#[tokio::test]
async fn overlapping_posts_close_the_session() {
    let (server, io, mut reasons) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    client.begin_post(&server, 100, b"42[").await;
    let mut other = Http::open(server.addr).await;
    let second = other.ask("POST", &client.target(), &[], b"40").await;
    assert_eq!(second.brief(), (400, ""));
    assert_eq!(reasons.next().await, "transport error");
    // The server does not wait for the first POST any longer.
    assert_eq!(client.end_post().await.brief(), (400, CODE_1));
    client.gone().await;
    assert_eq!(io.client_count(), 0);
}

#[tokio::test]
async fn a_post_that_never_ends_does_not_outlive_its_session() {
    let (server, _io, mut reasons) = start(|io| {
        io.timeouts(
            Timeouts::new()
                .ping_interval(Duration::from_millis(100))
                .ping_timeout(Duration::from_millis(500)),
        )
    })
    .await;
    let mut client = Polling::joined(server.addr).await;
    client.begin_post(&server, 100, b"42[").await;
    assert_eq!(reasons.next().await, "ping timeout");
    assert_eq!(client.end_post().await.brief(), (400, CODE_1));
}

#[tokio::test]
async fn an_aborted_poll_closes_the_session() {
    let (server, io, mut reasons) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    client.begin_poll(&server).await;
    let target = client.target();
    drop(client);
    assert_eq!(reasons.next().await, "transport error");
    let answer = Http::once(server.addr, "GET", &target).await;
    assert_eq!(answer.brief(), (400, CODE_1));
    assert_eq!(io.client_count(), 0);
}

#[tokio::test]
async fn an_aborted_post_closes_the_session() {
    let (server, io, mut reasons) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    client.begin_post(&server, 100, b"42[").await;
    let target = client.target();
    drop(client);
    assert_eq!(reasons.next().await, "transport error");
    let answer = Http::once(server.addr, "GET", &target).await;
    assert_eq!(answer.brief(), (400, CODE_1));
    assert_eq!(io.client_count(), 0);
}

#[tokio::test]
async fn a_post_that_a_layer_gives_up_closes_the_session() {
    let (server, io, mut reasons) = start(|io| io).await;
    let client = Polling::joined(server.addr).await;
    // The layer drops the response while the body is still open, as a timeout does, and unlike a client that
    // disconnects.
    let body = Body::from_stream(futures_util::stream::pending::<Result<Bytes, Infallible>>());
    let request = Request::post(client.target()).body(body).unwrap();
    let mut answer = Box::pin(io.service().oneshot(request));
    assert!(
        futures_util::future::poll_immediate(&mut answer)
            .await
            .is_none()
    );
    drop(answer);
    assert_eq!(reasons.next().await, "transport error");
    client.gone().await;
}

#[tokio::test]
async fn a_binary_post_closes_the_session() {
    let (server, _io, mut reasons) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    let answer = client
        .post_with(&[("Content-Type", "application/octet-stream")], "40")
        .await;
    assert_eq!(answer.brief(), (400, ""));
    assert_eq!(reasons.next().await, "transport error");
    client.gone().await;
}

#[tokio::test]
async fn a_body_may_be_as_long_as_the_limit_and_no_longer() {
    let (server, _io, mut reasons) = start(|io| io.limits(Limits::new().max_payload(100))).await;
    let mut client = Polling::joined(server.addr).await;
    let event = |length: usize| format!(r#"421["echo","{}"]"#, "x".repeat(length - 14));
    assert_eq!(event(100).len(), 100);
    client.send(&event(100)).await;
    assert!(client.poll().await.starts_with(r#"431["xxx"#));
    let answer = client.post(event(101)).await;
    assert_eq!(answer.brief(), (413, ""));
    assert_eq!(reasons.next().await, "transport error");
    client.gone().await;
}

#[tokio::test]
async fn a_chunked_body_has_the_same_limit() {
    let (server, _io, mut reasons) = start(|io| io.limits(Limits::new().max_payload(100))).await;
    let mut client = Polling::joined(server.addr).await;
    let chunk = format!("32\r\n{}\r\n", "x".repeat(50));
    let body = format!("{chunk}{chunk}{chunk}0\r\n\r\n");
    let answer = client
        .post_with(&[("Transfer-Encoding", "chunked")], body)
        .await;
    assert_eq!(answer.brief(), (413, ""));
    assert_eq!(reasons.next().await, "transport error");
    client.gone().await;
}

#[tokio::test]
async fn a_character_may_be_split_between_chunks() {
    let (server, ..) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    let text = r#"421["echo","€ä🦀"]"#.as_bytes();
    let mut body = Vec::new();
    for byte in text {
        body.extend_from_slice(b"1\r\n");
        body.push(*byte);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    let answer = client
        .post_with(&[("Transfer-Encoding", "chunked")], body)
        .await;
    assert_eq!(answer.brief(), (200, "ok"));
    assert_eq!(client.poll().await, r#"431["€ä🦀"]"#);
}

#[tokio::test]
async fn an_invalid_payload_is_answered_400_and_closes_the_session() {
    let (server, io, mut reasons) = start(|io| io).await;
    let bodies: [&[u8]; 9] = [
        b"",
        b"abc",
        b"9",
        b"42[\"e\"]\x1e",
        b"\x1e42[\"e\"]",
        b"42[\"e\"]\x1e\x1e42[\"e\"]",
        b"b!!!",
        b"42[\"\xff\"]",
        b"42[\"\xe2\x82\"]",
    ];
    for body in bodies {
        let mut client = Polling::joined(server.addr).await;
        let answer = client.post(body).await;
        assert_eq!(answer.brief(), (400, ""), "{body:?}");
        assert_eq!(reasons.next().await, "parse error", "{body:?}");
        client.gone().await;
    }
    assert_eq!(io.client_count(), 0);
}

#[tokio::test]
async fn packets_before_an_invalid_one_are_handled() {
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let namespace = Namespace::new().on("e", move |Data(n): Data<u8>| {
        let _ = sender.send(n);
        std::future::ready(())
    });
    let io = SocketIo::builder().namespace("/", namespace).build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Polling::joined(server.addr).await;
    let answer = client
        .post("42[\"e\",1]\x1e42[\"e\",2]\x1ejunk\x1e42[\"e\",3]")
        .await;
    assert_eq!(answer.brief(), (400, ""));
    assert_eq!(events.recv().await, Some(1));
    assert_eq!(events.recv().await, Some(2));
    client.gone().await;
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn a_client_that_closes_gets_its_poll_back() {
    let (server, io, mut reasons) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    client.begin_poll(&server).await;
    client.send("1").await;
    assert_eq!(client.end_poll().await.brief(), (200, "6"));
    assert_eq!(reasons.next().await, "transport close");
    client.gone().await;
    assert_eq!(io.client_count(), 0);
}

#[tokio::test]
async fn packets_after_a_close_are_not_handled() {
    let (server, _io, mut reasons) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    client.send("1\x1e42[\"echo\"]\x1ejunk").await;
    assert_eq!(reasons.next().await, "transport close");
    client.gone().await;
}

#[tokio::test]
async fn a_pending_poll_learns_of_the_end() {
    let (server, io, mut reasons) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    client.begin_poll(&server).await;
    io.close();
    assert_eq!(client.end_poll().await.brief(), (200, "1"));
    assert_eq!(reasons.next().await, "server shutting down");
    client.gone().await;
}

#[tokio::test]
async fn the_next_polls_get_what_was_left_and_learn_of_the_end() {
    let (server, io, mut reasons) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    io.emit("last", 1);
    io.emit("last", 2);
    io.close();
    assert_eq!(client.poll().await, "42[\"last\",1]\x1e42[\"last\",2]");
    assert_eq!(client.poll().await, "6\x1e1");
    assert_eq!(reasons.next().await, "server shutting down");
    client.gone().await;
}

#[tokio::test]
async fn remaining_packets_may_take_several_polls() {
    let (server, io, _) = start(|io| io.limits(Limits::new().max_poll_packets(16))).await;
    let mut client = Polling::joined(server.addr).await;
    for n in 0..20 {
        io.emit("n", n);
    }
    io.close();
    let first = client.poll().await;
    assert_eq!(first.split('\x1e').count(), 16);
    let second = client.poll().await;
    assert_eq!(second.split('\x1e').count(), 4);
    assert_eq!(client.poll().await, "6\x1e1");
    client.gone().await;
}

#[tokio::test]
async fn a_disconnected_polling_client_gets_a_packet_and_a_close() {
    let namespace = Namespace::new().on("out", async |socket: Socket| {
        socket.emit("bye", ());
        socket.disconnect_all();
    });
    let io = SocketIo::builder().namespace("/", namespace).build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Polling::joined(server.addr).await;
    client.send(r#"42["out"]"#).await;
    assert_eq!(client.poll().await, "42[\"bye\"]\x1e41");
    assert_eq!(client.poll().await, "6\x1e1");
    client.gone().await;
}

#[tokio::test]
async fn cache_busters_are_ignored_and_repeated_parameters_count_last() {
    let (server, ..) = start(|io| io).await;
    let target = "/socket.io/?transport=abc&t=xyz&EIO=3&EIO=4&transport=polling&b64=1";
    let answer = Http::once(server.addr, "GET", target).await;
    assert_eq!(answer.status, 200);
}
