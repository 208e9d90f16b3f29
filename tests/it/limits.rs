//! A test of every limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::{Json, Router};
use axum_socketio::config::Order;
use axum_socketio::emit::{AckError, EmitError};
use axum_socketio::rooms::JoinError;
use axum_socketio::{Data, Limits, Namespace, Socket, SocketIo, Timeouts};
use bytes::Bytes;
use futures_util::future::poll_immediate;
use proto::websocket::{Opcode, WebSocketEvent, masked_frame};
use tokio::sync::{Semaphore, mpsc};

use crate::support::{
    Clock, Http, Logs, POLLING, Polling, Reasons, Server, Ws, echo, serve, start, until, within,
};

#[tokio::test]
async fn a_message_may_be_as_long_as_the_limit_and_no_longer() {
    let (server, _io, mut reasons) = start(|io| io.limits(Limits::new().max_payload(100))).await;
    let mut other = Ws::joined(server.addr).await;
    let mut ws = Ws::joined(server.addr).await;
    let event = |length: usize| format!(r#"421["echo","{}"]"#, "x".repeat(length - 14));
    ws.send(&event(100)).await;
    assert!(ws.text().await.starts_with(r#"431["xxx"#));
    ws.send(&event(101)).await;
    assert_eq!(ws.ended().await.close, Some(Some(1009)));
    assert_eq!(reasons.next().await, "transport error");
    other.alive().await;
    reasons.none();
}

#[tokio::test]
async fn a_message_in_fragments_has_the_same_limit() {
    let (server, _io, mut reasons) = start(|io| io.limits(Limits::new().max_payload(100))).await;
    let mut other = Ws::joined(server.addr).await;
    let mut ws = Ws::joined(server.addr).await;
    let mut first = masked_frame(Opcode::Text, &[b'4'; 60], [0; 4]).to_vec();
    first[0] = 1;
    let more = masked_frame(Opcode::Continuation, &[b'x'; 60], [0; 4]);
    ws.send_raw(&[&first[..], &more[..]].concat()).await;
    assert_eq!(ws.ended().await.close, Some(Some(1009)));
    assert_eq!(reasons.next().await, "transport error");
    other.alive().await;
    reasons.none();
}

#[tokio::test]
async fn a_length_is_not_believed_before_its_bytes_come() {
    let (server, _io, mut reasons) = start(|io| io).await;
    let mut other = Ws::joined(server.addr).await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send_raw(b"\x82\xff\x00\x00\x00\xff\xff\xff\xff\xff\0\0\0\0")
        .await;
    assert_eq!(ws.ended().await.close, Some(Some(1009)));
    assert_eq!(reasons.next().await, "transport error");
    other.alive().await;
    reasons.none();
}

/// Asserts that one record names the option and the size, that the metrics have labels of their own, and that handlers
/// get Node's reason.
#[track_caller]
fn is_too_large(logs: &Logs, io: &SocketIo, size: &str) {
    let records = logs.records();
    assert_eq!(records.len(), 1, "{records:?}");
    for text in ["WARN", "max_payload", "limit=100", size] {
        assert!(records[0].contains(text), "{text} in {records:?}");
    }
    let metrics = io.metrics();
    assert_eq!(metrics.input_refused["max_payload"], 1);
    assert_eq!(metrics.connections_closed["payload too large"], 1);
    assert_eq!(metrics.connections_closed["transport error"], 0);
    assert_eq!(metrics.sockets_disconnected["transport error"], 1);
}

#[tokio::test]
async fn a_message_over_the_limit_is_logged_with_the_option_and_counted() {
    let logs = Logs::collect("warn");
    let (server, io, mut reasons) = start(|io| io.limits(Limits::new().max_payload(100))).await;
    let mut other = Ws::joined(server.addr).await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send(&format!("42[{}]", "x".repeat(200))).await;
    assert_eq!(ws.ended().await.close, Some(Some(1009)));
    assert_eq!(reasons.next().await, "transport error");
    other.alive().await;
    reasons.none();
    is_too_large(&logs, &io, "size=204");
}

#[tokio::test]
async fn a_body_over_the_limit_is_logged_with_the_option_and_counted() {
    let logs = Logs::collect("warn");
    let (server, io, mut reasons) = start(|io| io.limits(Limits::new().max_payload(100))).await;
    let mut other = Ws::joined(server.addr).await;
    let mut client = Polling::joined(server.addr).await;
    assert_eq!(client.post("x".repeat(201)).await.status, 413);
    assert_eq!(reasons.next().await, "transport error");
    other.alive().await;
    reasons.none();
    is_too_large(&logs, &io, "size=201");
}

#[tokio::test]
async fn a_body_whose_length_is_not_announced_is_logged_when_it_is_too_long() {
    let logs = Logs::collect("warn");
    let (server, io, mut reasons) = start(|io| io.limits(Limits::new().max_payload(100))).await;
    let mut other = Ws::joined(server.addr).await;
    let mut client = Polling::joined(server.addr).await;
    let body = format!("c9\r\n{}\r\n0\r\n\r\n", "x".repeat(201));
    let chunked = [("Transfer-Encoding", "chunked")];
    assert_eq!(client.post_with(&chunked, body).await.status, 413);
    assert_eq!(reasons.next().await, "transport error");
    other.alive().await;
    reasons.none();
    is_too_large(&logs, &io, "");
}

#[tokio::test]
async fn a_message_over_the_limit_during_an_upgrade_ends_the_upgrade_alone() {
    let logs = Logs::collect("warn");
    let (server, io, mut reasons) = start(|io| io.limits(Limits::new().max_payload(100))).await;
    let mut client = Polling::joined(server.addr).await;
    let mut ws = Ws::upgrade(client.addr, &client.sid).await.unwrap();
    ws.send(&"x".repeat(200)).await;
    ws.ended().await;
    assert_eq!(logs.with("max_payload").len(), 1);
    assert_eq!(io.metrics().input_refused["max_payload"], 1);
    client.send(r#"421["echo"]"#).await;
    client.expect(&["431[]"]).await;
    reasons.none();
}

#[tokio::test]
async fn a_layer_that_limits_bodies_to_less_is_reported() {
    let logs = Logs::collect("warn");
    let (namespace, mut reasons) = echo();
    let io = SocketIo::builder().namespace("/", namespace).build();
    let limit = tower::util::MapRequestLayer::new(|request: axum::extract::Request| {
        request.map(|body| axum::body::Body::new(http_body_util::Limited::new(body, 100)))
    });
    let server = serve(Router::new().layer(io.layer()).layer(limit)).await;
    let mut client = Polling::joined(server.addr).await;
    assert_eq!(client.post("x".repeat(201)).await.status, 413);
    assert_eq!(reasons.next().await, "transport error");
    assert_eq!(logs.with("a layer around this server").len(), 1);
    assert_eq!(io.metrics().requests_refused["BODY_LIMIT"], 1);
    assert_eq!(io.metrics().connections_closed["payload too large"], 1);
}

#[tokio::test]
async fn packets_over_other_limits_are_logged_with_the_option_and_counted() {
    for (option, packets) in [
        ("max_attachments", &[r#"4511-["x"]"#][..]),
        ("max_event_len", &[r#"42["xxxxxxxxxxx"]"#]),
        ("max_namespace_len", &["40/xxxxxxxxxxx,"]),
        ("max_namespaces", &["40/a,", "40/b,"]),
    ] {
        let logs = Logs::collect("warn");
        let (server, io, mut reasons) = start(|io| {
            let io = io
                .namespace("/a", Namespace::new())
                .namespace("/b", Namespace::new());
            io.limits(
                Limits::new()
                    .max_event_len(10)
                    .max_namespace_len(10)
                    .max_namespaces(2),
            )
        })
        .await;
        let mut other = Ws::joined(server.addr).await;
        let mut ws = Ws::joined(server.addr).await;
        ws.send_all(packets).await;
        assert_eq!(reasons.next().await, "forced close", "{option}");
        other.alive().await;
        reasons.none();
        assert_eq!(logs.with(option).len(), 1, "{option}: {:?}", logs.records());
        assert_eq!(io.metrics().input_refused[option], 1, "{option}");
    }
    let logs = Logs::collect("warn");
    let (server, io, mut reasons) = start(|io| io.limits(Limits::new().max_packet_bytes(10))).await;
    let mut other = Ws::joined(server.addr).await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send(r#"451-["x",{"_placeholder":true,"num":0}]"#).await;
    ws.send_binary(&[0; 11]).await;
    assert_eq!(reasons.next().await, "forced close");
    other.alive().await;
    reasons.none();
    assert_eq!(logs.with("max_packet_bytes").len(), 1);
    assert_eq!(io.metrics().input_refused["max_packet_bytes"], 1);
    let logs = Logs::collect("warn");
    let (server, io, _reasons) = start(|io| io.limits(Limits::new().max_auth_len(10))).await;
    let mut ws = Ws::open(server.addr).await;
    ws.send(r#"40{"token":"xxxxxxxxxxxx"}"#).await;
    assert!(ws.text().await.starts_with("44"));
    assert_eq!(logs.with("max_auth_len").len(), 1);
    assert_eq!(io.metrics().input_refused["max_auth_len"], 1);
    // It may try again.
    ws.join("/").await;
    ws.alive().await;
}

/// Creates a namespace whose connect handler sends out the sockets.
fn sockets() -> (Namespace, mpsc::UnboundedReceiver<Socket>) {
    let (sender, sockets) = mpsc::unbounded_channel();
    let (namespace, _) = echo();
    let namespace = namespace.on_connect(move |socket: Socket| {
        let _ = sender.send(socket);
        std::future::ready(())
    });
    (namespace, sockets)
}

#[tokio::test]
async fn an_outbox_holds_so_many_packets() {
    let (namespace, mut sockets) = sockets();
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .limits(Limits::new().max_outbox_packets(3))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Polling::joined(server.addr).await;
    let socket = within("a socket", sockets.recv()).await.unwrap();
    for n in 0..3 {
        assert!(socket.emit("n", n).ok());
    }
    let full = socket.emit("n", 3).into_result();
    assert!(matches!(full, Err(EmitError::Full(bytes)) if bytes > 0));
    assert!(!socket.emit("n", 4).ok());
    // A volatile event is lost, without an error.
    assert!(socket.volatile().emit("n", 5).ok());
    assert_eq!(
        client.poll().await,
        "42[\"n\",0]\x1e42[\"n\",1]\x1e42[\"n\",2]"
    );
    assert!(socket.emit("n", 6).ok());
    assert_eq!(client.poll().await, "42[\"n\",6]");
}

#[tokio::test]
async fn an_outbox_holds_so_many_bytes_and_one_packet_of_any_size() {
    let (namespace, mut sockets) = sockets();
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .limits(Limits::new().max_outbox_bytes(1000))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Polling::joined(server.addr).await;
    let socket = within("a socket", sockets.recv()).await.unwrap();
    let big = "x".repeat(5000);
    assert!(socket.emit("big", &big).ok());
    let full = socket.emit("small", ()).into_result();
    assert!(matches!(full, Err(EmitError::Full(bytes)) if bytes > 5000));
    assert_eq!(client.poll().await, format!(r#"42["big","{big}"]"#));
    assert!(socket.emit("small", ()).ok());
    assert!(socket.emit("small", ()).ok());
    assert!(!socket.emit("big", &big).ok());
    assert_eq!(client.poll().await, "42[\"small\"]\x1e42[\"small\"]");
}

#[tokio::test]
async fn a_websocket_client_that_stops_reading_is_closed_and_another_is_served() {
    let (namespace, mut sockets) = sockets();
    let (reasons, mut left) = mpsc::unbounded_channel();
    let namespace = namespace.on_disconnect(move |reason: axum_socketio::DisconnectReason| {
        let _ = reasons.send(reason);
        std::future::ready(())
    });
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .limits(Limits::new().max_outbox_bytes(1_000_000))
        .timeouts(Timeouts::new().slow_client_timeout(Duration::from_millis(200)))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let stuck = Ws::joined(server.addr).await;
    let slow = within("a socket", sockets.recv()).await.unwrap();
    let mut other = Ws::joined(server.addr).await;
    let _other = within("a socket", sockets.recv()).await.unwrap();
    let data = "x".repeat(100_000);
    let mut refused = false;
    while slow.connected() {
        refused |= !slow.emit("data", &data).ok();
        other.alive().await;
    }
    assert!(refused);
    let reason = within("a disconnect", left.recv()).await.unwrap();
    assert_eq!(reason.as_str(), "slow client");
    assert!(matches!(
        slow.emit("data", ()).into_result(),
        Err(EmitError::Closed)
    ));
    other.alive().await;
    assert_eq!(io.client_count(), 1);
    drop(stuck);
}

#[tokio::test]
async fn a_websocket_client_that_reads_slowly_gets_every_byte() {
    let (namespace, mut sockets) = sockets();
    let io = SocketIo::builder().namespace("/", namespace).build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut ws = Ws::joined(server.addr).await;
    let socket = within("a socket", sockets.recv()).await.unwrap();
    // The text is longer than the buffers of the system, so it is written in many parts, all of which differ.
    let numbers: Vec<_> = (0..1_000_000).map(|n: u32| n.to_string()).collect();
    let numbers = numbers.join(" ");
    assert!(socket.emit("numbers", &numbers).ok());
    for n in 0..100_u8 {
        assert!(socket.emit("bytes", Bytes::from(vec![n; 20_000])).ok());
    }
    assert_eq!(ws.text().await, format!(r#"42["numbers","{numbers}"]"#));
    for n in 0..100 {
        let text = ws.text().await;
        assert_eq!(text, r#"451-["bytes",{"_placeholder":true,"num":0}]"#);
        assert_eq!(ws.binary().await, vec![n; 20_000]);
    }
    ws.alive().await;
}

#[tokio::test]
async fn a_polling_client_that_stops_polling_is_closed() {
    let (server, io, mut reasons) = start(|io| {
        io.limits(Limits::new().max_outbox_packets(2))
            .timeouts(Timeouts::new().slow_client_timeout(Duration::from_millis(50)))
    })
    .await;
    let client = Polling::joined(server.addr).await;
    for n in 0..3 {
        io.emit("n", n);
    }
    assert_eq!(reasons.next().await, "slow client");
    client.gone().await;
}

#[tokio::test]
async fn a_client_that_catches_up_in_time_stays() {
    let (server, io, mut reasons) = start(|io| {
        io.limits(Limits::new().max_outbox_packets(2))
            .timeouts(Timeouts::new().slow_client_timeout(Duration::from_millis(800)))
    })
    .await;
    let mut client = Polling::joined(server.addr).await;
    let late = Polling::joined(server.addr).await;
    for n in 0..3 {
        io.emit("n", n);
    }
    assert_eq!(client.poll().await, "42[\"n\",0]\x1e42[\"n\",1]");
    // The end of the other client, which did not read, shows that the time is over.
    assert_eq!(reasons.next().await, "slow client");
    late.gone().await;
    client.send(r#"421["echo",1]"#).await;
    assert_eq!(client.poll().await, "431[1]");
    reasons.none();
}

#[tokio::test]
async fn a_client_that_does_not_close_its_side_is_waited_for_but_not_for_ever() {
    let (server, io, _) = start(|io| io).await;
    let clock = Clock::stop();
    let mut ws = Ws::joined(server.addr).await;
    io.close();
    assert_eq!(ws.ended().await.close, Some(None));
    let closed = tokio::spawn(async move { io.closed().await });
    clock.advance(Duration::from_secs(4)).await;
    // A request and its response leave time for all that is due.
    let refused = Http::once(server.addr, "GET", POLLING).await;
    assert_eq!(refused.status, 503);
    assert!(!closed.is_finished());
    clock.advance(Duration::from_secs(1)).await;
    within("the end", closed).await.unwrap();
    drop(ws);
}

#[tokio::test]
async fn a_closed_session_waits_a_limited_time_for_the_last_poll() {
    let (server, io, mut reasons) =
        start(|io| io.timeouts(Timeouts::new().close_timeout(Duration::from_secs(3)))).await;
    let clock = Clock::stop();
    let client = Polling::joined(server.addr).await;
    io.emit("last", ());
    io.close();
    // Its sockets have left immediately.
    assert_eq!(reasons.next().await, "server shutting down");
    clock.advance(Duration::from_secs(2)).await;
    assert_eq!(io.client_count(), 1);
    clock.advance(Duration::from_secs(1)).await;
    client.gone().await;
    assert_eq!(io.client_count(), 0);
}

#[tokio::test]
async fn a_sender_may_wait_until_most_has_been_written() {
    let (namespace, mut sockets) = sockets();
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .limits(Limits::new().max_outbox_packets(4))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Polling::joined(server.addr).await;
    let socket = within("a socket", sockets.recv()).await.unwrap();
    let flushed = |socket: &Socket| {
        let socket = socket.clone();
        tokio::spawn(async move { socket.flushed().await })
    };
    socket.emit("n", 0);
    within("a quarter is little", flushed(&socket))
        .await
        .unwrap();
    socket.emit("n", 1);
    let waiting = flushed(&socket);
    client.send(r#"42["echo"]"#).await;
    assert!(!waiting.is_finished());
    assert_eq!(client.poll().await, "42[\"n\",0]\x1e42[\"n\",1]");
    within("the rest", waiting).await.unwrap();
    // No task waits for a client that has left.
    (2..5).for_each(|n| drop(socket.emit("n", n)));
    let waiting = flushed(&socket);
    client.send("1").await;
    within("the end", waiting).await.unwrap();
}

#[tokio::test]
async fn a_sender_may_go_as_fast_as_its_client_reads() {
    let (namespace, mut sockets) = sockets();
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .limits(Limits::new().max_outbox_packets(2))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Polling::joined(server.addr).await;
    let socket = within("a socket", sockets.recv()).await.unwrap();
    let sender = socket.clone();
    let sending = tokio::spawn(async move {
        for n in 0..6 {
            sender.emit_when_writable("n", n).await?;
        }
        Ok::<_, EmitError>(())
    });
    client.begin_poll(&server).await;
    assert!(client.end_poll().await.text().starts_with("42[\"n\",0]"));
    until("as much as there may be", || socket.queued().packets == 2).await;
    assert!(!sending.is_finished());
    assert!(socket.queued().bytes > 0);
    assert!(!socket.emit("overtakes", ()).ok());
    let mut heard = String::new();
    while !heard.ends_with("5]") {
        heard = client.poll().await;
    }
    within("the end", sending).await.unwrap().unwrap();
    assert_eq!(socket.queued().packets, 0);
}

#[tokio::test]
async fn waiting_senders_get_a_timeout_or_the_end_of_the_socket() {
    let clock = Clock::stop();
    let (namespace, mut sockets) = sockets();
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .limits(Limits::new().max_outbox_packets(1))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Polling::joined(server.addr).await;
    let socket = within("a socket", sockets.recv()).await.unwrap();
    socket.emit("first", ());
    assert!(socket.volatile().emit_when_writable("v", ()).await.is_ok());
    let second = Duration::from_secs(1);
    let patient = socket.timeout(second).emit_when_writable("late", ());
    let patient = tokio::spawn(patient);
    tokio::task::yield_now().await;
    clock.advance(second).await;
    let late = within("its time", patient).await.unwrap();
    assert!(matches!(late, Err(EmitError::Full(bytes)) if bytes > 0));
    assert_eq!(client.poll().await, r#"42["first"]"#);

    socket.emit("second", ());
    let waiting = tokio::spawn(socket.emit_when_writable("never", ()));
    tokio::task::yield_now().await;
    socket.disconnect();
    let closed = within("its end", waiting).await.unwrap();
    assert!(matches!(closed, Err(EmitError::Closed)));
    assert_eq!(client.poll().await, "42[\"second\"]\x1e41");
    let after = socket.emit_when_writable("after", ()).await;
    assert!(matches!(after, Err(EmitError::Closed)));
}

#[tokio::test]
async fn volatile_events_reach_a_polling_client_only_while_it_polls() {
    let (server, io, _) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    io.of("/").volatile().emit("lost", ());
    client.begin_poll(&server).await;
    io.of("/").volatile().emit("heard", ());
    io.of("/").volatile().emit("lost", ());
    assert_eq!(client.end_poll().await.brief(), (200, r#"42["heard"]"#));
    io.of("/").volatile().emit("lost", ());
    let socket = io.fetch_sockets().await.unwrap()[0].id();
    let socket = io.socket(socket).unwrap();
    let asking = socket
        .volatile()
        .no_timeout()
        .emit_with_ack::<u8>("lost", ());
    assert!(matches!(asking.await, Err(AckError::Dropped)));
    io.emit("end", ());
    assert_eq!(client.poll().await, r#"42["end"]"#);
}

#[tokio::test]
async fn the_auth_is_limited() {
    let (server, ..) = start(|io| io.limits(Limits::new().max_auth_len(100))).await;
    let mut client = Ws::open(server.addr).await;
    let auth = |len: usize| format!(r#"{{"x":"{}"}}"#, "x".repeat(len - 8));
    client.send(&format!("40{}", auth(101))).await;
    assert_eq!(client.text().await, r#"44{"message":"auth is too long"}"#);
    client.send(&format!("40{}", auth(100))).await;
    assert!(client.text().await.starts_with(r#"40{"sid""#));
}

/// Creates a namespace whose handlers of `wait` wait for a permit; `running` counts them.
fn waiting() -> (Namespace, Arc<Semaphore>, Arc<AtomicUsize>) {
    let (go, running) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (gate, count) = (Arc::clone(&go), Arc::clone(&running));
    let namespace = Namespace::new().on(
        "wait",
        move |Data((n, _filler)): Data<(usize, Option<String>)>| {
            let (gate, count) = (Arc::clone(&gate), Arc::clone(&count));
            async move {
                count.fetch_add(1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                count.fetch_sub(1, Ordering::SeqCst);
                Json(n)
            }
        },
    );
    (namespace, go, running)
}

#[tokio::test]
async fn events_wait_while_too_many_handlers_of_their_socket_run() {
    let (namespace, go, running) = waiting();
    let io = SocketIo::builder()
        .namespace("/", namespace.max_pending(2))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut ws = Ws::joined(server.addr).await;
    let texts: Vec<_> = (0..6).map(|n| format!(r#"42{n}["wait",{n}]"#)).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    ws.send_all(&texts).await;
    // Another connection is not delayed.
    let mut other = Ws::joined(server.addr).await;
    other.send(r#"429["nobody"]"#).await;
    assert!(other.text().await.starts_with("439["));
    until("two handlers run", || running.load(Ordering::SeqCst) == 2).await;
    for n in 0..6 {
        assert!(running.load(Ordering::SeqCst) <= 2);
        go.add_permits(1);
        assert_eq!(ws.text().await, format!("43{n}[{n}]"));
    }
    assert_eq!(running.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_post_is_answered_when_its_packets_could_be_taken() {
    let (namespace, go, running) = waiting();
    let io = SocketIo::builder()
        .namespace("/", namespace.max_pending(2))
        .limits(Limits::new().max_queued_bytes(1))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Polling::joined(server.addr).await;
    let body: Vec<_> = (0..4).map(|n| format!(r#"42{n}["wait",{n}]"#)).collect();
    let body = body.join("\x1e");
    client
        .begin_post(&server, body.len(), body.as_bytes())
        .await;
    until("two handlers run", || running.load(Ordering::SeqCst) == 2).await;
    still_posting(&mut client, &io).await;
    // The answers of handlers are delivered although the POST is not answered yet.
    go.add_permits(1);
    assert_eq!(client.poll().await, "430[0]");
    assert_eq!(client.end_post().await.brief(), (200, "ok"));
    for answer in ["431[1]", "432[2]", "433[3]"] {
        go.add_permits(1);
        assert_eq!(client.poll().await, answer);
    }
}

/// Asserts that the POST has reached its connection, which has not answered it.
async fn still_posting(client: &mut Polling, io: &SocketIo) {
    // A poll that arrives later is answered.
    io.emit("later", ());
    assert_eq!(client.poll().await, r#"42["later"]"#);
    let answer = poll_immediate(Box::pin(client.end_post())).await;
    assert!(answer.is_none(), "{answer:?}");
}

#[tokio::test]
async fn a_connection_whose_packets_wait_is_read_up_to_a_limit() {
    let (namespace, go, running) = waiting();
    let io = SocketIo::builder()
        .namespace("/", namespace.max_pending(1))
        .limits(Limits::new().max_queued_bytes(1000))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    // Each event counts for 256 bytes in addition to its own.
    for filler in [&"x".repeat(250), &"x".repeat(700)] {
        let mut client = Polling::joined(server.addr).await;
        client.send(r#"420["wait",0]"#).await;
        until("one handler runs", || running.load(Ordering::SeqCst) == 1).await;
        client.send(&format!(r#"421["wait",1,"{filler}"]"#)).await;
        let last = format!(r#"422["wait",2,"{filler}"]"#);
        client.send(&last).await;
        // The queue is full: this event is not taken in before there is room.
        let body = r#"423["wait",3]"#;
        client
            .begin_post(&server, body.len(), body.as_bytes())
            .await;
        still_posting(&mut client, &io).await;
        go.add_permits(1);
        assert_eq!(client.poll().await, "430[0]");
        assert_eq!(client.end_post().await.brief(), (200, "ok"));
        go.add_permits(3);
        client.expect(&["431[1]", "432[2]", "433[3]"]).await;
    }
}

#[tokio::test]
async fn queued_events_are_limited_by_size_too() {
    let (namespace, go, running) = waiting();
    let io = SocketIo::builder()
        .namespace("/", namespace.order(Order::Completed))
        .limits(Limits::new().max_queued_bytes(1000))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Polling::joined(server.addr).await;
    client.send(r#"420["wait",0]"#).await;
    until("one handler runs", || running.load(Ordering::SeqCst) == 1).await;
    let filler = "x".repeat(600);
    for n in 1..3 {
        client
            .send(&format!(r#"42{n}["wait",{n},"{filler}"]"#))
            .await;
    }
    let body = r#"423["wait",3]"#;
    client
        .begin_post(&server, body.len(), body.as_bytes())
        .await;
    still_posting(&mut client, &io).await;
    go.add_permits(4);
    client
        .expect(&["430[0]", "431[1]", "432[2]", "433[3]"])
        .await;
    assert_eq!(client.end_post().await.brief(), (200, "ok"));
}

#[tokio::test]
async fn acknowledgements_and_other_namespaces_do_not_wait_for_handlers() {
    let ask = async |socket: Socket, Data(n): Data<u32>| {
        let answer: Result<u32, _> = socket.emit_with_ack("question", n).await;
        Json(answer.ok())
    };
    let io = SocketIo::builder()
        .namespace("/", Namespace::new().on("ask", ask).max_pending(1))
        .namespace("/other", echo().0)
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut ws = Ws::joined(server.addr).await;
    ws.join("/other").await;
    ws.send_all(&[
        r#"421["ask",1]"#,
        r#"422["ask",2]"#,
        r#"42/other,3["echo",3]"#,
    ])
    .await;
    assert_eq!(ws.text().await, r#"420["question",1]"#);
    assert_eq!(ws.text().await, "43/other,3[3]");
    ws.send("430[10]").await;
    assert_eq!(ws.text().await, "431[10]");
    assert_eq!(ws.text().await, r#"421["question",2]"#);
    ws.send("431[20]").await;
    assert_eq!(ws.text().await, "432[20]");
}

/// Starts a server with a client whose input is not read, because a handler waits, and with a namespace that permits
/// silent clients.
async fn unread() -> (Server, Ws, Arc<Semaphore>, Reasons) {
    let (namespace, go, running) = waiting();
    let (silent, reasons) = echo();
    let io = SocketIo::builder()
        .namespace("/", namespace.max_pending(1))
        .namespace("/silent", silent)
        .limits(Limits::new().max_queued_bytes(1))
        .timeouts(
            Timeouts::new()
                .ping_interval(Duration::from_millis(100))
                .ping_timeout(Duration::from_millis(400)),
        )
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut ws = Ws::joined(server.addr).await;
    ws.join("/silent").await;
    ws.send_all(&[r#"420["wait",0]"#, r#"421["wait",1]"#]).await;
    until("one handler runs", || running.load(Ordering::SeqCst) == 1).await;
    (server, ws, go, reasons)
}

#[tokio::test]
async fn a_client_is_not_blamed_for_a_pong_that_was_not_read() {
    let (server, mut ws, go, mut reasons) = unread().await;
    // Waits for as long as another silent client lives.
    let mut other = Ws::open(server.addr).await;
    other.join("/silent").await;
    assert_eq!(reasons.next().await, "ping timeout");
    ws.send("3").await;
    go.add_permits(2);
    let mut texts = Vec::new();
    while texts.len() < 2 {
        let text = ws.text().await;
        if text == "2" {
            ws.send("3").await;
        } else {
            texts.push(text);
        }
    }
    assert_eq!(texts, ["430[0]", "431[1]"]);
}

#[tokio::test]
async fn a_client_that_leaves_while_it_is_not_read_is_noticed() {
    let (_server, ws, _go, mut reasons) = unread().await;
    reasons.none();
    drop(ws);
    assert_eq!(reasons.next().await, "transport close");
}

#[tokio::test]
async fn handlers_of_a_client_that_leaves_run_to_their_end() {
    let (namespace, go, running) = waiting();
    let io = SocketIo::builder().namespace("/", namespace).build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send(r#"421["wait",1]"#).await;
    until("the handler runs", || running.load(Ordering::SeqCst) == 1).await;
    drop(ws);
    until("the client is gone", || io.client_count() == 0).await;
    assert_eq!(running.load(Ordering::SeqCst), 1);
    go.add_permits(1);
    until("the handler ends", || running.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn events_behind_connect_are_held_up_to_a_limit_and_none_is_lost() {
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let (namespace, _reasons) = echo();
    let namespace = namespace.on_connect(move || {
        let gate = Arc::clone(&gate);
        async move { gate.acquire().await.unwrap().forget() }
    });
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .limits(Limits::new().max_queued_bytes(1000))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut ws = Ws::open(server.addr).await;
    ws.send("40").await;
    assert!(ws.text().await.starts_with("40{"));
    let texts: Vec<_> = (0..50).map(|n| format!(r#"42{n}["echo",{n}]"#)).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    ws.send_all(&texts).await;
    until("reading is paused", || {
        io.metrics().reading_paused["max_queued_bytes"] == 1
    })
    .await;
    go.add_permits(1);
    for n in 0..50 {
        assert_eq!(ws.text().await, format!("43{n}[{n}]"));
    }
}

#[tokio::test]
async fn attachments_are_limited() {
    let (server, _io, mut reasons) = start(|io| io.limits(Limits::new().max_attachments(1))).await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send(r#"451-1["bytes",{"_placeholder":true,"num":0}]"#)
        .await;
    ws.send_binary(b"x").await;
    assert!(ws.text().await.starts_with("461-1["));
    assert_eq!(ws.binary().await, "x");
    ws.send(r#"452-1["bytes",{"_placeholder":true,"num":0}]"#)
        .await;
    assert_eq!(ws.ended().await.close, Some(None));
    assert_eq!(reasons.next().await, "forced close");
}

#[tokio::test]
async fn namespaces_of_a_connection_are_limited() {
    let (server, ..) = start(|io| {
        io.limits(Limits::new().max_namespaces(2))
            .namespace("/a", Namespace::new())
            .namespace("/b", Namespace::new())
    })
    .await;
    let mut ws = Ws::joined(server.addr).await;
    ws.join("/a").await;
    // A namespace that is left makes room for another, and a refused one takes no room.
    ws.send("41/a,").await;
    ws.send("40/x,").await;
    assert!(ws.text().await.starts_with("44/x,"));
    ws.join("/b").await;
    ws.send("40/a,").await;
    assert_eq!(ws.ended().await.close, Some(None));
}

#[tokio::test]
async fn namespaces_that_the_server_has_closed_make_room_for_others() {
    let out = || Namespace::new().on("out", async |socket: Socket| socket.disconnect());
    let io = SocketIo::builder()
        .limits(Limits::new().max_namespaces(2))
        .namespace("/a", out())
        .namespace("/b", out())
        .namespace("/c", out())
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut ws = Ws::open(server.addr).await;
    for nsp in ["/a", "/b", "/c", "/a"] {
        ws.join(nsp).await;
        ws.send(&format!(r#"42{nsp},["out"]"#)).await;
        assert_eq!(ws.text().await, format!("41{nsp},"));
    }
}

#[tokio::test]
async fn names_are_limited() {
    let (server, _io, mut reasons) = start(|io| {
        io.limits(Limits::new().max_event_len(8).max_namespace_len(8))
            .namespace("/1234567", Namespace::new())
    })
    .await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send(r#"421["12345678"]"#).await;
    assert!(ws.text().await.starts_with("431["));
    ws.join("/1234567").await;
    ws.send(r#"421["123456789"]"#).await;
    assert_eq!(ws.ended().await.close, Some(None));
    assert_eq!(reasons.next().await, "forced close");
    let mut ws = Ws::joined(server.addr).await;
    ws.send("40/12345678,").await;
    assert_eq!(ws.ended().await.close, Some(None));
    assert_eq!(reasons.next().await, "forced close");
}

#[tokio::test]
async fn rooms_and_their_names_are_limited() {
    let namespace =
        Namespace::new().on("join", async |socket: Socket, Data(room): Data<String>| {
            socket.join(room);
            Json(socket.rooms().len())
        });
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .limits(Limits::new().max_rooms(2).max_room_len(4))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut ws = Ws::joined(server.addr).await;
    // The room of its own id counts as well.
    for (room, rooms) in [("long!", 1), ("four", 2), ("four", 2), ("b", 3), ("c", 3)] {
        ws.send(&format!(r#"421["join","{room}"]"#)).await;
        assert_eq!(ws.text().await, format!("431[{rooms}]"), "{room}");
    }
    // The limits also hold if the server moves the socket.
    let other = Ws::joined(server.addr).await;
    io.of("/").join("long!");
    assert_eq!(io.to("long!").count().await.unwrap(), 0);
    drop(other);
    io.to("b").join(["b", "d"]);
    assert_eq!(io.to("d").fetch_sockets().await.unwrap().len(), 0);
}

#[tokio::test]
async fn the_result_of_a_join_names_the_limit() {
    let (sender, mut sockets) = mpsc::unbounded_channel();
    let namespace = Namespace::new()
        .on_connect(move |socket: Socket| {
            let _ = sender.send(socket.clone());
            async move { socket.join("four") }
        })
        .on(
            "join",
            async |socket: Socket, Data(rooms): Data<Vec<String>>| socket.join(rooms),
        );
    let refused = Namespace::new().middleware(async |socket: Socket| socket.join("long!"));
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .namespace("/refused", refused)
        .limits(Limits::new().max_rooms(3).max_room_len(4))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut ws = Ws::joined(server.addr).await;
    let socket = within("a socket", sockets.recv()).await.unwrap();
    let too_long = r#"{"error":"the name of the room is longer than 4 bytes"}"#;
    let too_many = r#"{"error":"the socket is in 3 rooms already"}"#;
    for (rooms, answer) in [
        (r#"["a"]"#, ""),
        // The other rooms are joined.
        (r#"["long!","b"]"#, too_long),
        (r#"["c"]"#, too_many),
        (r#"["a","b"]"#, ""),
    ] {
        ws.send(&format!(r#"421["join",{rooms}]"#)).await;
        assert_eq!(ws.text().await, format!("431[{answer}]"), "{rooms}");
    }
    assert_eq!(io.metrics().handler_errors, 2);
    let joined = socket.join("c");
    assert_eq!(joined.clone().await, Err(JoinError::TooManyRooms(3)));
    assert_eq!(joined.into_result(), Err(JoinError::TooManyRooms(3)));
    assert_eq!(socket.join("long!").await, Err(JoinError::NameTooLong(4)));
    assert_eq!(socket.join(["a", "four"]).await, Ok(()));
    assert!(socket.join(None::<&str>).ok());

    ws.send("40/refused,").await;
    let message = r#"{"message":"the name of the room is longer than 4 bytes"}"#;
    assert_eq!(ws.text().await, format!("44/refused,{message}"));

    ws.close().await;
    within("the end", socket.closed()).await;
    assert_eq!(socket.join("a").await, Err(JoinError::Closed));
}

#[tokio::test]
async fn pings_of_websocket_are_answered_and_cannot_pile_up() {
    let (server, ..) = start(|io| io).await;
    let mut ws = Ws::joined(server.addr).await;
    let ping = masked_frame(Opcode::Ping, b"x", [1, 2, 3, 4]);
    ws.send_raw(&ping).await;
    assert!(matches!(ws.event().await, Some(WebSocketEvent::Pong(data)) if data == "x"));
    // The client reads none of the pongs, which exceed the buffers between the two.
    const PINGS: usize = 200_000;
    let pings = masked_frame(Opcode::Ping, &[b'x'; 125], [1, 2, 3, 4]).repeat(PINGS / 100);
    for _ in 0..100 {
        ws.send_raw(&pings).await;
    }
    ws.send(r#"421["echo",1]"#).await;
    let mut pongs = 0;
    loop {
        match ws.event().await {
            Some(WebSocketEvent::Pong(_)) => pongs += 1,
            other => {
                assert_eq!(other, Some(WebSocketEvent::Text("431[1]".into())));
                break;
            }
        }
    }
    assert!((1..PINGS).contains(&pongs), "{pongs} of {PINGS}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_malformed_messages_do_not_disturb_a_healthy_connection() {
    const CONNECTIONS: usize = 1000;
    const EACH: usize = 10;
    let garbage = [
        "",
        "x",
        "4",
        "49",
        "42",
        "42[]",
        "42{",
        "42[\"e\"",
        "42[\"disconnect\"]",
        "40[]",
        "41{}",
        "44",
        "45-[]",
        "451-[\"e\"]",
        "b!",
        "42/nowhere,[\"e\"]",
        "43{",
        "2",
        "1",
        "42[\"echo\",]",
    ];

    let (server, io, _reasons) = start(|io| io).await;
    let mut healthy = Ws::joined(server.addr).await;
    let addr = server.addr;
    let attack = tokio::spawn(async move {
        for n in 0..CONNECTIONS {
            let mut ws = Ws::open(addr).await;
            let mut texts = vec!["40"];
            texts.extend((0..EACH).map(|m| garbage[(n + m) % garbage.len()]));
            ws.send_all(&texts).await;
            let close = ws.ended().await;
            assert!(close.close.is_some());
        }
    });
    let mut sent = 0;
    while !attack.is_finished() {
        healthy.send(&format!(r#"42{sent}["echo",{sent}]"#)).await;
        assert_eq!(healthy.text().await, format!("43{sent}[{sent}]"));
        io.emit("to all", sent);
        assert_eq!(healthy.text().await, format!(r#"42["to all",{sent}]"#));
        sent += 1;
    }
    attack.await.unwrap();
    assert!(sent > 0);
    until("only the healthy is left", || io.client_count() == 1).await;
    healthy.alive().await;
}

#[tokio::test]
async fn a_client_whose_handlers_compute_does_not_hold_up_others() {
    const EVENTS: usize = 400;

    for polling in [false, true] {
        let handled = Arc::new(AtomicUsize::new(0));
        let (namespace, _reasons) = echo();
        let counted = Arc::clone(&handled);
        let namespace = namespace.on("compute", move || {
            std::thread::sleep(Duration::from_millis(1));
            counted.fetch_add(1, Ordering::Relaxed);
            std::future::ready(())
        });
        let io = SocketIo::builder().namespace("/", namespace).build();
        let server = serve(Router::new().layer(io.layer())).await;
        let mut other = Ws::joined(server.addr).await;
        let compute = [r#"42["compute"]"#; EVENTS];
        let (mut polls, mut ws);
        if polling {
            polls = Polling::joined(server.addr).await;
            let body = compute.join("\x1e");
            let length = body.len();
            polls.begin_post(&server, length, body.as_bytes()).await;
        } else {
            ws = Ws::joined(server.addr).await;
            ws.send_all(&compute).await;
        }
        other.alive().await;
        let handled = handled.load(Ordering::Relaxed);
        assert!(
            handled < EVENTS / 2,
            "{handled} of {EVENTS} were handled before"
        );
    }
}

/// A test of a client whose events wait for one that has been handled, and of one that has left meanwhile.
#[tokio::test]
async fn events_that_have_waited_do_not_all_start_before_others_are_served() {
    const EVENTS: usize = 20_000;

    for gone in [false, true] {
        let (handled, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let (counted, gate) = (Arc::clone(&handled), Arc::clone(&go));
        let waiting = Namespace::new().max_pending(1).on("wait", move || {
            let gate = Arc::clone(&gate);
            async move { gate.acquire().await.unwrap().forget() }
        });
        let waiting = waiting.on("count", move || {
            counted.fetch_add(1, Ordering::Relaxed);
            std::future::ready(())
        });
        let (namespace, _reasons) = echo();
        let io = SocketIo::builder()
            .namespace("/", namespace)
            .namespace("/waiting", waiting)
            .build();
        let server = serve(Router::new().layer(io.layer())).await;
        let mut other = Ws::joined(server.addr).await;
        let mut ws = Ws::joined(server.addr).await;
        ws.join("/waiting").await;
        let mut events = vec![r#"42/waiting,["wait"]"#];
        events.resize(EVENTS + 1, r#"42/waiting,["count"]"#);
        ws.send_all(&events).await;
        // An event of another namespace is handled after them.
        ws.alive().await;
        assert_eq!(handled.load(Ordering::Relaxed), 0);
        if gone {
            drop(ws);
            until("it has gone", || io.client_count() == 1).await;
        }
        go.add_permits(1);
        other.alive().await;
        let before = handled.load(Ordering::Relaxed);
        assert!(before < EVENTS / 2, "{before} were handled before");
        until("all are handled", || {
            handled.load(Ordering::Relaxed) == EVENTS
        })
        .await;
    }
}
