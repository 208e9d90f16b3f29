//! Events of programs without a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum_socketio::testing::TestClient;
use axum_socketio_redis::{EmitError, Emitter, Redis};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::time::{Duration, timeout};

use crate::engine::{Engine, KINDS, Kind, redis};
use crate::server;
use crate::two_servers::{SOON, connect, connect_to};

/// Emits until a client has an event: its server may not have subscribed yet.
async fn reaches(emitter: &Emitter, client: &TestClient) {
    let reached = async {
        loop {
            emitter.emit("probe", ()).await.unwrap();
            let probe = client.next::<()>("probe");
            if timeout(Duration::from_millis(100), probe).await.is_ok() {
                break;
            }
        }
    };
    timeout(SOON, reached).await.expect("the client is reached");
}

async fn emitter(engine: &Engine, kind: Kind) -> Emitter {
    redis(&engine.url(), kind).await.emitter()
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn a_program_without_a_server_reaches_clients_and_servers() {
    let engine = Engine::start().await;
    for kind in KINDS {
        let io = server(&engine.url(), kind).await;
        let (ann, bob) = (connect(&io).await, connect(&io).await);
        let eve = connect_to(&io, "/rooms-1").await;
        let emitter = emitter(&engine, kind).await;
        reaches(&emitter, &ann).await;
        let both = emitter.to([ann.id(), bob.id()]);
        both.emit("news", (1, "a")).await.unwrap();
        let binary = Bytes::from_static(&[0, 1, 255]);
        both.volatile().emit("news", (2, &binary)).await.unwrap();
        for client in [&ann, &bob] {
            assert_eq!(client.next::<(u8, String)>("news").await, (1, "a".into()));
            assert_eq!(client.next::<(u8, Bytes)>("news").await.1, binary);
        }
        let large = "x".repeat(1_000_000);
        both.uncompressed().emit("news", &large).await.unwrap();
        for client in [&ann, &bob] {
            assert_eq!(client.next::<String>("news").await, large);
        }
        both.except([bob.id()]).emit("news", 3).await.unwrap();
        assert_eq!(ann.next::<u8>("news").await, 3);
        emitter.to(None::<&str>).emit("news", 4).await.unwrap();
        emitter.emit("news", 5).await.unwrap();
        assert_eq!(ann.next::<u8>("news").await, 5);
        assert_eq!(bob.next::<u8>("news").await, 5);
        let rooms = emitter.of("rooms-1");
        rooms.emit("news", 6).await.unwrap();
        assert_eq!(eve.next::<u8>("news").await, 6);
        rooms.disconnect_all().await.unwrap();
        eve.disconnected().await;
        emitter.to(bob.id()).disconnect().await.unwrap();
        bob.disconnected().await;
        assert!(ann.is_connected());
    }
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn an_event_follows_a_join_at_once() {
    let engine = Engine::start().await;
    for kind in KINDS {
        let io = server(&engine.url(), kind).await;
        let (ann, bob) = (connect(&io).await, connect(&io).await);
        let emitter = emitter(&engine, kind).await;
        reaches(&emitter, &ann).await;
        for number in 0..20 {
            let room = format!("room {number}");
            emitter.to(bob.id()).join([&room]).await.unwrap();
            emitter.to(&room).emit("news", number).await.unwrap();
            assert_eq!(bob.next::<u8>("news").await, number);
            emitter.to(&room).leave([room, "x".into()]).await.unwrap();
        }
        emitter.to("room 0").emit("news", 0).await.unwrap();
        emitter.emit("news", 1).await.unwrap();
        assert_eq!(bob.next::<u8>("news").await, 1);
    }
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn servers_handle_events_of_an_emitter() {
    let engine = Engine::start().await;
    for kind in KINDS {
        let one = server(&engine.url(), kind).await;
        let two = server(&engine.url(), kind).await;
        crate::two_servers::answered_by(&one.of("/"), 1).await;
        let emitter = emitter(&engine, kind).await;
        for number in [3, 4] {
            emitter.server_side_emit("count", number).await.unwrap();
        }
        for io in [&one, &two] {
            let counted = async {
                loop {
                    let asked = io.server_side_emit_with_ack::<u64>("counted", ());
                    if asked.await.unwrap().answers == [7] {
                        break;
                    }
                }
            };
            timeout(SOON, counted).await.expect("both servers count");
        }
        let error = emitter.server_side_emit("error", ()).await;
        assert!(matches!(error, Err(EmitError::Encode(_))), "{error:?}");
    }
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn an_emitter_connects_again_and_repeats_nothing() {
    let mut engine = Engine::start().await;
    let io = server(&engine.url(), Kind::Classic).await;
    let ann = connect(&io).await;
    let emitter = emitter(&engine, Kind::Classic).await;
    reaches(&emitter, &ann).await;
    let killed: usize = engine.command(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    assert!(killed > 0);
    engine.kill();
    for number in 0..3 {
        let error = emitter.emit("lost", number).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(&format!("127.0.0.1:{}", engine.port)),
            "{text}"
        );
    }
    engine.restart().await;
    reaches(&emitter, &ann).await;
    assert!(!ann.has("lost"));
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn errors_of_emitters_have_the_address_and_no_password() {
    let refused = Emitter::connect("redis://user:secret@127.0.0.1:1/").await;
    let text = format!("{:?}", refused.unwrap_err());
    assert!(
        text.contains("127.0.0.1:1") && !text.contains("secret"),
        "{text}"
    );
    let mut engine = Engine::start().await;
    let user = ["ACL", "SETUSER", "ann", "on", ">secret", "+@all", "&app*"];
    let _: () = engine.command(&user).await;
    let url = format!("redis://ann:secret@127.0.0.1:{}/", engine.port);
    let redis = Redis::connect(&url).await.unwrap();
    redis
        .clone()
        .prefix("app")
        .emitter()
        .emit("news", 1)
        .await
        .unwrap();
    // The user may not publish to other channels.
    let emitter = redis.emitter();
    let address = format!("127.0.0.1:{}", engine.port);
    let refused = emitter.emit("news", 1).await.unwrap_err();
    engine.kill();
    let lost = emitter.emit("news", 1).await.unwrap_err();
    for error in [refused, lost] {
        let text = format!("{error} {error:?} {emitter:?}");
        assert!(
            text.contains(&address) && !text.contains("secret"),
            "{text}"
        );
    }
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn an_event_that_is_too_large_is_an_error() {
    let engine = Engine::start().await;
    let redis = redis(&engine.url(), Kind::Classic).await;
    let emitter = redis.max_queued_bytes(1_000).emitter();
    let error = emitter.emit("news", "x".repeat(1_000)).await.unwrap_err();
    assert!(
        matches!(error, EmitError::TooLarge { max: 1_000, .. }),
        "{error}"
    );
    emitter.emit("news", "x".repeat(800)).await.unwrap();
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn events_of_one_moment_do_not_wait_for_redis_one_after_the_other() {
    let mut engine = Engine::start().await;
    let emitter = emitter(&engine, Kind::Classic).await;
    engine.kill();
    // A server that accepts connections, and never answers.
    let silent = TcpListener::bind(("127.0.0.1", engine.port)).await.unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        let mut connections = Vec::new();
        while let Ok((connection, _)) = silent.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            connections.push(connection);
        }
    });
    let events = (0..20).map(|number| emitter.emit("lost", number));
    let sent = timeout(SOON, futures_util::future::join_all(events)).await;
    let sent = sent.expect("all events end");
    assert!(
        sent.iter()
            .all(|sent| matches!(sent, Err(EmitError::Connect(_))))
    );
    assert_eq!(accepted.load(Ordering::Relaxed), 1);
}
