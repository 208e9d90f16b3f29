//! Clients that are connected in memory, without bytes on a wire.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, Response, StatusCode};
use axum_socketio::config::Transport;
use axum_socketio::testing::{MemoryClient, MemoryPacket, TrySendError};
use axum_socketio::{Data, Limits, Namespace, Reply, Socket, SocketIo, SocketIoBuilder, Timeouts};
use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{Reasons, WEBSOCKET, echo, sid_in};

const SECOND: Duration = Duration::from_secs(1);

/// Creates a server with [`echo`] in `/` and with the options that `set` sets.
fn server(set: impl FnOnce(SocketIoBuilder) -> SocketIoBuilder) -> (SocketIo, Reasons) {
    let (namespace, reasons) = echo();
    let io = set(SocketIo::builder().namespace("/", namespace)).build();
    (io, reasons)
}

fn router(io: &SocketIo) -> Router {
    Router::new().layer(io.layer())
}

fn request(target: &str) -> Request<()> {
    Request::get(target).body(()).unwrap()
}

/// Opens a session and joins `/`.
async fn joined(io: &SocketIo) -> MemoryClient {
    with_socket(io).await.0
}

/// Opens a session and joins `/`. Returns the socket as well.
async fn with_socket(io: &SocketIo) -> (MemoryClient, Socket) {
    let mut client = MemoryClient::open(router(io), request(WEBSOCKET))
        .await
        .unwrap();
    assert!(text(&mut client).await.starts_with("0{"));
    client.send("40").await.unwrap();
    let joined = text(&mut client).await;
    let id = sid_in(joined.strip_prefix("40").unwrap());
    (client, io.socket(id.parse().unwrap()).unwrap())
}

/// Returns the next packet, which is text.
async fn text(client: &mut MemoryClient) -> String {
    // Longer than the interval of pings.
    let packet = timeout(60 * SECOND, client.next()).await.expect("nothing");
    let packet = packet.expect("closed");
    packet.text().expect("binary").to_owned()
}

/// Asserts that the server has closed the connection and that nothing is left to receive.
async fn closed(client: &mut MemoryClient) {
    let end = timeout(60 * SECOND, client.next()).await;
    assert_eq!(end.expect("still open"), None);
    assert!(client.is_closed());
    assert!(client.send("3").await.is_err());
    assert_eq!(client.try_send("3"), Err(TrySendError::Closed));
}

async fn refused(io: &SocketIo, target: &str) -> (StatusCode, String) {
    let answer: Response<Body> = MemoryClient::open(router(io), request(target))
        .await
        .unwrap_err();
    let (head, body) = answer.into_parts();
    let body = to_bytes(body, 1024).await.unwrap();
    (head.status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn events_acknowledgements_and_bytes_go_both_ways() {
    let (namespace, _) = echo();
    let namespace = namespace.on("ask", async |socket: Socket| {
        let answer = socket.emit_with_ack::<u32>("question", Bytes::from_static(b"?"));
        Reply(answer.await.unwrap())
    });
    let io = SocketIo::builder().namespace("/", namespace).build();
    let mut client = joined(&io).await;
    client.send(r#"421["echo","a",2]"#).await.unwrap();
    assert_eq!(text(&mut client).await, r#"431["a",2]"#);

    client
        .send(r#"451-2["bytes",{"_placeholder":true,"num":0}]"#)
        .await
        .unwrap();
    client.send(vec![1, 2, 3]).await.unwrap();
    assert_eq!(
        text(&mut client).await,
        r#"461-2[{"_placeholder":true,"num":0}]"#
    );
    let bytes = client.next().await.unwrap();
    assert_eq!((bytes.text(), bytes.binary()), (None, Some(&[1, 2, 3][..])));

    client.send(r#"423["ask"]"#).await.unwrap();
    let question = text(&mut client).await;
    assert_eq!(
        question,
        r#"451-0["question",{"_placeholder":true,"num":0}]"#
    );
    assert_eq!(client.next().await, Some(MemoryPacket::from(b"?".to_vec())));
    assert_eq!(client.try_next(), None);
    client.send("430[7]").await.unwrap();
    assert_eq!(text(&mut client).await, "433[7]");
}

#[tokio::test(start_paused = true)]
async fn it_is_a_websocket_to_handlers_and_counters() {
    let namespace = Namespace::new().on("who", async |socket: Socket, headers: HeaderMap| {
        let name = headers["x-name"].to_str().unwrap().to_owned();
        Reply((socket.transport().as_str(), name))
    });
    let io = SocketIo::builder().namespace("/", namespace).build();
    let mut request = request(WEBSOCKET);
    request
        .headers_mut()
        .insert("x-name", "Ann".parse().unwrap());
    let mut client = MemoryClient::open(io.service(), request).await.unwrap();
    assert!(text(&mut client).await.starts_with("0{"));
    client.send("40").await.unwrap();
    client.send(r#"421["who"]"#).await.unwrap();
    assert!(text(&mut client).await.starts_with("40{"));
    assert_eq!(text(&mut client).await, r#"431["websocket","Ann"]"#);
    let metrics = io.metrics();
    assert_eq!(metrics.connections["websocket"], 1);
    assert_eq!(metrics.received_packets, 2);
    client.close();
    while io.client_count() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_handshake_returns_the_response() {
    let (io, _) = server(|io| io.allow_request(async || StatusCode::UNAUTHORIZED));
    let (status, _) = refused(&io, WEBSOCKET).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);

    let (io, _) = server(|io| io.transports([Transport::Polling]));
    let unknown = r#"{"code":0,"message":"Transport unknown"}"#.to_owned();
    assert_eq!(
        refused(&io, WEBSOCKET).await,
        (StatusCode::BAD_REQUEST, unknown)
    );
    // The transport of the request has to be the one that is offered.
    let (io, _) = server(|io| io);
    let (status, _) = refused(&io, "/socket.io/?EIO=4&transport=polling").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = refused(&io, "/elsewhere").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(io.client_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_answers_101_itself_does_not_make_a_connection() {
    let app = Router::new().fallback(async || StatusCode::SWITCHING_PROTOCOLS);
    let answer = MemoryClient::open(app, request("/")).await.unwrap_err();
    assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
}

#[tokio::test(start_paused = true)]
async fn only_a_client_that_answers_pings_stays_connected() {
    let (io, mut reasons) = server(|io| io);
    let mut client = joined(&io).await;
    let start = Instant::now();
    for beat in 1..=4 {
        assert_eq!(text(&mut client).await, "2");
        let at = start.elapsed();
        assert!(
            at >= 25 * beat * SECOND && at < (25 * beat + 1) * SECOND,
            "{at:?}"
        );
        client.send("3").await.unwrap();
    }
    assert_eq!(text(&mut client).await, "2");
    closed(&mut client).await;
    let at = start.elapsed();
    assert!(at >= 145 * SECOND && at < 146 * SECOND, "{at:?}");
    assert_eq!(reasons.next().await, "ping timeout");
}

#[tokio::test(start_paused = true)]
async fn a_client_closes_or_is_lost_behind_its_last_packets() {
    let (sender, mut came) = tokio::sync::mpsc::unbounded_channel();
    let (namespace, mut reasons) = echo();
    let namespace = namespace.on("last", async move |Data(number): Data<u32>| {
        sender.send(number).unwrap();
    });
    let io = SocketIo::builder().namespace("/", namespace).build();
    for close in [true, false] {
        let mut client = joined(&io).await;
        for number in 0..200 {
            let event = format!(r#"42["last",{number}]"#);
            client.send(event).await.unwrap();
        }
        if close {
            client.close();
        } else {
            drop(client);
        }
        assert_eq!(reasons.next().await, "transport close");
        for number in 0..200 {
            assert_eq!(came.recv().await, Some(number));
        }
        assert_eq!(io.client_count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_server_closes_behind_its_last_packets() {
    let (io, mut reasons) = server(|io| io);
    let mut client = joined(&io).await;
    io.emit("last", 1);
    io.of("/").disconnect_all();
    assert_eq!(text(&mut client).await, r#"42["last",1]"#);
    assert_eq!(text(&mut client).await, "41");
    assert_eq!(reasons.next().await, "server namespace disconnect");

    let namespace = Namespace::new().on("leave", async |socket: Socket| {
        socket.emit("last", 2);
        let _ = socket.close(4003, "another device");
    });
    let io = SocketIo::builder().namespace("/", namespace).build();
    let mut client = joined(&io).await;
    assert_eq!(client.close_reason(), None);
    client.send(r#"42["leave"]"#).await.unwrap();
    assert_eq!(text(&mut client).await, r#"42["last",2]"#);
    closed(&mut client).await;
    let reason = Some((4003, "another device".to_owned()));
    assert_eq!(client.close_reason(), reason);
}

#[tokio::test(start_paused = true)]
async fn a_malformed_or_oversized_packet_ends_the_connection() {
    let long = format!(r#"42["echo","{}"]"#, "x".repeat(1_000));
    let cases: [(MemoryPacket, &str, Option<u16>); 4] = [
        (long.into(), "transport error", Some(1009)),
        (vec![0; 1_001].into(), "transport error", Some(1009)),
        ("9".into(), "parse error", None),
        ("".into(), "parse error", None),
    ];
    for (packet, reason, code) in cases {
        let (io, mut reasons) = server(|io| io.limits(Limits::new().max_payload(1_000)));
        let mut client = joined(&io).await;
        client.send(r#"421["echo"]"#).await.unwrap();
        assert_eq!(text(&mut client).await, "431[]");
        client.send(packet).await.unwrap();
        closed(&mut client).await;
        assert_eq!(reasons.next().await, reason);
        assert_eq!(client.close_reason().map(|(code, _)| code), code);
        let too_large = io.metrics().connections_closed["payload too large"];
        assert_eq!(too_large, u64::from(code.is_some()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_disconnected_without_loss() {
    let (io, mut reasons) = server(|io| {
        io.limits(Limits::new().max_outbox_packets(100))
            .timeouts(Timeouts::new().slow_client_timeout(5 * SECOND))
    });
    let (mut client, socket) = with_socket(&io).await;
    let event = "x".repeat(1_024);
    // Some 60 fill the queue in memory, a hundred the outbox, and the last ones are refused.
    let mut queued = 0;
    for number in 0..200 {
        queued += usize::from(socket.emit("e", (number, &event)).ok());
        tokio::task::yield_now().await;
    }
    assert!((150..=170).contains(&queued), "{queued}");
    let start = Instant::now();
    assert_eq!(reasons.next().await, "slow client");
    let waited = start.elapsed();
    assert!(waited >= 5 * SECOND && waited < 6 * SECOND, "{waited:?}");
    let mut read = 0;
    while let Some(packet) = client.next().await {
        let expected = format!(r#"42["e",{read},"#);
        assert!(packet.text().unwrap().starts_with(&expected));
        read += 1;
    }
    assert!((50..=70).contains(&read), "{read}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_gets_everything_in_order() {
    let (io, mut reasons) = server(|io| io);
    let mut client = joined(&io).await;
    let event = "x".repeat(10 * 1_024);
    for number in 0..50 {
        assert!(io.emit("e", (number, &event)).ok());
    }
    for number in 0..50 {
        sleep(SECOND / 10).await;
        let packet = text(&mut client).await;
        assert!(packet.starts_with(&format!(r#"42["e",{number},"#)));
    }
    reasons.none();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_read_makes_the_client_wait() {
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let opened = std::sync::Arc::clone(&gate);
    let namespace = Namespace::new().on("work", move |Data(_): Data<String>| {
        let gate = std::sync::Arc::clone(&gate);
        async move {
            gate.acquire().await.unwrap().forget();
            Reply(())
        }
    });
    let limits = Limits::new().max_pending(1).max_queued_bytes(16 * 1024);
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .limits(limits)
        .build();
    let mut client = joined(&io).await;
    let event = |id: usize| format!(r#"42{id}["work","{}"]"#, "x".repeat(1_024));
    let mut sent = 0;
    let full = loop {
        match client.try_send(event(sent)) {
            Ok(()) => sent += 1,
            Err(TrySendError::Full(packet)) => {
                // The server may only not have had its turn.
                sleep(SECOND / 100).await;
                match client.try_send(packet) {
                    Ok(()) => sent += 1,
                    Err(error) => break error,
                }
            }
            Err(error) => panic!("{error}"),
        }
    };
    // 64 KiB have been read, of which 16 KiB wait for the handler, and as many are queued.
    assert!((110..130).contains(&sent), "{sent}");
    assert_eq!(full, TrySendError::Full(event(sent).into()));
    let waits = client.send(event(sent));
    assert!(timeout(10 * SECOND, waits).await.is_err());
    opened.add_permits(1_000);
    client.send(event(sent)).await.unwrap();
    for id in 0..=sent {
        let answer = loop {
            match text(&mut client).await.as_str() {
                "2" => client.send("3").await.unwrap(),
                answer => break answer.to_owned(),
            }
        };
        assert_eq!(answer, format!("43{id}[]"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_handlers_and_delivers_their_answers() {
    let namespace = Namespace::new().on("work", async || {
        sleep(SECOND).await;
        Reply("done")
    });
    let io = SocketIo::builder().namespace("/", namespace).build();
    let mut client = joined(&io).await;
    client.send(r#"421["work"]"#).await.unwrap();
    sleep(SECOND / 10).await;
    io.close();
    client.send(r#"422["work"]"#).await.unwrap();
    assert_eq!(text(&mut client).await, r#"431["done"]"#);
    closed(&mut client).await;
    io.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_over_polling_is_upgraded_to_memory() {
    let (io, mut reasons) = server(|io| io);
    let app = axum_socketio::testing::TestApp::new(router(&io));
    let polling = "/socket.io/?EIO=4&transport=polling";
    let open = app.get(polling).await.text();
    let sid = sid_in(&open[1..]);
    let session = format!("{polling}&sid={sid}");
    app.post(&session).body("40").await.assert_status(200);
    assert!(app.get(&session).await.text().starts_with("40{"));

    let target = format!("{WEBSOCKET}&sid={sid}");
    let mut client = MemoryClient::open(router(&io), request(&target))
        .await
        .unwrap();
    client.send("2probe").await.unwrap();
    assert_eq!(text(&mut client).await, "3probe");
    client.send("5").await.unwrap();
    client.send(r#"421["echo",1]"#).await.unwrap();
    assert_eq!(text(&mut client).await, "431[1]");
    assert_eq!(io.metrics().upgrades["done"], 1);
    let mut another = MemoryClient::open(router(&io), request(&target))
        .await
        .unwrap();
    closed(&mut another).await;
    drop(client);
    assert_eq!(reasons.next().await, "transport close");
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_reaches_many() {
    let (io, _) = server(|io| io);
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(joined(&io).await);
    }
    let attachment = Bytes::from_static(b"data");
    io.emit("plain", 1);
    io.emit("binary", &attachment);
    for client in &mut clients {
        assert_eq!(text(client).await, r#"42["plain",1]"#);
        let event = r#"451-["binary",{"_placeholder":true,"num":0}]"#;
        assert_eq!(text(client).await, event);
        let bytes = client.next().await.unwrap();
        assert_eq!(bytes.binary(), Some(&attachment[..]));
    }
}

#[cfg(feature = "v3")]
#[tokio::test(start_paused = true)]
async fn a_client_of_revision_3_gets_its_own_form_of_bytes() {
    for (base64, expected) in [
        ("", MemoryPacket::from(vec![4, 1, 2, 3])),
        ("&b64=1", MemoryPacket::from("b4AQID")),
    ] {
        let (io, _) = server(|io| io.allow_eio3());
        let target = format!("/socket.io/?EIO=3&transport=websocket{base64}");
        let mut client = MemoryClient::open(router(&io), request(&target))
            .await
            .unwrap();
        assert!(text(&mut client).await.starts_with("0{"));
        assert_eq!(text(&mut client).await, "40");
        io.emit("binary", Bytes::from_static(&[1, 2, 3]));
        let event = r#"451-["binary",{"_placeholder":true,"num":0}]"#;
        assert_eq!(text(&mut client).await, event);
        let bytes = client.next().await.unwrap();
        assert_eq!(bytes, expected);
        // What one client receives may be sent by another.
        client
            .send(r#"451-2["bytes",{"_placeholder":true,"num":0}]"#)
            .await
            .unwrap();
        client.send(bytes).await.unwrap();
        let answer = text(&mut client).await;
        assert_eq!(answer, r#"461-2[{"_placeholder":true,"num":0}]"#);
        assert_eq!(client.next().await, Some(expected));
        client.send("2").await.unwrap();
        assert_eq!(text(&mut client).await, "3");
    }
}
