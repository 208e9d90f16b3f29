//! Clients that resume their sessions on another server.

use std::time::Duration;

use axum_socketio::cluster::HealthState;
use axum_socketio::config::Recovery;
use axum_socketio::testing::TestClient;
use axum_socketio::{DisconnectReason, Namespace, Socket, SocketIo};
use axum_socketio_redis::{Redis, Streams};
use tokio::time::{sleep, timeout};

use crate::engine::Engine;
use crate::log::Log;
use crate::two_servers::{self, SOON, act_as_one, app, becomes, connect, connect_to, reaches};

async fn server_with(engine: &Engine, streams: Streams, recovery: Recovery) -> SocketIo {
    let redis = Redis::connect(&engine.url()).await.unwrap();
    let namespace = || two_servers::namespace().on_connect(async |_: Socket| {});
    SocketIo::builder()
        .cluster(redis.streams(streams))
        .recovery(recovery)
        .namespace("/", namespace())
        .namespace("/other", Namespace::new())
        .namespace("/rooms-{id}", namespace())
        .build()
}

async fn server(engine: &Engine) -> SocketIo {
    server_with(engine, Streams::new(), Recovery::new()).await
}

/// Returns a client of the first server that is in a room, has data, and has seen an event of the second one.
async fn client(one: &SocketIo, two: &SocketIo) -> TestClient {
    // Until then, its events have no positions on itself.
    becomes(two, HealthState::Connected).await;
    let bob = connect(one).await;
    bob.emit_with_ack::<()>("join", "room").await;
    bob.emit_with_ack::<()>("name", "Bob").await;
    two.to("room").emit("n", 0);
    assert_eq!(bob.next::<u32>("n").await, 0);
    bob
}

/// Lets a client come back to a server.
async fn come_back(io: &SocketIo, client: &TestClient) -> TestClient {
    app(io).connect("/").coming_back_as(client).await.unwrap()
}

/// Checks the numbers that a client gets before a marker for the end.
async fn gets(client: &TestClient, io: &SocketIo, expected: impl IntoIterator<Item = u32>) {
    io.to(client.id()).emit("n", u32::MAX);
    for number in expected {
        assert_eq!(client.next::<u32>("n").await, number);
    }
    assert_eq!(client.next::<u32>("n").await, u32::MAX);
}

impl Engine {
    /// Waits until a number of sessions are saved.
    async fn has_sessions(&self, keys: &str, count: usize) {
        let words = ["KEYS", keys];
        let saved = || self.command::<Vec<String>>(&words);
        let reached = async {
            while saved().await.len() != count {
                sleep(Duration::from_millis(10)).await;
            }
        };
        if timeout(SOON, reached).await.is_err() {
            panic!("{:?} are not {count} sessions", saved().await);
        }
    }
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn servers_with_recovery_act_as_one() {
    let engine = Engine::start().await;
    act_as_one(&server(&engine).await, &server(&engine).await).await;
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn a_client_recovers_on_another_server() {
    let engine = Engine::start().await;
    let (one, two) = (server(&engine).await, server(&engine).await);
    let bob = client(&one, &two).await;
    bob.cut().await;
    // The events of one server are in order, and the client misses those of both.
    let ann = connect(&one).await;
    for number in 1..5 {
        let from = if number % 2 == 0 { &one } else { &two };
        from.to("room").emit("n", number);
        reaches(from.to(ann.id()), &ann).await;
    }
    one.to("elsewhere").emit("n", 100);
    one.to("room").except("room").emit("n", 101);
    one.of("/other").emit("n", 102);
    one.of("/").volatile().emit("n", 103);
    one.emit("n", 5);
    one.to(bob.id()).emit("n", 6);
    let again = come_back(&two, &bob).await;
    assert!(again.recovered() && again.id() == bob.id());
    gets(&again, &one, 1..7).await;
    let socket = two.socket(bob.id()).unwrap();
    assert!(socket.is_in("room"));
    assert_eq!(socket.data::<String>().unwrap(), "Bob");
    // And back.
    again.cut().await;
    two.to("room").emit("n", 7);
    let back = come_back(&one, &again).await;
    assert!(back.recovered());
    gets(&back, &two, [7]).await;
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn a_socket_expires_at_its_time_on_another_server() {
    let engine = Engine::start().await;
    let recovery = Recovery::new().skip_middlewares();
    let one = server_with(&engine, Streams::new(), recovery).await;
    let two = server_with(&engine, Streams::new(), recovery).await;
    let bob = client(&one, &two).await;
    let socket = one.socket(bob.id()).unwrap();
    socket.expires_in(Duration::from_secs(5));
    bob.cut().await;
    let again = come_back(&two, &bob).await;
    assert!(again.recovered());
    let socket = two.socket(bob.id()).unwrap();
    let reason = timeout(SOON, socket.closed()).await.unwrap();
    assert_eq!(reason, DisconnectReason::Expired);
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn nobody_waits_for_an_event_that_a_server_has_emitted_before_it_was_connected() {
    let engine = Engine::start().await;
    let one = server(&engine).await;
    // The event is written before the first entry is read, and after that.
    for number in 0..30 {
        let bob = connect(&one).await;
        let two = server(&engine).await;
        sleep(Duration::from_micros(200) * number).await;
        two.emit("n", number);
        assert_eq!(bob.next::<u32>("n").await, number);
        bob.cut().await;
        come_back(&two, &bob).await;
        assert_eq!(two.metrics().recoveries["unavailable"], 0);
    }
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn a_client_recovers_after_its_server_was_killed() {
    let engine = Engine::start().await;
    let two = server(&engine).await;
    let one = server(&engine).await;
    let bob = client(&one, &two).await;
    engine.has_sessions("sio:session:*", 1).await;
    // The first server does not know that the connection is lost, and saves nothing more.
    two.to("room").emit("n", 1);
    assert_eq!(bob.next::<u32>("n").await, 1);
    let again = come_back(&two, &bob).await;
    assert!(again.recovered() && again.id() == bob.id());
    bob.disconnected().await;
    assert!(one.socket(bob.id()).is_none());
    one.to("room").emit("n", 2);
    gets(&again, &one, [2]).await;
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn a_client_recovers_on_a_server_that_has_just_started() {
    let engine = Engine::start().await;
    let (one, two) = (server(&engine).await, server(&engine).await);
    let bob = client(&one, &two).await;
    bob.cut().await;
    // More than a page, most of it of another namespace.
    for number in 1..=350 {
        one.of("/other").emit("n", number);
        one.of("/other").emit("n", number);
        one.to("room").emit("n", number);
    }
    one.close();
    one.closed().await;
    drop(one);
    let three = server(&engine).await;
    let again = come_back(&three, &bob).await;
    assert!(again.recovered());
    gets(&again, &two, 1..=350).await;
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn a_client_that_has_seen_no_event_recovers() {
    let engine = Engine::start().await;
    let (one, two) = (server(&engine).await, server(&engine).await);
    let bob = connect(&one).await;
    engine.has_sessions("sio:session:*", 1).await;
    bob.cut().await;
    one.emit("n", 1);
    let again = come_back(&two, &bob).await;
    assert!(again.recovered());
    gets(&again, &one, [1]).await;
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn namespaces_of_a_pattern_get_each_event_once() {
    let engine = Engine::start().await;
    let (one, two) = (server(&engine).await, server(&engine).await);
    let ann = connect_to(&one, "/rooms-1").await;
    let bob = connect_to(&two, "/rooms-1").await;
    let eve = connect_to(&two, "/rooms-2").await;
    reaches(one.of("/rooms-{id}").broadcast(), &eve).await;
    reaches(two.of("/rooms-{id}").broadcast(), &ann).await;
    for number in 0..10 {
        one.of("/rooms-{id}").emit("n", number);
    }
    for client in [&ann, &bob, &eve] {
        for number in 0..10 {
            assert_eq!(client.next::<u32>("n").await, number);
        }
    }
    sleep(Duration::from_millis(200)).await;
    for client in [&ann, &bob, &eve] {
        client.expect_no("n").await;
    }
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn an_empty_selection_reaches_nobody() {
    let engine = Engine::start().await;
    let (one, two) = (server(&engine).await, server(&engine).await);
    let bob = client(&two, &one).await;
    let nobody: [&str; 0] = [];
    one.to(nobody).emit("n", 1);
    one.emit("n", 2);
    gets(&bob, &one, [2]).await;
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn sessions_are_saved_for_a_time_and_discarded_when_a_server_disconnects_the_socket() {
    let engine = Engine::start().await;
    let recovery = Recovery::new().max_duration(Duration::from_secs(60));
    let one = server_with(&engine, Streams::new().session_prefix("s:"), recovery).await;
    let (ann, bob) = (connect(&one).await, connect(&one).await);
    engine.has_sessions("s:*", 2).await;
    bob.cut().await;
    let keys: Vec<String> = engine.command(&["KEYS", "s:*"]).await;
    for key in &keys {
        let left: i64 = engine.command(&["PTTL", key]).await;
        assert!((1..=60_000).contains(&left), "{left}");
    }
    one.to(ann.id()).disconnect();
    ann.disconnected().await;
    engine.has_sessions("s:*", 1).await;
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn a_client_whose_events_have_been_trimmed_gets_a_new_socket() {
    let engine = Engine::start().await;
    let (one, two) = (server(&engine).await, server(&engine).await);
    let bob = client(&one, &two).await;
    bob.cut().await;
    let ann = connect(&one).await;
    for number in 1..4 {
        one.emit("n", number);
        assert_eq!(ann.next::<u32>("n").await, number);
    }
    let _: usize = engine.command(&["XTRIM", "socket.io", "MAXLEN", "2"]).await;
    // The other servers have the events in their memory.
    let three = server(&engine).await;
    let again = come_back(&three, &bob).await;
    assert!(!again.recovered() && again.id() != bob.id());
    gets(&again, &one, []).await;
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn clients_that_come_at_once_share_the_reading_of_the_stream() {
    const CLIENTS: usize = 100;
    let engine = Engine::start().await;
    let (one, two) = (server(&engine).await, server(&engine).await);
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(client(&one, &two).await);
    }
    for client in &clients {
        client.cut().await;
    }
    let ann = connect(&two).await;
    for number in 1..=450 {
        two.to("room").emit("n", number);
    }
    reaches(two.to(ann.id()), &ann).await;
    let three = server(&engine).await;
    reaches(two.to(connect(&three).await.id()), &ann).await;
    let _: String = engine.command(&["CONFIG", "RESETSTAT"]).await;
    let coming = clients.iter().map(|client| come_back(&three, client));
    let again = futures_util::future::join_all(coming).await;
    let stats: String = engine.command(&["INFO", "commandstats"]).await;
    let reads = stats.split("cmdstat_xrange:calls=").nth(1).unwrap();
    let reads: usize = reads.split(',').next().unwrap().parse().unwrap();
    // Alone, each client needs ten.
    assert!(reads < 3 * CLIENTS, "{reads}");
    for client in &again {
        assert!(client.recovered());
        for number in 1..=450 {
            assert_eq!(client.next::<u32>("n").await, number);
        }
    }
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn without_redis_events_have_no_position_and_their_clients_get_new_sockets() {
    let mut engine = Engine::start().await;
    let (one, two) = (server(&engine).await, server(&engine).await);
    let bob = client(&one, &two).await;
    let eve = client(&one, &two).await;
    assert_eq!(bob.next::<u32>("n").await, 0);
    engine.kill();
    becomes(&one, HealthState::Reconnecting).await;
    for number in 1..4 {
        one.to("room").emit("n", number);
        assert_eq!(bob.next::<u32>("n").await, number);
    }
    eve.cut().await;
    let lost = async {
        while one.metrics().cluster_messages_lost["outage"] < 3 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, lost).await.expect("losses are counted");
    engine.restart().await;
    becomes(&one, HealthState::Connected).await;
    becomes(&two, HealthState::Connected).await;
    // Nobody knows which of the events these clients have.
    bob.cut().await;
    for (io, client) in [(&one, &bob), (&two, &eve)] {
        assert!(!come_back(io, client).await.recovered());
    }
    // Later clients recover again.
    let fay = client(&one, &two).await;
    fay.cut().await;
    one.to("room").emit("n", 5);
    let again = come_back(&two, &fay).await;
    assert!(again.recovered());
    gets(&again, &two, [5]).await;
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn events_that_do_not_fit_the_queue_are_delivered_here_and_counted() {
    let mut engine = Engine::start().await;
    let redis = Redis::connect(&engine.url()).await.unwrap();
    let redis = redis.streams(Streams::new()).max_queued_bytes(1000);
    let builder = SocketIo::builder().cluster(redis).recovery(Recovery::new());
    let one = builder.namespace("/", two_servers::namespace()).build();
    let bob = connect(&one).await;
    reaches(one.to(bob.id()), &bob).await;
    let large = "x".repeat(2000);
    // Clients take a text at the end for an offset.
    one.emit("large", (&large, 1));
    assert_eq!(bob.next::<(String, u8)>("large").await, (large, 1));
    assert_eq!(one.metrics().cluster_messages_lost["outage"], 1);
    engine.kill();
    for number in 0..100 {
        one.emit("n", number);
        assert_eq!(bob.next::<u32>("n").await, number);
    }
    engine.restart().await;
    becomes(&one, HealthState::Connected).await;
    let lost = one.metrics().cluster_messages_lost["outage"];
    assert!(lost > 1, "{lost}");
    gets(&bob, &one, []).await;
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn sessions_that_do_not_fit_the_queue_are_not_saved() {
    let (log, _guard) = Log::collect();
    let engine = Engine::start().await;
    let streams = Streams::new().max_session_bytes(2000);
    let one = server_with(&engine, streams, Recovery::new()).await;
    let two = server(&engine).await;
    let bob = client(&one, &two).await;
    engine.has_sessions("sio:session:*", 1).await;
    let socket = one.socket(bob.id()).unwrap();
    socket.set_data("x".repeat(3000)).unwrap();
    socket.join("other");
    assert_eq!(log.with("see max_session_bytes").len(), 1);
    socket.set_data("Bob").unwrap();
    let reported = async {
        while log.with("sessions were not saved").is_empty() {
            socket.join("another");
            socket.leave("another");
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, reported).await.unwrap();
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn garbage_in_the_stream_and_in_sessions_harms_nobody() {
    let engine = Engine::start().await;
    let (one, two) = (server(&engine).await, server(&engine).await);
    let bob = client(&one, &two).await;
    engine.has_sessions("sio:session:*", 1).await;
    let entry = |kind: &'static str, data: &'static str| {
        [
            "XADD",
            "socket.io",
            "*",
            "uid",
            "u",
            "nsp",
            "/",
            "type",
            kind,
            "token",
            "1-1",
            "data",
            data,
        ]
    };
    for data in ["", "{", "{}", "gA==", "no base64", "{\"pid\":\"x\"}"] {
        for kind in ["3", "102", "103", "999", "-1"] {
            let _: String = engine.command(&entry(kind, data)).await;
        }
    }
    one.emit("n", 1);
    assert_eq!(bob.next::<u32>("n").await, 1);
    assert!(two.metrics().cluster_messages_lost["malformed"] >= 6);
    for session in ["", "garbage", "gA=="] {
        let ann = connect(&one).await;
        ann.cut().await;
        engine.has_sessions("sio:session:*", 2).await;
        let keys: Vec<String> = engine.command(&["KEYS", "sio:session:*"]).await;
        for key in &keys {
            let _: String = engine.command(&["SET", key, session]).await;
        }
        let again = come_back(&two, &ann).await;
        assert!(!again.recovered());
        again.disconnect().await;
        let _: usize = engine.command(&["DEL", &keys[0], &keys[1]]).await;
        // A join saves the session anew.
        one.to(bob.id()).join(format!("room of {session}"));
        engine.has_sessions("sio:session:*", 1).await;
    }
    gets(&bob, &two, []).await;
}
