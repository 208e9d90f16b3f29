//! Servers that share a prefix, but have other options.

use std::time::Duration;

use axum_socketio::SocketIo;
use axum_socketio::cluster::HealthState;
use axum_socketio_redis::{Redis, Streams, SubscriptionMode};
use tokio::time::{sleep, timeout};

use crate::engine::Engine;
use crate::log::Log;
use crate::two_servers::{self, SOON, becomes};

const STATIC: SubscriptionMode = SubscriptionMode::Static;
const DYNAMIC: SubscriptionMode = SubscriptionMode::Dynamic;

/// Starts a server, and returns it with whether it has found servers with other options.
async fn start(redis: Redis) -> (SocketIo, bool) {
    let io = two_servers::server(redis);
    becomes(&io, HealthState::Connected).await;
    let health = io.cluster().health().unwrap();
    (io, health.other_options)
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn a_server_finds_others_whose_options_do_not_fit() {
    let engine = Engine::start().await;
    let redis = Redis::connect(&engine.url()).await.unwrap();
    let sharded = |mode| redis.clone().sharded(mode);
    let streams = |options: Streams| redis.clone().streams(options);
    for (first, second, other) in [
        (redis.clone(), redis.clone().specific_answers(true), false),
        (redis.clone(), redis.clone().pattern_for(|_| true), false),
        (redis.clone(), sharded(DYNAMIC), true),
        (sharded(DYNAMIC), redis.clone(), true),
        (redis.clone(), streams(Streams::new()), true),
        (streams(Streams::new()), redis.clone(), true),
        (sharded(DYNAMIC), sharded(DYNAMIC), false),
        (sharded(DYNAMIC), sharded(STATIC), true),
        (sharded(STATIC), sharded(DYNAMIC), true),
        (sharded(STATIC), streams(Streams::new()), true),
        (
            streams(Streams::new()),
            streams(Streams::new().max_len(5)),
            false,
        ),
        (
            streams(Streams::new()),
            streams(Streams::new().count(2)),
            true,
        ),
        (
            streams(Streams::new()),
            streams(Streams::new().name("x")),
            true,
        ),
        (redis.clone().prefix("x[*]"), redis.clone(), false),
        (
            redis.clone().prefix("x[*]"),
            sharded(STATIC).prefix("x[*]"),
            true,
        ),
    ] {
        let options = format!("{first:?}, {second:?}");
        let (one, found) = start(first).await;
        assert!(!found, "{options}");
        let (two, found) = start(second).await;
        assert_eq!(found, other, "{options}");
        drop((one, two));
        engine.no_clients().await;
    }
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn a_server_finds_servers_in_javascript_with_another_adapter() {
    let (log, _guard) = Log::collect();
    let engine = Engine::start().await;
    let redis = Redis::connect(&engine.url()).await.unwrap();
    let client = redis::Client::open(engine.url()).unwrap();
    let mut node = client.get_async_pubsub().await.unwrap();
    node.subscribe("socket.io-request#/#").await.unwrap();
    let (one, found) = start(redis.clone()).await;
    assert!(!found);
    drop(one);
    assert_eq!(log.with("other options"), Vec::<String>::new());
    let (two, found) = start(redis.clone().prefix("x").sharded(DYNAMIC)).await;
    assert!(!found);
    drop(two);
    let (two, found) = start(redis.sharded(DYNAMIC)).await;
    assert!(found);
    let logged = log.with("other options");
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert!(logged[0].contains("createAdapter"), "{logged:?}");
    // Nobody of them is left.
    let _killed: usize = engine.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    let alone = async {
        while two.cluster().health().unwrap().other_options {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, alone).await.expect("it is alone");
    assert_eq!(log.with("other options").len(), 1);
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn a_server_that_may_not_look_for_others_connects_all_the_same() {
    let engine = Engine::start().await;
    let words = "ACL SETUSER app on >pw resetchannels &socket.io* -@all +ping +client +spublish +ssubscribe +sunsubscribe";
    let words: Vec<_> = words.split(' ').collect();
    let _: String = engine.command(&words).await;
    let url = engine.url().replace("//", "//app:pw@");
    let redis = Redis::connect(&url).await.unwrap().sharded(DYNAMIC);
    let (one, two) = (start(redis.clone()).await.0, start(redis).await.0);
    let bob = two_servers::connect(&two).await;
    two_servers::reaches(one.to(bob.id()), &bob).await;
}
