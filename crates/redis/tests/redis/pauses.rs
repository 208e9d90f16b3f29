//! Pauses of Redis and of servers, and a Redis without memory.

use std::time::Duration;

use axum_socketio::SocketIo;
use axum_socketio::cluster::{AdapterError, HealthState};
use axum_socketio::testing::TestClient;
use axum_socketio_redis::SubscriptionMode;
use tokio::time::{sleep, timeout};

use crate::engine::{Engine, KINDS, Kind, redis};
use crate::server;
use crate::two_servers::{self, SOON, answered_by, becomes, connect, reaches};

/// The number of events before, during and after a failure.
const PART: usize = 200;

/// Emits some numbered events to everybody, to a room and to one client in turns.
fn emit(from: &SocketIo, to: &TestClient, part: usize) {
    for number in part * PART..(part + 1) * PART {
        match number % 3 {
            0 => from.emit("number", number),
            1 => from.to("x").emit("number", number),
            _ => from.to(to.id()).emit("number", number),
        };
    }
}

/// Returns the numbers that a client has been sent, once no more come. They are in any order: rooms have one each.
async fn received(client: &TestClient) -> Vec<usize> {
    let mut numbers = Vec::new();
    let wait = Duration::from_millis(500);
    while let Ok(number) = timeout(wait, client.next::<usize>("number")).await {
        numbers.push(number);
    }
    numbers.sort_unstable();
    numbers
}

/// Returns the number of messages that a server has not been able to send.
fn lost(io: &SocketIo) -> usize {
    let lost = io.metrics().cluster_messages_lost["outage"];
    usize::try_from(lost).unwrap()
}

/// Starts two servers, and a client of the second one in the room `x`.
async fn start(engine: &Engine, kind: Kind) -> (SocketIo, SocketIo, TestClient) {
    let (url, kind) = (engine.url(), kind);
    let (one, two) = (server(&url, kind).await, server(&url, kind).await);
    let bob = connect(&two).await;
    bob.emit_with_ack::<()>("join", "x").await;
    reaches(one.to("x"), &bob).await;
    reaches(one.to(bob.id()), &bob).await;
    (one, two, bob)
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn a_pause_of_redis_loses_nothing_and_sends_nothing_twice() {
    for kind in KINDS {
        let engine = Engine::start().await;
        let (one, _two, bob) = start(&engine, kind).await;
        emit(&one, &bob, 0);
        engine.signal("STOP");
        emit(&one, &bob, 1);
        sleep(Duration::from_secs(2)).await;
        emit(&one, &bob, 2);
        engine.signal("CONT");
        emit(&one, &bob, 3);
        let _: String = engine.command(&["CLIENT", "PAUSE", "1500", "ALL"]).await;
        emit(&one, &bob, 4);
        sleep(Duration::from_secs(2)).await;
        emit(&one, &bob, 5);
        assert_eq!(received(&bob).await, (0..6 * PART).collect::<Vec<_>>());
        becomes(&one, HealthState::Connected).await;
        assert_eq!(lost(&one), 0);
    }
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn a_long_pause_of_redis_is_reported_and_sends_nothing_twice() {
    for kind in [Kind::Classic, Kind::Streams] {
        let engine = Engine::start().await;
        let (one, two, bob) = start(&engine, kind).await;
        engine.signal("STOP");
        emit(&one, &bob, 0);
        becomes(&one, HealthState::Reconnecting).await;
        engine.signal("CONT");
        becomes(&one, HealthState::Connected).await;
        becomes(&two, HealthState::Connected).await;
        reaches(one.to("x"), &bob).await;
        emit(&one, &bob, 1);
        let mut numbers = received(&bob).await;
        let all = numbers.len();
        numbers.dedup();
        assert_eq!(numbers.len(), all, "an event has arrived twice");
        let after = numbers.iter().filter(|number| **number >= PART);
        assert_eq!(after.count(), PART);
        // Redis may have executed what it has not answered.
        let lost = lost(&one);
        assert!(lost > 0 && 2 * PART - all <= lost, "{lost} {all}");
    }
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn a_server_that_is_paused_is_missing_and_has_lost_nothing_afterwards() {
    for kind in [
        Kind::Classic,
        Kind::Sharded(SubscriptionMode::Dynamic),
        Kind::Streams,
    ] {
        let engine = Engine::start().await;
        let url = engine.url();
        let (pause, paused) = std::sync::mpsc::channel::<std::sync::mpsc::Receiver<()>>();
        let (ready, created) = std::sync::mpsc::channel();
        // All tasks of the second server that read from Redis are in this runtime, which stands still when it is told.
        let second = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(async {
                ready
                    .send(two_servers::server(redis(&url, kind).await))
                    .unwrap();
                loop {
                    match paused.try_recv() {
                        Ok(resume) => resume.recv().unwrap(),
                        Err(std::sync::mpsc::TryRecvError::Empty) => {
                            sleep(Duration::from_millis(5)).await;
                        }
                        Err(std::sync::mpsc::TryRecvError::Disconnected) => break,
                    }
                }
            });
        });
        let one = server(&engine.url(), kind).await;
        let two = created.recv().unwrap();
        let bob = connect(&two).await;
        bob.emit_with_ack::<()>("join", "x").await;
        answered_by(&one.of("/"), 1).await;
        reaches(one.to("x"), &bob).await;
        emit(&one, &bob, 0);
        let (resume, resumed) = std::sync::mpsc::channel();
        pause.send(resumed).unwrap();
        sleep(Duration::from_millis(100)).await;
        emit(&one, &bob, 1);
        let counted = one.of("/").count().await;
        assert!(
            matches!(counted, Err(AdapterError::Timeout { missing: 1 })),
            "{counted:?}"
        );
        let asking = one.of("/").timeout(Duration::from_millis(300));
        let (answers, summary) = asking.emit_with_ack::<u8>("q", ()).all().await;
        assert_eq!((answers.len(), summary.silent_servers), (0, 1));
        resume.send(()).unwrap();
        assert_eq!(received(&bob).await, (0..2 * PART).collect::<Vec<_>>());
        assert_eq!(one.of("/").count().await.unwrap(), 1);
        drop(pause);
        second.join().unwrap();
    }
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn a_redis_without_memory_takes_no_entries_and_publishes_all_the_same() {
    for kind in KINDS {
        let engine = Engine::start().await;
        let (one, _two, bob) = start(&engine, kind).await;
        let ann = connect(&one).await;
        let set = |bytes: &'static str| async {
            let words = ["CONFIG", "SET", "maxmemory", bytes];
            let _: String = engine.command(&words).await;
        };
        set("1").await;
        emit(&one, &bob, 0);
        // Local clients are reached all the same.
        for number in (0..PART).filter(|number| number % 3 == 0) {
            assert_eq!(ann.next::<usize>("number").await, number);
        }
        let lost = || lost(&one);
        if kind == Kind::Streams {
            let counted = async {
                while lost() < PART {
                    sleep(Duration::from_millis(10)).await;
                }
            };
            timeout(SOON, counted).await.expect("losses are counted");
            becomes(&one, HealthState::Reconnecting).await;
        }
        set("0").await;
        emit(&one, &bob, 1);
        let begin = if kind == Kind::Streams { PART } else { 0 };
        assert_eq!(received(&bob).await, (begin..2 * PART).collect::<Vec<_>>());
        becomes(&one, HealthState::Connected).await;
        assert_eq!(lost(), begin);
    }
}
