//! Clients of Engine.IO 3, if the server allows them: the cases that the tests with real clients do not cover.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_socketio::config::Recovery;
use axum_socketio::{Auth, Data, Limits, Namespace, Reply, Socket, SocketIo, Timeouts};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::support::{Clock, Http, Logs, Server, Ws, serve, settle, sid_in, start};

const WEBSOCKET: &str = "/socket.io/?EIO=3&transport=websocket";

async fn whoami(socket: Socket, Auth(auth): Auth<Value>) -> Reply<(u8, Value)> {
    Reply((socket.protocol(), auth))
}

/// Starts a server that allows them, with the namespaces `/` and `/admin`.
async fn legacy() -> (Server, SocketIo) {
    let namespace = || {
        Namespace::new()
            .on("whoami", whoami)
            .on("rooms", async |socket: Socket| {
                let rooms = socket.rooms();
                Reply((rooms.iter().map(ToString::to_string).collect::<Vec<_>>(),))
            })
            .on("emit", async |socket: Socket, Data(what): Data<Value>| {
                socket.emit("said", what);
            })
    };
    let io = SocketIo::builder()
        .allow_eio3()
        .recovery(Recovery::new())
        .namespace("/", namespace())
        .namespace("/admin", namespace())
        .build();
    (serve(Router::new().layer(io.layer())).await, io)
}

/// Connects a client that joins `/`. Returns it with the id of its session.
async fn joined(server: &Server, query: &str) -> (Ws, String) {
    let target = format!("{WEBSOCKET}{query}");
    let mut client = Ws::raw(server.addr, &target).await.unwrap();
    let sid = sid_in(&client.text().await[1..]);
    assert_eq!(client.text().await, "40");
    (client, sid)
}

#[tokio::test]
async fn they_are_refused_unless_the_server_says_otherwise() {
    let (server, ..) = start(|io| io).await;
    for version in ["&EIO=3", "", "&EIO=5"] {
        let target = format!("/socket.io/?transport=polling{version}");
        let answer = Http::once(server.addr, "GET", &target).await;
        let refused = r#"{"code":5,"message":"Unsupported protocol version"}"#;
        assert_eq!(answer.brief(), (400, refused));
    }
}

#[tokio::test]
async fn the_query_of_the_handshake_is_the_auth_of_the_root() {
    let (server, _io) = legacy().await;
    let (mut client, _) = joined(&server, "&token=a%20b&t=x").await;
    client.send(r#"420["whoami"]"#).await;
    assert_eq!(client.text().await, r#"430[3,{"token":"a b"}]"#);
    client.send("40/admin?x=1,").await;
    assert_eq!(client.text().await, "40/admin,");
    client.send(r#"42/admin,1["whoami"]"#).await;
    assert_eq!(client.text().await, r#"43/admin,1[3,{"x":"1"}]"#);
}

#[tokio::test]
async fn the_id_that_a_client_knows_is_a_room_of_its_own() {
    let (server, io) = legacy().await;
    let (mut client, sid) = joined(&server, "").await;
    client.send("40/admin").await;
    assert_eq!(client.text().await, "40/admin,");
    let id = format!("/admin#{sid}");
    client.send(r#"42/admin,1["rooms"]"#).await;
    assert_eq!(
        client.text().await,
        format!(r#"43/admin,1[["{sid}","{id}"]]"#)
    );
    io.of("/admin").to(id).volatile().emit("a", ());
    assert!(client.text().await.starts_with(r#"42/admin,["a""#));
    io.to(sid).volatile().emit("b", ());
    assert!(client.text().await.starts_with(r#"42["b""#));
}

#[tokio::test]
async fn a_namespace_may_have_a_long_query_but_no_long_name() {
    let (server, _io) = legacy().await;
    let (mut client, _) = joined(&server, "").await;
    client
        .send(&format!("40/admin?token={},", "x".repeat(3000)))
        .await;
    assert_eq!(client.text().await, "40/admin,");
    client.send(&format!("40/{},", "x".repeat(300))).await;
    assert_eq!(client.ended().await.close, Some(None));
    let (mut client, _) = joined(&server, "").await;
    client.send(&format!("40/a?{},", "x".repeat(5000))).await;
    assert_eq!(client.ended().await.close, Some(None));
}

#[tokio::test]
async fn they_cannot_come_back_and_nothing_is_kept_for_them() {
    let (server, io) = legacy().await;
    let (mut client, sid) = joined(&server, "").await;
    client.send(r#"42["emit",1]"#).await;
    let said = client.text().await;
    let offset = said
        .strip_prefix(r#"42["said",1,""#)
        .and_then(|rest| rest.strip_suffix("\"]"))
        .unwrap();
    let query = format!("&pid={sid}&offset={offset}");
    drop(client);
    let (mut client, other) = joined(&server, &query).await;
    assert_ne!(sid, other);
    client.send(r#"420["rooms"]"#).await;
    assert_eq!(client.text().await, format!(r#"430[["{other}"]]"#));
    drop(io);
}

#[tokio::test]
async fn binary_arguments_begin_with_the_type_of_the_packet() {
    let (server, ..) = start(|io| io.allow_eio3()).await;
    let mut client = Ws::raw(server.addr, WEBSOCKET).await.unwrap();
    client.text().await;
    assert_eq!(client.text().await, "40");
    client
        .send(r#"451-1["bytes",{"_placeholder":true,"num":0}]"#)
        .await;
    client.send_binary(&[4, 1, 2, 3]).await;
    assert_eq!(
        client.text().await,
        r#"461-1[{"_placeholder":true,"num":0}]"#
    );
    assert_eq!(client.binary().await, &[4, 1, 2, 3][..]);
}

#[tokio::test]
async fn a_client_that_does_not_ping_is_closed() {
    let (server, _, mut reasons) = start(|io| {
        io.allow_eio3().timeouts(
            Timeouts::new()
                .ping_interval(Duration::from_secs(25))
                .ping_timeout(Duration::from_secs(20)),
        )
    })
    .await;
    let mut client = Ws::raw(server.addr, WEBSOCKET).await.unwrap();
    client.text().await;
    client.text().await;
    let clock = Clock::stop();
    clock.advance(Duration::from_secs(44)).await;
    client.send("2").await;
    assert_eq!(client.text().await, "3");
    clock.advance(Duration::from_secs(44)).await;
    client.send(r#"421["echo"]"#).await;
    assert_eq!(client.text().await, "431[]");
    clock.advance(Duration::from_secs(2)).await;
    assert_eq!(reasons.next().await, "ping timeout");
}

#[tokio::test]
async fn one_client_in_several_namespaces_answers_for_each() {
    let io = SocketIo::builder()
        .allow_eio3()
        .namespace("/n-{id}", Namespace::new())
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let (mut client, _) = joined(&server, "").await;
    for nsp in ["/n-1", "/n-2"] {
        client.send(&format!("40{nsp}")).await;
        assert_eq!(client.text().await, format!("40{nsp},"));
    }
    let asking = io.of("/n-{id}").emit_with_ack::<u8>("q", ());
    for _ in 0..2 {
        let question = client.text().await;
        let (nsp, _) = question
            .strip_prefix("42")
            .unwrap()
            .split_once(',')
            .unwrap();
        client.send(&format!("43{nsp},0[1]")).await;
    }
    let (answers, summary) = asking.all().await;
    assert_eq!((answers.len(), summary.asked, summary.answered), (2, 2, 2));
}

/// Starts a server that reads nothing while an event waits for a handler.
async fn pausing(namespace: Namespace) -> (Server, SocketIo) {
    let io = SocketIo::builder()
        .allow_eio3()
        .limits(Limits::new().max_queued_bytes(1))
        .namespace("/", namespace)
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    (server, io)
}

/// A client that gets no answer to its ping would disconnect, although the server does not read it.
#[tokio::test]
async fn a_ping_that_the_server_leaves_unread_is_answered_all_the_same() {
    let gate = Arc::new(Semaphore::new(0));
    let go = Arc::clone(&gate);
    let wait = move || {
        let gate = Arc::clone(&gate);
        async move { gate.acquire().await.unwrap().forget() }
    };
    let namespace = Namespace::new().max_pending(1).on("wait", wait);
    let (server, io) = pausing(namespace).await;
    let clock = Clock::stop();
    let (mut client, _) = joined(&server, "").await;
    client
        .send_all(&[r#"420["wait"]"#, r#"421["wait"]"#, "2"])
        .await;
    for _ in 0..5 {
        clock.advance(Duration::from_secs(35)).await;
        assert_eq!(client.text().await, "3");
    }
    assert_eq!(io.client_count(), 1);
    go.add_permits(2);
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(client.text().await);
    }
    answers.sort();
    assert_eq!(answers, ["3", "430[]", "431[]"]);
}

#[tokio::test]
async fn input_over_the_limit_is_logged_and_counted_for_them_too() {
    let logs = Logs::collect("warn");
    let (server, io, mut reasons) =
        start(|io| io.allow_eio3().limits(Limits::new().max_payload(100))).await;
    let (mut client, _) = joined(&server, "").await;
    client.send(&"4".repeat(101)).await;
    assert_eq!(client.ended().await.close, Some(Some(1009)));
    assert_eq!(reasons.next().await, "transport error");

    let polling = "/socket.io/?EIO=3&transport=polling";
    let answer = Http::once(server.addr, "GET", polling).await;
    let (_, open) = answer.text().split_once(":0").unwrap();
    let open = &open[..=open.find('}').unwrap()];
    let target = format!("{polling}&sid={}", sid_in(open));
    let mut http = Http::open(server.addr).await;
    let answer = http.ask("POST", &target, &[], &[b'x'; 101]).await;
    assert_eq!(answer.status, 413);
    assert_eq!(reasons.next().await, "transport error");
    assert_eq!(logs.with("max_payload").len(), 2);
    let metrics = io.metrics();
    assert_eq!(metrics.connections_closed["payload too large"], 2);
    assert_eq!(metrics.input_refused["max_payload"], 2);
}

#[tokio::test]
async fn a_client_that_stops_polling_is_closed_while_reading_is_paused() {
    let wait = || std::future::pending::<()>();
    let namespace = Namespace::new().max_pending(1).on("wait", wait);
    let (server, io) = pausing(namespace).await;
    let clock = Clock::stop();
    let target = "/socket.io/?EIO=3&transport=polling";
    let opened = Http::once(server.addr, "GET", target).await;
    let sid = sid_in(opened.text().split_once(":0").unwrap().1);
    let target = format!("{target}&sid={sid}");
    let answer = Http::once(server.addr, "GET", &target).await;
    assert_eq!(answer.brief(), (200, "2:40"));
    let body = r#"11:420["wait"]11:421["wait"]1:2"#;
    let length = body.len().to_string();
    let before = server.begun();
    let mut post = Http::open(server.addr).await;
    let headers = [("Content-Length", length.as_str())];
    post.begin("POST", &target, &headers, body.as_bytes()).await;
    server.arrived(before).await;
    for open in [1, 1, 0] {
        // The connection's task reaches the new time.
        settle().await;
        assert_eq!(io.client_count(), open);
        for _ in 0..45 {
            clock.advance(Duration::from_secs(1)).await;
        }
    }
}

#[tokio::test]
async fn polls_are_released_at_once_during_an_upgrade() {
    let (server, io) = legacy().await;
    let _clock = Clock::stop();
    let target = "/socket.io/?EIO=3&transport=polling";
    let opened = Http::once(server.addr, "GET", target).await;
    let sid = sid_in(opened.text().split_once(":0").unwrap().1);
    let target = format!("{target}&sid={sid}");
    let mut ws = Ws::raw(server.addr, &format!("{WEBSOCKET}&sid={sid}"))
        .await
        .unwrap();
    ws.send("2probe").await;
    assert_eq!(ws.text().await, "3probe");
    for expected in ["2:40", "1:6", "1:6", "1:6"] {
        let answer = Http::once(server.addr, "GET", &target).await;
        assert_eq!(answer.brief(), (200, expected));
    }
    io.emit("n", 1);
    ws.send_all(&["5", "2"]).await;
    let mut got = [ws.text().await, ws.text().await];
    got.sort();
    assert_eq!(got[0], "3");
    assert!(got[1].starts_with(r#"42["n",1,"#), "with its offset");
    let answer = Http::once(server.addr, "GET", &target).await;
    assert_eq!(answer.status, 400);
}
