//! Two servers with a real Redis, which the tests start and stop.
//!
//! `tests/run cluster` runs them. By hand, `redis-server` has to be installed, or `REDIS_SERVER` has to be its path:
//!
//! ```console
//! $ cargo test -p axum-socketio-redis -- --include-ignored
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails has to say so"
)]

mod addresses;
mod cluster;
mod emitter;
mod engine;
mod faults;
mod log;
mod other_options;
mod pauses;
mod recovery;
mod streams;
#[cfg(feature = "tls")]
mod tls;
#[path = "../../../../tests/cluster/two_servers.rs"]
mod two_servers;

use std::time::Duration;

use axum_socketio::SocketIo;
use axum_socketio_redis::{Redis, SubscriptionMode};
use tokio::time::{sleep, timeout};

use engine::{Engine, KINDS, Kind, redis};
use two_servers::{act_as_one, connect, connect_to, last_events_arrive, reaches};

/// Creates a server with a namespace whose name looks like a channel of a room of another one.
fn server_with_lookalike(redis: Redis) -> SocketIo {
    let builder = SocketIo::builder()
        .cluster(redis)
        .namespace("/", two_servers::namespace())
        .namespace("/#x", two_servers::namespace());
    builder.build()
}

async fn server(url: &str, kind: Kind) -> SocketIo {
    two_servers::server(redis(url, kind).await)
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn servers_act_as_one_in_each_mode() {
    let engine = Engine::start().await;
    for kind in KINDS {
        let one = server(&engine.url(), kind).await;
        let two = server(&engine.url(), kind).await;
        let url = engine.url();
        last_events_arrive(&one, async move { redis(&url, kind).await }).await;
        act_as_one(&one, &two).await;
        drop((one, two));
        engine.subscriptions(kind, 0).await;
    }
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn servers_subscribe_to_the_rooms_of_their_members() {
    let engine = Engine::start().await;
    for kind in KINDS {
        let one = server(&engine.url(), kind).await;
        let two = server(&engine.url(), kind).await;
        let (_ann, bob) = (connect(&one).await, connect(&two).await);
        let channels = kind.channels(2, 2);
        engine.subscriptions(kind, channels).await;
        bob.emit_with_ack::<()>("join", "x").await;
        one.to(bob.id()).join("y");
        let rooms = match kind {
            Kind::Sharded(SubscriptionMode::Static) | Kind::Streams => 0,
            Kind::Classic | Kind::Sharded(_) => 2,
        };
        engine.subscriptions(kind, channels + rooms).await;
        bob.emit_with_ack::<()>("leave", "x").await;
        one.to(bob.id()).leave("y");
        engine.subscriptions(kind, channels).await;
    }
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn a_room_and_a_namespace_of_one_channel_are_told_apart() {
    let engine = Engine::start().await;
    for kind in [Kind::Classic, Kind::Sharded(SubscriptionMode::Dynamic)] {
        let one = server_with_lookalike(redis(&engine.url(), kind).await);
        let two = server_with_lookalike(redis(&engine.url(), kind).await);
        let ann = connect_to(&two, "/").await;
        let bob = connect_to(&two, "/#x").await;
        ann.emit_with_ack::<()>("join", "x").await;
        reaches(one.to("x"), &ann).await;
        for number in 0..3 {
            one.to("x").emit("news", number);
            assert_eq!(ann.next::<u8>("news").await, number);
            one.of("/#x").emit("news", 10 + number);
            assert_eq!(bob.next::<u8>("news").await, 10 + number);
        }
        bob.expect_no("probe").await;
        // The namespace needs the channel when the room has lost its members, and the reverse.
        ann.emit_with_ack::<()>("leave", "x").await;
        sleep(Duration::from_millis(300)).await;
        one.of("/#x").emit("news", 20);
        assert_eq!(bob.next::<u8>("news").await, 20);
        ann.expect_no("news").await;
    }
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn a_pattern_receives_the_messages_of_all_rooms() {
    let engine = Engine::start().await;
    let by_pattern = redis(&engine.url(), Kind::Classic)
        .await
        .pattern_for(|_| true);
    let one = server(&engine.url(), Kind::Classic).await;
    let two = server_with_lookalike(by_pattern);
    let ann = connect_to(&two, "/").await;
    let bob = connect_to(&two, "/#x").await;
    ann.emit_with_ack::<()>("join", "x").await;
    reaches(one.to("x"), &ann).await;
    // Both patterns match the channel.
    one.to("x").emit("news", 1);
    two.of("/#x").emit("news", 2);
    one.to(ann.id()).emit("news", 3);
    assert_eq!(ann.next::<u8>("news").await, 1);
    assert_eq!(ann.next::<u8>("news").await, 3);
    assert_eq!(bob.next::<u8>("news").await, 2);
    ann.expect_no("news").await;
    bob.expect_no("news").await;
    let patterns: usize = engine.command(&["PUBSUB", "NUMPAT"]).await;
    assert_eq!(patterns, 2);
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn a_socket_is_reached_as_soon_as_its_client_is_connected_or_has_joined() {
    let mut engine = Engine::start().await;
    for kind in [Kind::Classic, Kind::Sharded(SubscriptionMode::Dynamic)] {
        let (one, two) = (
            server(&engine.url(), kind).await,
            server(&engine.url(), kind).await,
        );
        reaches(one.to("probes"), &{
            let bob = connect(&two).await;
            bob.emit_with_ack::<()>("join", "probes").await;
            bob
        })
        .await;
        for number in 0..50 {
            let bob = connect(&two).await;
            one.to(bob.id()).emit("news", number);
            assert_eq!(bob.next::<u8>("news").await, number);
            let room = format!("room {number}");
            bob.emit_with_ack::<()>("join", &room).await;
            one.to(room).emit("news", number);
            assert_eq!(bob.next::<u8>("news").await, number);
        }
    }
    // A server that has lost the connection waits for nothing.
    let two = server(&engine.url(), Kind::Classic).await;
    let _bob = connect(&two).await;
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
