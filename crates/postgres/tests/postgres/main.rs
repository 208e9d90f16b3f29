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

use std::time::Duration;

use axum::{Json, Router};
use axum_socketio::testing::{TestApp, TestClient};
use axum_socketio::{Data, Namespace, Socket, SocketIo};
use axum_socketio_postgres::Postgres;
use bytes::Bytes;
use tokio::time::{sleep, timeout};

use engine::{Engine, SOON};

fn server_of(postgres: Postgres) -> SocketIo {
    let namespace = Namespace::new()
        .on("join", async |socket: Socket, Data(room): Data<String>| {
            socket.join(room)
        })
        .on_server("add", async |Data((a, b)): Data<(u64, u64)>| Json(a + b));
    SocketIo::builder()
        .cluster(postgres)
        .namespace("/", namespace)
        .namespace("/rooms-{id}", Namespace::new())
        .build()
}

async fn server(engine: &Engine) -> SocketIo {
    server_of(engine.postgres().await)
}

async fn connect_to(io: &SocketIo, nsp: &str) -> TestClient {
    let app = TestApp::new(Router::new().layer(io.layer()));
    app.connect(nsp).await.unwrap()
}

async fn connect(io: &SocketIo) -> TestClient {
    connect_to(io, "/").await
}

/// Starts servers that know each other.
async fn servers<const N: usize>(engine: &Engine) -> [SocketIo; N] {
    let mut all = Vec::new();
    for _ in 0..N {
        all.push(server(engine).await);
    }
    let known = async {
        for io in &all {
            while asked(io).await != N - 1 {
                sleep(Duration::from_millis(20)).await;
            }
        }
    };
    timeout(SOON, known).await.expect("all servers are known");
    all.try_into().unwrap()
}

/// Returns the number of other servers that have answered a request.
async fn asked(io: &SocketIo) -> usize {
    let answers = io.server_side_emit_with_ack::<u64>("add", (1, 2)).await;
    answers.map_or(0, |asked| asked.answers.len())
}

/// Emits a number until a client has it: a server may not listen yet.
async fn reaches(io: &SocketIo, client: &TestClient) {
    let reached = async {
        loop {
            io.emit("probe", ());
            if timeout(Duration::from_millis(50), client.next::<()>("probe"))
                .await
                .is_ok()
            {
                break;
            }
        }
    };
    timeout(SOON, reached).await.expect("the client is reached");
}

#[tokio::test]
#[ignore = "starts PostgreSQL: tests/run cluster runs it"]
async fn servers_act_as_one() {
    let engine = Engine::start().await;
    let [one, two] = servers(&engine).await;
    let (ann, bob) = (connect(&one).await, connect(&two).await);
    one.emit("news", "all");
    assert_eq!(ann.next::<String>("news").await, "all");
    assert_eq!(bob.next::<String>("news").await, "all");
    bob.emit_with_ack::<()>("join", "x").await;
    one.to("x").emit("news", Bytes::from_static(b"binary"));
    assert_eq!(bob.next::<Bytes>("news").await, "binary");
    assert_eq!(one.of("/").count().await.unwrap(), 2);
    assert_eq!(one.of("/").rooms().await.unwrap()["x"], 1);
    one.to(bob.id()).join("y");
    one.to("y").emit("news", "joined");
    assert_eq!(bob.next::<String>("news").await, "joined");
    let asking = one.emit_with_ack::<u8>("q", ());
    for (client, answer) in [(&ann, 1_u8), (&bob, 2)] {
        client.next_with_ack::<()>("q").await.ack(answer).await;
    }
    let (mut answers, summary) = asking.all().await;
    answers.sort_by_key(|(_, answer)| *answer);
    assert_eq!(answers, [(ann.id(), 1), (bob.id(), 2)]);
    assert_eq!(summary.silent_servers, 0);
    // A namespace that only the other server has.
    let eve = connect_to(&two, "/rooms-1").await;
    one.of("/rooms-1").emit("news", 1);
    assert_eq!(eve.next::<u8>("news").await, 1);
    drop((ann, bob, eve));
    // A server that leaves is not awaited.
    two.close();
    two.closed().await;
    let gone = async {
        while asked(&one).await != 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(4), gone)
        .await
        .expect("the leave is announced");
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
    let (one, two) = (server_of(postgres.clone()), server_of(postgres));
    let (_ann, bob) = (connect(&one).await, connect(&two).await);
    reaches(&one, &bob).await;
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
}
