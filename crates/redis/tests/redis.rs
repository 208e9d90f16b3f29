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

#[path = "../../../tests/cluster/two_servers.rs"]
mod two_servers;

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum_socketio::SocketIo;
use axum_socketio_redis::{Redis, SubscriptionMode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use two_servers::{SOON, act_as_one, connect, connect_to, reaches};

/// A Redis server of its own, on a free port.
struct Engine {
    port: u16,
    process: Child,
}

fn start(port: u16) -> Child {
    let program = std::env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
    Command::new(program)
        .args([
            "--port",
            &port.to_string(),
            "--save",
            "",
            "--bind",
            "127.0.0.1",
        ])
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed")
}

impl Engine {
    async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let process = start(port);
        let engine = Self { port, process };
        engine.answers().await;
        engine
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    async fn answers(&self) {
        let ping = async {
            while Redis::connect(&self.url()).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(SOON, ping).await.expect("Redis starts");
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    async fn restart(&mut self) {
        self.process = start(self.port);
        self.answers().await;
    }

    /// Runs a command of the administrator.
    async fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = redis::cmd(words[0]);
        words[1..].iter().for_each(|word| {
            command.arg(word);
        });
        command.query_async(&mut connection).await.unwrap()
    }

    /// Waits until Redis has subscriptions to a number of channels.
    async fn subscriptions(&self, kind: Kind, count: usize) {
        let word = match kind {
            Kind::Classic => "CHANNELS",
            Kind::Sharded(_) => "SHARDCHANNELS",
        };
        let words = ["PUBSUB", word];
        let channels = || self.command::<Vec<String>>(&words);
        let subscribed = async {
            while channels().await.len() != count {
                sleep(Duration::from_millis(10)).await;
            }
        };
        if timeout(SOON, subscribed).await.is_err() {
            panic!("{:?} are not {count} channels", channels().await);
        }
    }
}

/// The adapters of Node.js whose messages the servers exchange.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Classic,
    Sharded(SubscriptionMode),
}

impl Kind {
    /// Returns the number of channels of some servers, with a number of sockets in all.
    fn channels(self, servers: usize, sockets: usize) -> usize {
        match self {
            // For each of two namespaces: its messages, requests and answers, and the answers for each server.
            Self::Classic => 2 * (3 + servers) + sockets,
            Self::Sharded(_) => 2 * (1 + servers),
        }
    }
}

const KINDS: [Kind; 3] = [
    Kind::Classic,
    Kind::Sharded(SubscriptionMode::Static),
    Kind::Sharded(SubscriptionMode::Dynamic),
];

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the options of a server that releases rooms soon.
async fn redis(url: &str, kind: Kind) -> Redis {
    let redis = Redis::connect(url).await.unwrap();
    let redis = redis.release_rooms_after(Duration::from_millis(100));
    match kind {
        Kind::Classic => redis,
        Kind::Sharded(mode) => redis.sharded(mode),
    }
}

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
            Kind::Sharded(SubscriptionMode::Static) => 0,
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
async fn servers_find_each_other_again_after_failures_of_redis() {
    for kind in [Kind::Classic, Kind::Sharded(SubscriptionMode::Dynamic)] {
        let mut engine = Engine::start().await;
        let one = server(&engine.url(), kind).await;
        let two = server(&engine.url(), kind).await;
        let bob = connect(&two).await;
        let rooms: Vec<String> = (0..50).map(|number| format!("room {number}")).collect();
        for room in &rooms {
            bob.emit_with_ack::<()>("join", room).await;
        }
        let channels = kind.channels(2, 1) + rooms.len();
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
        bob.emit_with_ack::<()>("join", "later").await;
        bob.emit_with_ack::<()>("leave", "room 0").await;
        engine.restart().await;
        engine.subscriptions(kind, channels).await;
        reaches(one.to("later"), &bob).await;
        reaches(one.to("room 49"), &bob).await;
        reaches(one.to(bob.id()), &bob).await;
        assert!(one.metrics().cluster_messages_lost["outage"] > 0);
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

/// The log of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn collect() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// Returns the records that contain a text.
    fn with(&self, text: &str) -> Vec<String> {
        let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let records = log.lines().filter(|record| record.contains(text));
        records.map(str::to_owned).collect()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
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

/// Passes connections on to a port. The bytes of the server behind it arrive in small pieces, as over a network.
async fn slow_network(port: u16) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                (client.into_split(), server.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            tokio::spawn(async move {
                let mut piece = [0; 1460];
                while let Ok(count @ 1..) = from_server.read(&mut piece).await {
                    if to_client.write_all(&piece[..count]).await.is_err() {
                        break;
                    }
                    sleep(Duration::from_millis(1)).await;
                }
            });
        }
    });
    url
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
