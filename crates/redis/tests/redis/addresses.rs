//! The forms of the address of Redis.

use std::collections::HashMap;
use std::path::Path;

use axum_socketio_redis::{Emitter, Redis, SubscriptionMode};
use tokio::time::{Duration, sleep, timeout};

use crate::engine::{Engine, Kind, redis};
use crate::server;
use crate::two_servers::{self, SOON, act_as_one, connect, reaches};

/// Checks that servers with an address reach each other, and that an emitter reaches them.
async fn connects(url: &str) {
    let one = server(url, Kind::Classic).await;
    let two = server(url, Kind::Classic).await;
    let bob = connect(&two).await;
    reaches(one.of("/").broadcast(), &bob).await;
    assert_eq!(one.of("/").count().await.unwrap(), 1);
    let emitter = Emitter::connect(url).await.unwrap();
    emitter.to(bob.id()).emit("news", 1).await.unwrap();
    assert_eq!(bob.next::<u8>("news").await, 1);
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn a_unix_socket_is_an_address() {
    let socket = |folder: &Path| folder.join("socket").display().to_string();
    let engine = Engine::start_with(|folder| vec!["--unixsocket".to_owned(), socket(folder)]).await;
    let socket = engine.file("socket");
    connects(&format!("unix://{socket}")).await;
    connects(&format!("redis+unix://{socket}")).await;
    let _: () = engine
        .command(&["CONFIG", "SET", "requirepass", "secret"])
        .await;
    let refused = Redis::connect(&format!("unix:{socket}")).await.unwrap_err();
    assert!(refused.to_string().contains(&socket), "{refused}");
    connects(&format!("unix:{socket}?pass=secret")).await;
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn a_user_needs_only_the_channels_of_the_prefix() {
    let engine = Engine::start().await;
    let user = "ACL SETUSER ann on >se/cret resetchannels &socket.io* -@all \
        +subscribe +psubscribe +unsubscribe +punsubscribe +publish +pubsub +ping";
    let user: Vec<_> = user.split_whitespace().collect();
    let _: () = engine.command(&user).await;
    connects(&format!("redis://ann:se%2Fcret@127.0.0.1:{}/", engine.port)).await;
    let wrong = format!("redis://ann:secret@127.0.0.1:{}/", engine.port);
    let refused = Redis::connect(&wrong).await.unwrap_err();
    let text = format!("{refused} {refused:?}");
    assert!(
        text.contains(&format!("127.0.0.1:{}", engine.port)),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn servers_with_the_old_protocol_act_as_one_with_others() {
    let mut engine = Engine::start().await;
    let old = format!("{}?protocol=resp2", engine.url());
    let sharded = Kind::Sharded(SubscriptionMode::Dynamic);
    // Servers with sharded channels all speak the new one.
    for (first, second, kind, by_pattern) in [
        (&old, &engine.url(), Kind::Classic, false),
        (&old, &engine.url(), Kind::Classic, true),
        (&old, &old, Kind::Classic, false),
        (&old, &engine.url(), sharded, false),
    ] {
        let redis = redis(first, kind).await;
        let redis = redis.pattern_for(move |nsp| by_pattern && nsp == "/");
        let (one, two) = (two_servers::server(redis), server(second, kind).await);
        act_as_one(&one, &two).await;
        drop((one, two));
        engine.subscriptions(kind, 0).await;
    }

    let one = server(&engine.url(), Kind::Classic).await;
    let two = server(&old, Kind::Classic).await;
    let bob = connect(&two).await;
    bob.emit_with_ack::<()>("join", "x").await;
    let clients: String = engine.command(&["CLIENT", "LIST", "TYPE", "pubsub"]).await;
    assert!(
        clients.contains("resp=2") && clients.contains("resp=3"),
        "{clients}"
    );
    let emitter = Emitter::connect(&old).await.unwrap();
    for _ in 0..2 {
        reaches(one.to("x"), &bob).await;
        let _killed: usize = engine.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        reaches(one.to("x"), &bob).await;
        engine.kill();
        assert!(emitter.emit("lost", ()).await.is_err());
        engine.restart().await;
    }
    reaches(one.to("x"), &bob).await;
    emitter.to("x").emit("news", 1).await.unwrap();
    assert_eq!(bob.next::<u8>("news").await, 1);
}

/// Starts a sentinel of a master.
async fn sentinel(master: &Engine) -> Engine {
    let port = master.port;
    let mut sentinel = Engine::start_with(|folder| {
        let file = folder.join("sentinel.conf");
        let config = format!(
            "sentinel monitor main 127.0.0.1 {port} 1\n\
             sentinel down-after-milliseconds main 500\n\
             sentinel failover-timeout main 2000\n\
             sentinel auth-user main default\n\
             sentinel auth-pass main secret\n\
             requirepass watch\n"
        );
        std::fs::write(&file, config).unwrap();
        vec![file.display().to_string(), "--sentinel".to_owned()]
    })
    .await;
    sentinel.password = "watch";
    sentinel
}

/// Starts a server with a password.
async fn server_with_password(args: &[&str]) -> Engine {
    let password = ["--requirepass", "secret", "--masterauth", "secret"];
    let args = args.iter().chain(&password);
    let args = args.map(|&arg| arg.to_owned()).collect();
    let mut engine = Engine::start_with(|_| args).await;
    engine.password = "secret";
    engine
}

async fn is_master(engine: &Engine) -> bool {
    let role: Vec<redis::Value> = engine.command(&["ROLE"]).await;
    role[0] == redis::Value::BulkString(b"master".to_vec())
}

async fn has_replica(sentinel: &Engine) -> bool {
    let master: HashMap<String, String> = sentinel.command(&["SENTINEL", "MASTER", "main"]).await;
    master["num-slaves"] == "1"
}

#[tokio::test]
#[ignore = "starts Redis: tests/run cluster runs it"]
async fn sentinels_name_the_server_that_replaces_a_master() {
    let mut first = server_with_password(&[]).await;
    let port = first.port.to_string();
    let replica = ["--replicaof", "127.0.0.1", &port];
    let second = server_with_password(&replica).await;
    let sentinel = sentinel(&first).await;
    let url = format!(
        "redis+sentinel://:secret@127.0.0.1:1,127.0.0.1:{}/main?sentinel_password=watch",
        sentinel.port
    );
    let one = server(&url, Kind::Classic).await;
    let two = server(&format!("{url}&protocol=resp2"), Kind::Classic).await;
    let bob = connect(&two).await;
    let emitter = Emitter::connect(&url).await.unwrap();
    reaches(one.of("/").broadcast(), &bob).await;
    // The sentinel has to know the replica before it can promote it.
    let known = async {
        while !has_replica(&sentinel).await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, known).await.expect("the replica is known");
    first.kill();
    reaches(one.of("/").broadcast(), &bob).await;
    assert!(is_master(&second).await);
    emitter.emit("news", 1).await.ok();
    emitter.emit("news", 2).await.unwrap();
    // The old master becomes a replica, and its messages would reach nobody.
    first.restart().await;
    let demoted = async {
        while is_master(&first).await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, demoted).await.expect("there is one master");
    reaches(one.of("/").broadcast(), &bob).await;
    let url = format!(
        "redis+sentinel://127.0.0.1:1,127.0.0.1:{}/other?sentinel_password=watch",
        sentinel.port
    );
    let unknown = Redis::connect(&url).await.unwrap_err();
    assert!(
        unknown.to_string().contains("(sentinels of other)"),
        "{unknown}"
    );
}

#[tokio::test]
async fn an_engine_that_cannot_be_reached_is_an_error_without_the_password() {
    let refused = Redis::connect("redis://user:secret@127.0.0.1:1/")
        .await
        .unwrap_err();
    let text = format!("{refused} {refused:?}");
    assert!(text.contains("127.0.0.1:1"), "{text}");
    assert!(!text.contains("secret"), "{text}");
    let malformed = Redis::connect("not an url with a secret")
        .await
        .unwrap_err();
    assert!(!malformed.to_string().contains("secret"));
}
