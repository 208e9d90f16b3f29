//! Two servers with a real PostgreSQL, which the tests start and stop.
//!
//! `tests/run cluster` runs them. By hand, PostgreSQL has to be installed, or `POSTGRES_BIN` has to be the folder of its
//! programs:
//!
//! ```console
//! $ cargo test -p axum-socketio-postgres -- --include-ignored
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
#[path = "../../../../tests/cluster/two_servers.rs"]
mod two_servers;

use std::time::Duration;

use axum_socketio::SocketIo;
use axum_socketio_postgres::Postgres;
use bytes::Bytes;

use engine::Engine;
use two_servers::{act_as_one, answered_by, connect, last_events_arrive, reaches};

async fn server(engine: &Engine) -> SocketIo {
    two_servers::server(engine.postgres().await)
}

/// Starts servers that know each other.
async fn servers<const N: usize>(engine: &Engine) -> [SocketIo; N] {
    let mut all = Vec::new();
    for _ in 0..N {
        all.push(server(engine).await);
    }
    for io in &all {
        answered_by(&io.of("/"), N - 1).await;
    }
    all.try_into().unwrap()
}

#[tokio::test]
#[ignore = "starts PostgreSQL: tests/run cluster runs it"]
async fn servers_act_as_one() {
    let engine = Engine::start().await;
    let (one, two) = (server(&engine).await, server(&engine).await);
    let url = engine.url();
    let wire = async move { Postgres::connect(&url).await.unwrap() };
    last_events_arrive(&one, wire).await;
    act_as_one(&one, &two).await;
    drop((one, two));
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'axum-socketio'";
    engine.until(sessions, "0").await;
}

#[tokio::test]
#[ignore = "starts PostgreSQL: tests/run cluster runs it"]
async fn small_large_binary_and_equal_events_keep_their_order() {
    let engine = Engine::start().await;
    let [one, two] = servers(&engine).await;
    let bob = connect(&two).await;
    // JSON of about 7,800 to 8,200 bytes, on both sides of the limit.
    let lens = (0..400).map(|more| 7_800 + more);
    for (number, len) in lens.enumerate() {
        one.emit("event", (number, "x".repeat(len)));
        one.emit("event", (number, "small"));
        if number % 10 == 0 {
            one.emit("event", (number, Bytes::from_static(b"binary")));
        }
        one.emit("event", (number, "small"));
    }
    for number in 0..400 {
        let (seen, text) = bob.next::<(usize, String)>("event").await;
        assert_eq!((seen, text.len()), (number, 7_800 + number));
        assert_eq!(bob.next::<(usize, String)>("event").await.0, number);
        if number % 10 == 0 {
            let (seen, bytes) = bob.next::<(usize, Bytes)>("event").await;
            assert_eq!((seen, &*bytes), (number, &b"binary"[..]));
        }
        let (seen, text) = bob.next::<(usize, String)>("event").await;
        assert_eq!((seen, &*text), (number, "small"));
    }
}

#[tokio::test]
#[ignore = "starts PostgreSQL: tests/run cluster runs it"]
async fn messages_over_the_limit_are_missed() {
    let engine = Engine::start().await;
    let one = server(&engine).await;
    let postgres = engine.postgres().await.max_received_bytes(20_000);
    let two = two_servers::server(postgres);
    let bob = connect(&two).await;
    reaches(one.of("/").broadcast(), &bob).await;
    one.emit("lost", "x".repeat(21_000));
    one.emit("large", "x".repeat(19_000));
    assert_eq!(bob.next::<String>("large").await.len(), 19_000);
    assert_eq!(two.metrics().cluster_messages_lost["missed"], 1);
}

#[tokio::test]
#[ignore = "starts PostgreSQL: tests/run cluster runs it"]
async fn large_events_are_deleted_after_a_while() {
    let engine = Engine::start().await;
    let set = |postgres: Postgres| {
        let postgres = postgres.table("app.large events").prefix("my app");
        postgres.cleanup_interval(Duration::from_secs(1))
    };
    engine
        .client()
        .await
        .batch_execute("CREATE SCHEMA app")
        .await
        .unwrap();
    let postgres = set(engine.postgres().await);
    postgres.create_table().await.unwrap();
    postgres.create_table().await.unwrap();
    let (one, two) = (
        two_servers::server(postgres.clone()),
        two_servers::server(postgres),
    );
    let (_ann, bob) = (connect(&one).await, connect(&two).await);
    reaches(one.of("/").broadcast(), &bob).await;
    one.emit("large", "x".repeat(100_000));
    assert_eq!(bob.next::<String>("large").await.len(), 100_000);
    let sql = "SELECT count(*) FROM app.\"large events\"";
    assert_eq!(engine.value(sql).await, "1");
    engine.until(sql, "0").await;
}

#[tokio::test]
async fn an_engine_that_cannot_be_reached_is_an_error_without_the_password() {
    let refused = Postgres::connect("postgres://user:secret@127.0.0.1:1/")
        .await
        .unwrap_err();
    let text = format!("{refused} {refused:?}");
    assert!(text.contains("127.0.0.1:1"), "{text}");
    assert!(!text.contains("secret"), "{text}");
    let malformed = Postgres::connect("not an url with a secret")
        .await
        .unwrap_err();
    assert!(!malformed.to_string().contains("secret"));
    for url in [
        "not an url with a secret",
        "host=db password=my secret=x",
        "postgres://user:1@secret:x@db/",
        "postgres://user:1@secret@127.0.0.1:1/",
    ] {
        let text = format!("{:?}", Postgres::connect(url).await.unwrap_err());
        assert!(!text.contains("secret"), "{text}");
    }
}
