//! Failures of Redis, and messages of other software.

use std::time::Duration;

use axum_socketio::cluster::{AdapterError, HealthState};
use axum_socketio_redis::SubscriptionMode;
use tokio::time::{sleep, timeout};

use crate::engine::{Engine, Kind, slow_network};
use crate::log::Log;
use crate::server;
use crate::two_servers::{SOON, becomes, connect, reaches};

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn servers_find_each_other_again_after_failures_of_redis() {
    for kind in [
        Kind::Classic,
        Kind::Sharded(SubscriptionMode::Dynamic),
        Kind::Streams,
    ] {
        let mut engine = Engine::start().await;
        let one = server(&engine.url(), kind).await;
        let two = server(&engine.url(), kind).await;
        let bob = connect(&two).await;
        let rooms: Vec<String> = (0..50).map(|number| format!("room {number}")).collect();
        for room in &rooms {
            bob.emit_with_ack::<()>("join", room).await;
        }
        let rooms_with_channels = if kind == Kind::Streams {
            0
        } else {
            rooms.len()
        };
        let channels = kind.channels(2, 1) + rooms_with_channels;
        engine.subscriptions(kind, channels).await;
        let _killed: usize = engine.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        engine.subscriptions(kind, channels).await;
        reaches(one.to("room 7"), &bob).await;

        engine.kill();
        for number in 0..10 {
            // Local clients are reached all the same.
            two.emit("news", number);
            assert_eq!(bob.next::<u8>("news").await, number);
            one.emit("lost", number);
        }
        becomes(&one, HealthState::Reconnecting).await;
        let count = one.of("/").server_count().await;
        assert!(matches!(count, Err(AdapterError::Engine)), "{count:?}");
        bob.emit_with_ack::<()>("join", "later").await;
        bob.emit_with_ack::<()>("leave", "room 0").await;
        engine.restart().await;
        engine.subscriptions(kind, channels).await;
        reaches(one.to("later"), &bob).await;
        becomes(&one, HealthState::Connected).await;
        reaches(one.to("room 49"), &bob).await;
        reaches(one.to(bob.id()), &bob).await;
        assert!(one.metrics().cluster_messages_lost["outage"] > 0);
    }
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn garbage_on_any_channel_harms_nobody() {
    let engine = Engine::start().await;
    let (one, two) = (
        server(&engine.url(), Kind::Classic).await,
        server(&engine.url(), Kind::Classic).await,
    );
    let bob = connect(&two).await;
    bob.emit_with_ack::<()>("join", "x").await;
    engine
        .subscriptions(Kind::Classic, Kind::Classic.channels(2, 1) + 1)
        .await;
    let channels: Vec<String> = engine.command(&["PUBSUB", "CHANNELS"]).await;
    for channel in &channels {
        for garbage in [
            "",
            "{",
            "[]",
            "garbage",
            "{\"type\":7,\"requestId\":\"r\"}",
            "\u{93}",
            "null",
        ] {
            let _: usize = engine.command(&["PUBLISH", channel, garbage]).await;
        }
    }
    reaches(one.to("x"), &bob).await;
    assert_eq!(one.of("/").count().await.unwrap(), 1);
    assert!(two.metrics().cluster_messages_lost["malformed"] > 20);
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn messages_that_are_lost_in_an_outage_are_counted_and_logged_once() {
    let (log, _guard) = Log::collect();
    let mut engine = Engine::start().await;
    let one = server(&engine.url(), Kind::Classic).await;
    let two = server(&engine.url(), Kind::Classic).await;
    let bob = connect(&two).await;
    reaches(one.to(bob.id()), &bob).await;
    let lost = || one.metrics().cluster_messages_lost["outage"];
    assert_eq!(lost(), 0);
    engine.kill();
    for number in 1..=5 {
        one.emit("lost", number);
        let counted = async {
            while lost() < number {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(SOON, counted).await.expect("the loss is counted");
    }
    assert_eq!(log.with("messages to other servers are lost").len(), 1);
    engine.restart().await;
    reaches(one.to(bob.id()), &bob).await;
    let ends = log.with("messages to other servers were lost");
    assert_eq!(ends.len(), 1, "{ends:?}");
    assert!(
        ends[0].contains(&format!("messages={}", lost())),
        "{ends:?}"
    );
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn confirmations_of_many_rooms_are_not_taken_for_other_answers() {
    const ROOMS: usize = 2000;
    let engine = Engine::start().await;
    let slow = slow_network(engine.port).await;
    for kind in [Kind::Classic, Kind::Sharded(SubscriptionMode::Dynamic)] {
        let (one, two) = (server(&engine.url(), kind).await, server(&slow, kind).await);
        let (_ann, bob) = (connect(&one).await, connect(&two).await);
        let channels = kind.channels(2, 2);
        engine.subscriptions(kind, channels).await;
        let rooms: Vec<String> = (0..ROOMS).map(|number| format!("room {number}")).collect();
        two.to(bob.id()).local().join(&rooms);
        assert_eq!(two.of("/").count().await.unwrap(), 2);
        two.to(bob.id()).local().leave(&rooms);
        assert_eq!(two.of("/").count().await.unwrap(), 2);
        engine.subscriptions(kind, channels).await;
        two.to(bob.id()).local().join(&rooms);
        engine.subscriptions(kind, channels + ROOMS).await;
        let _killed: usize = engine.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        reaches(one.to("room 7"), &bob).await;
        assert_eq!(two.of("/").count().await.unwrap(), 2);
    }
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn requests_are_answered_while_rooms_change_all_the_time() {
    let engine = Engine::start().await;
    let slow = slow_network(engine.port).await;
    let kind = Kind::Classic;
    let (one, two) = (server(&engine.url(), kind).await, server(&slow, kind).await);
    let (_ann, bob) = (connect(&one).await, connect(&two).await);
    engine.subscriptions(kind, kind.channels(2, 2)).await;
    let changes = async {
        for number in 50.. {
            two.to(bob.id()).local().join(format!("room {number}"));
            two.to(bob.id())
                .local()
                .leave(format!("room {}", number - 50));
            tokio::task::yield_now().await;
        }
    };
    let requests = async {
        sleep(Duration::from_millis(100)).await;
        for _ in 0..10 {
            assert_eq!(two.of("/").count().await.unwrap(), 2);
        }
    };
    tokio::select! {
        () = changes => {}
        () = requests => {}
    }
}
