//! Failures of PostgreSQL, and messages of other software.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use axum_socketio::cluster::HealthState;
use axum_socketio_postgres::{Postgres, tokio_postgres};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use crate::engine::Engine;
use crate::servers;
use crate::two_servers::{self, SOON, answered_by, becomes, connect, connect_to, reaches};

/// Ends the sessions that listen, and returns their number.
const END_LISTENERS: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
    WHERE application_name = 'axum-socketio' AND query NOT LIKE '%pg_notify%' AND query NOT LIKE 'SET%'";

#[tokio::test]
#[ignore = "starts PostgreSQL: tests/run cluster runs it"]
async fn servers_find_each_other_again_after_failures() {
    let mut engine = Engine::start().await;
    let [one, two] = servers(&engine).await;
    let (ann, bob) = (connect(&one).await, connect(&two).await);
    assert_ne!(engine.value(END_LISTENERS).await, "0");
    reaches(one.of("/").broadcast(), &bob).await;
    reaches(two.of("/").broadcast(), &ann).await;
    let all = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'axum-socketio'";
    assert_ne!(engine.value(all).await, "0");
    reaches(one.of("/").broadcast(), &bob).await;

    engine.kill();
    // The attempts to connect are up to a second apart.
    for number in 0..30 {
        two.emit("news", number);
        assert_eq!(
            bob.next::<u8>("news").await,
            number,
            "local clients are reached"
        );
        one.emit("lost", "x".repeat(9_000));
        sleep(Duration::from_millis(100)).await;
    }
    becomes(&one, HealthState::Reconnecting).await;
    let nsp = connect_to(&two, "/rooms-2").await;
    engine.restart().await;
    reaches(one.of("/").broadcast(), &bob).await;
    reaches(two.of("/").broadcast(), &ann).await;
    one.emit("large", "x".repeat(9_000));
    assert_eq!(bob.next::<String>("large").await.len(), 9_000);
    one.of("/rooms-2").emit("news", 1);
    assert_eq!(nsp.next::<u8>("news").await, 1);
    answered_by(&one.of("/"), 1).await;
    becomes(&one, HealthState::Connected).await;
    bob.expect_no("lost").await;
    assert!(one.metrics().cluster_messages_lost["outage"] > 0);
}

async fn notify(client: &tokio_postgres::Client, channel: &str, text: &str) {
    let sql = "SELECT pg_notify($1, $2)";
    client.execute(sql, &[&channel, &text]).await.unwrap();
}

#[tokio::test]
#[ignore = "starts PostgreSQL: tests/run cluster runs it"]
async fn messages_of_other_software_are_dropped() {
    let engine = Engine::start().await;
    let [one, two] = servers(&engine).await;
    let (ann, bob) = (connect(&one).await, connect(&two).await);
    let client = engine.client().await;
    let broadcast = r#"{"type":3,"data":{"packet":{"type":2,"data":["news",1]},"opts":{"rooms":[],"except":[],"flags":{}}},"uid":"node","nsp":"/"}"#;
    let messages = [
        "",
        "garbage",
        "{",
        "[]",
        "null",
        "\"text\"",
        r#"{"type":3}"#,
        r#"{"uid":"node","type":3,"attachmentId":"1000000"}"#,
        r#"{"uid":"node","type":3,"attachmentId":"x"}"#,
        r#"{"uid":"node","type":3,"attachmentId":-1}"#,
        r#"{"uid":"node","type":3,"attachmentId":{}}"#,
        r#"{"type":3,"attachmentId":"1"}"#,
    ];
    for message in messages
        .into_iter()
        .chain([broadcast.strip_suffix("\"}").unwrap()])
    {
        for channel in ["socket.io#/", "socket.io#/unknown", "socket.io#", "other"] {
            notify(&client, channel, message).await;
        }
    }
    let store = "INSERT INTO socket_io_attachments (payload) VALUES ($1) RETURNING id";
    for payload in [Some(&b"\xc1garbage"[..]), Some(b""), None] {
        let row = client.query_one(store, &[&payload]).await.unwrap();
        let header = format!(
            r#"{{"uid":"node","type":3,"attachmentId":"{}"}}"#,
            row.get::<_, i64>(0)
        );
        notify(&client, "socket.io#/", &header).await;
    }
    notify(&client, "socket.io#/", broadcast).await;
    for client in [&ann, &bob] {
        assert_eq!(client.next::<u8>("news").await, 1);
    }
    let lost = one.metrics().cluster_messages_lost;
    assert!(lost["malformed"] >= 7, "{lost:?}");
    assert!(lost["missed"] >= 3, "{lost:?}");
}

#[tokio::test]
#[ignore = "starts PostgreSQL: tests/run cluster runs it"]
async fn messages_that_postgresql_refuses_do_not_stop_others() {
    let engine = Engine::start().await;
    let [one, two] = servers(&engine).await;
    let (_ann, bob) = (connect(&one).await, connect(&two).await);
    let client = engine.client().await;
    client
        .batch_execute("ALTER TABLE socket_io_attachments RENAME TO hidden")
        .await
        .unwrap();
    // A namespace whose channel PostgreSQL does not have.
    let long = format!("/rooms-{}", "x".repeat(60));
    let eve = connect_to(&one, &long).await;
    one.of(&long).emit("news", 1);
    assert_eq!(eve.next::<u8>("news").await, 1);
    assert!(one.metrics().cluster_messages_lost["no channel"] > 0);
    one.emit("large", "x".repeat(9_000));
    one.emit("news", 1);
    assert_eq!(bob.next::<u8>("news").await, 1);
    client
        .batch_execute("ALTER TABLE hidden RENAME TO socket_io_attachments")
        .await
        .unwrap();
    one.emit("large", 2);
    one.emit("large", "x".repeat(9_000));
    assert_eq!(bob.next::<u8>("large").await, 2);
    assert_eq!(bob.next::<String>("large").await.len(), 9_000);
}

#[tokio::test]
#[ignore = "starts PostgreSQL: tests/run cluster runs it"]
async fn a_name_that_the_database_cannot_have_does_not_stop_others() {
    let engine = Engine::start().await;
    let create =
        "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0";
    engine.client().await.batch_execute(create).await.unwrap();
    let server = async || {
        let postgres = Postgres::connect(&engine.url_of("latin")).await.unwrap();
        two_servers::server(postgres)
    };
    let (one, two) = (server().await, server().await);
    let bob = connect(&two).await;
    reaches(one.of("/").broadcast(), &bob).await;
    let eve = connect_to(&two, "/rooms-\u{65e5}").await;
    let joe = connect_to(&two, "/rooms-\u{e9}").await;
    for _ in 0..2 {
        reaches(one.of("/").broadcast(), &bob).await;
        reaches(one.of("/rooms-\u{e9}").broadcast(), &joe).await;
        becomes(&two, HealthState::Connected).await;
        assert_ne!(engine.value(END_LISTENERS).await, "0");
    }
    two.of("/rooms-\u{65e5}").emit("news", 1);
    assert_eq!(eve.next::<u8>("news").await, 1);
}

/// A session of PostgreSQL that is stopped until this is dropped.
struct Stopped(String);

impl Stopped {
    fn signal(&self, signal: &str) {
        let kill = Command::new("kill").args([signal, &self.0]).status();
        assert!(kill.unwrap().success());
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.signal("-CONT");
    }
}

#[tokio::test]
#[ignore = "starts PostgreSQL: tests/run cluster runs it"]
async fn a_session_that_does_not_answer_is_replaced() {
    let engine = Engine::start().await;
    let [one, two] = servers(&engine).await;
    let (_ann, bob) = (connect(&one).await, connect(&two).await);
    let large = "x".repeat(9_000);
    one.emit("large", &large);
    assert_eq!(bob.next::<String>("large").await, large);
    let reader =
        "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT CASE WHEN octet_length%'";
    let stopped = Stopped(engine.value(reader).await);
    stopped.signal("-STOP");
    one.emit("lost", &large);
    one.emit("news", 1);
    assert_eq!(bob.next::<u8>("news").await, 1);
    one.emit("large", &large);
    assert_eq!(bob.next::<String>("large").await, large);
    assert_eq!(two.metrics().cluster_messages_lost["missed"], 1);
}

/// Listens, and passes connections on to the present port.
async fn forward(to: Arc<AtomicU16>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut from, _) = listener.accept().await.unwrap();
            let to = to.load(Ordering::Relaxed);
            tokio::spawn(async move {
                let mut to = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                let _ = copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    port
}

#[tokio::test]
#[ignore = "starts PostgreSQL: tests/run cluster runs it"]
async fn servers_leave_a_standby_for_the_server_that_takes_its_address() {
    let primary = Engine::start().await;
    let mut standby = Engine::start().await;
    standby.become_standby().await;
    let to = Arc::new(AtomicU16::new(primary.port));
    let port = forward(Arc::clone(&to)).await;
    let url = format!("postgres://test@127.0.0.1:{port}/postgres");
    let moving = two_servers::server(Postgres::connect(&url).await.unwrap());
    let still = two_servers::server(primary.postgres().await);
    let bob = connect(&still).await;
    reaches(moving.of("/").broadcast(), &bob).await;
    to.store(standby.port, Ordering::Relaxed);
    let all = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'axum-socketio'";
    assert_ne!(primary.value(all).await, "0");
    let lost = async {
        while moving.metrics().cluster_messages_lost["outage"] < 10 {
            moving.emit("lost", ());
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, lost).await.unwrap();
    to.store(primary.port, Ordering::Relaxed);
    reaches(moving.of("/").broadcast(), &bob).await;
}
