//! Two servers with a real NATS, which the tests start and stop.
//!
//! `tests/run cluster` runs them. By hand, `nats-server` has to be installed, or `NATS_SERVER` has to be its path:
//!
//! ```console
//! $ cargo test -p axum-socketio-nats -- --include-ignored
//! ```

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails has to say so"
)]

mod emitter;
mod engine;
mod faults;
mod tls;
#[path = "../../../../tests/cluster/two_servers.rs"]
mod two_servers;

use std::time::Duration;

use axum_socketio::SocketIo;
use axum_socketio_nats::{Nats, async_nats};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::timeout;

use engine::Engine;
use two_servers::{SOON, act_as_one, connect, last_events_arrive, reaches};

async fn server(engine: &Engine) -> SocketIo {
    two_servers::server(engine.nats().await)
}

#[tokio::test]
#[ignore = "starts NATS: tests/run cluster runs it"]
async fn servers_act_as_one() {
    let engine = Engine::start().await;
    let (one, two) = (server(&engine).await, server(&engine).await);
    let url = engine.url();
    let wire = async move { Nats::connect(&url).await.unwrap() };
    last_events_arrive(&one, wire).await;
    act_as_one(&one, &two).await;
}

#[tokio::test]
#[ignore = "starts NATS: tests/run cluster runs it"]
async fn servers_may_share_a_client_of_the_program() {
    let engine = Engine::start().await;
    let nats = Nats::with_client(engine.client().await).prefix("my app.chat");
    let (one, two) = (
        two_servers::server(nats.clone()),
        two_servers::server(nats.clone()),
    );
    // Another cluster on the same NATS.
    let other = server(&engine).await;
    let eve = connect(&other).await;
    act_as_one(&one, &two).await;
    eve.expect_no("news").await;
}

#[tokio::test]
#[ignore = "starts NATS: tests/run cluster runs it"]
async fn events_keep_their_order_whatever_their_rooms_and_sizes() {
    const ROUNDS: usize = 300;
    const ROOMS: usize = 20;

    // Events of 10,000 bytes need several messages.
    let engine = Engine::start_with(|_| "max_payload: 4096".to_owned()).await;
    let (one, two) = (server(&engine).await, server(&engine).await);
    let bob = connect(&two).await;
    for room in 0..ROOMS {
        bob.emit_with_ack::<()>("join", format!("room {room}"))
            .await;
    }
    reaches(one.to("room 0"), &bob).await;
    reaches(one.to(bob.id()), &bob).await;
    for round in 0..ROUNDS {
        one.to(format!("room {}", round % ROOMS))
            .emit("event", (4 * round, ""));
        one.emit("event", (4 * round + 1, "x".repeat(10_000)));
        one.to(bob.id()).emit("event", (4 * round + 2, ""));
        let large = format!("room {}", round * 7 % ROOMS);
        one.to(large)
            .emit("event", (4 * round + 3, "x".repeat(5_000)));
    }
    for number in 0..4 * ROUNDS {
        let (seen, text) = bob.next::<(usize, String)>("event").await;
        let len = [0, 10_000, 0, 5_000][number % 4];
        assert_eq!((seen, text.len()), (number, len));
    }
    let binary = Bytes::from(vec![7; 100_000]);
    one.emit("event", &binary);
    assert_eq!(bob.next::<Bytes>("event").await, binary);
}

#[tokio::test]
#[ignore = "starts NATS: tests/run cluster runs it"]
async fn a_server_gets_the_messages_of_the_rooms_of_its_members_only() {
    let engine = Engine::start().await;
    let (one, two) = (server(&engine).await, server(&engine).await);
    let watcher = engine.client().await;
    let mut all = watcher.subscribe("socketio.>").await.unwrap();
    watcher.flush().await.unwrap();
    let (ann, bob) = (connect(&one).await, connect(&two).await);
    // Names that could not be subjects.
    let rooms = [
        "",
        "a.b",
        "a b",
        "*",
        ">",
        "ü",
        "%",
        "line\r\nbreak",
        &"é".repeat(400),
    ];
    for (number, room) in rooms.iter().enumerate() {
        bob.emit_with_ack::<()>("join", room).await;
        one.to(*room).emit("news", number);
        assert_eq!(bob.next::<usize>("news").await, number, "{room}");
    }
    ann.expect_no("news").await;
    let mut subjects = Vec::new();
    let seen = async {
        while subjects.len() < rooms.len() {
            let subject = all.next().await.unwrap().subject.to_string();
            if subject.starts_with("socketio.r.") {
                subjects.push(subject);
            } else if subject == "socketio.n./" {
                // The last name is too long for a subject of its own.
                let emitted = subjects.len() == rooms.len() - 1;
                if emitted {
                    subjects.push(subject);
                }
            }
        }
    };
    timeout(SOON, seen).await.expect("all messages are seen");
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), rooms.len(), "{subjects:?}");
}

#[tokio::test]
#[ignore = "starts NATS: tests/run cluster runs it"]
async fn a_room_is_released_after_its_last_member_has_left() {
    let engine = Engine::start_with(|_| "http: \"127.0.0.1:0\"".to_owned()).await;
    let nats = engine
        .nats()
        .await
        .release_rooms_after(Duration::from_millis(200));
    let (one, two) = (server(&engine).await, two_servers::server(nats));
    let bob = connect(&two).await;
    bob.emit_with_ack::<()>("join", "x").await;
    one.to("x").emit("news", 1);
    assert_eq!(bob.next::<u8>("news").await, 1);
    bob.emit_with_ack::<()>("leave", "x").await;
    bob.emit_with_ack::<()>("join", "x").await;
    one.to("x").emit("news", 2);
    assert_eq!(bob.next::<u8>("news").await, 2);
    bob.emit_with_ack::<()>("leave", "x").await;
    // A request to nobody is answered at once by the server of NATS.
    let client = engine.client().await;
    let released = async {
        loop {
            let asked = client.request("socketio.r./.x", "?".into()).await;
            if asked.is_err_and(|error| error.kind() == async_nats::RequestErrorKind::NoResponders)
            {
                break;
            }
        }
    };
    timeout(SOON, released).await.expect("the room is released");
}

#[tokio::test]
#[ignore = "starts NATS: tests/run cluster runs it"]
async fn a_socket_is_reached_as_soon_as_its_client_is_connected_or_has_joined() {
    let mut engine = Engine::start().await;
    let (one, two) = (server(&engine).await, server(&engine).await);
    for number in 0..100 {
        let bob = connect(&two).await;
        one.to(bob.id()).emit("news", number);
        assert_eq!(bob.next::<u8>("news").await, number);
        let room = format!("room {number}");
        bob.emit_with_ack::<()>("join", &room).await;
        one.to(room).emit("news", number);
        assert_eq!(bob.next::<u8>("news").await, number);
    }
    // A server that has lost the connection waits for nothing.
    engine.kill();
    let connecting = async {
        for _ in 0..20 {
            let bob = connect(&two).await;
            bob.emit_with_ack::<()>("join", "x").await;
        }
    };
    timeout(Duration::from_secs(8), connecting)
        .await
        .expect("clients connect");
}

#[tokio::test]
#[ignore = "starts NATS: tests/run cluster runs it"]
async fn an_url_may_have_a_token() {
    let engine = Engine::start_with(|_| "authorization { token: \"s3cr3t\" }".to_owned()).await;
    let url = |token| format!("nats://{token}@127.0.0.1:{}", engine.port);
    assert!(Nats::connect(&url("s3cr3t")).await.is_ok());
    let refused = Nats::connect(&url("wrong")).await.unwrap_err();
    assert!(!format!("{refused:?}").contains("wrong"), "{refused:?}");
}

#[tokio::test]
async fn an_engine_that_cannot_be_reached_is_an_error_without_the_password() {
    for url in [
        "nats://user:secret@127.0.0.1:1",
        "nats://secret@127.0.0.1:1,nats://user:secret@127.0.0.1:2",
    ] {
        let refused = Nats::connect(url).await.unwrap_err();
        let text = format!("{refused} {refused:?}");
        assert!(text.contains("127.0.0.1:1"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
    for url in ["not an url with a secret", "", "http://secret@example.com"] {
        let malformed = Nats::connect(url).await.unwrap_err();
        let text = format!("{malformed} {malformed:?}");
        assert!(!text.contains("secret"), "{text}");
    }
}
