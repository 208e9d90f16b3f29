//! Limits for the rate of a client's events.

use std::time::Duration;

use axum::Router;
use axum_socketio::handler::RateLimit;
use axum_socketio::{Namespace, SocketIo};

use super::with;
use crate::support::{Clock, Ws, serve};

const SECOND: Duration = Duration::from_secs(1);
const TOO_FAST: &str = r#"[{"error":"too many events"}]"#;

fn quiet() -> Namespace {
    Namespace::new().on("x", async || {})
}

/// Sends events and returns the number of those that pass.
async fn passed(client: &mut Ws, events: usize) -> usize {
    let mut passed = 0;
    for _ in 0..events {
        match client.ask(r#"["x"]"#).await.as_str() {
            "[]" => passed += 1,
            answer => assert_eq!(answer, TOO_FAST),
        }
    }
    passed
}

#[tokio::test]
async fn events_that_come_too_fast_are_answered_with_an_error() {
    let (server, _io) = with(quiet().layer(RateLimit::new(5, SECOND))).await;
    let clock = Clock::stop();
    let mut client = Ws::joined(server.addr).await;
    let mut other = Ws::joined(server.addr).await;
    assert_eq!(passed(&mut client, 8).await, 5);
    assert_eq!(passed(&mut other, 8).await, 5, "each client has its own");
    clock.advance(SECOND * 2 / 5).await;
    assert_eq!(passed(&mut client, 8).await, 2);
    clock.advance(60 * SECOND).await;
    client.text().await;
    client.send("3").await;
    assert_eq!(passed(&mut client, 8).await, 5);
}

#[tokio::test]
async fn bytes_are_limited_too() {
    let limit = RateLimit::new(1000, SECOND).bytes(1000);
    let (server, _io) = with(quiet().layer(limit)).await;
    let clock = Clock::stop();
    let mut client = Ws::joined(server.addr).await;
    let event = format!(r#"["x","{}"]"#, "x".repeat(380));
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(client.ask(&event).await);
    }
    assert_eq!(answers[2], TOO_FAST);
    assert!(!answers[..2].contains(&TOO_FAST.to_owned()));
    assert_eq!(passed(&mut client, 1).await, 1, "a small one has room");
    clock.advance(SECOND).await;
    let large = format!(r#"["x","{}"]"#, "x".repeat(1000));
    assert_eq!(client.ask(&large).await, TOO_FAST, "it alone is too much");
}

#[tokio::test]
async fn namespaces_of_one_limit_share_it() {
    let limit = RateLimit::new(3, SECOND);
    let io = SocketIo::builder()
        .namespace("/", quiet().layer(limit.clone()))
        .namespace("/shared", quiet().layer(limit))
        .namespace("/own", quiet().layer(RateLimit::new(3, SECOND)))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let _clock = Clock::stop();
    let mut client = Ws::joined(server.addr).await;
    client.join("/shared").await;
    client.join("/own").await;
    assert_eq!(passed(&mut client, 2).await, 2);
    for (nsp, answers) in [("/shared", ["[]", TOO_FAST]), ("/own", ["[]", "[]"])] {
        for answer in answers {
            client.send(&format!(r#"42{nsp},1["x"]"#)).await;
            assert_eq!(client.text().await, format!("43{nsp},1{answer}"));
        }
    }
}

#[tokio::test]
async fn a_client_that_sends_too_fast_may_be_disconnected() {
    let limit = RateLimit::new(2, SECOND).disconnect();
    let (server, _io) = with(quiet().layer(limit)).await;
    let _clock = Clock::stop();
    let mut client = Ws::joined(server.addr).await;
    assert_eq!(passed(&mut client, 2).await, 2);
    client.send(r#"42["x"]"#).await;
    assert_eq!(client.text().await, "41");
}
