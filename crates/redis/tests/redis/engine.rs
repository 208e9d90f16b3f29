//! A Redis server of its own, which a test starts and stops.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum_socketio_redis::{Redis, Streams, SubscriptionMode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::two_servers::SOON;

/// A Redis server of its own, on a free port.
pub(crate) struct Engine {
    pub(crate) port: u16,
    /// The password of the administrator, if there is one.
    pub(crate) password: &'static str,
    process: Child,
    args: Vec<String>,
    folder: PathBuf,
}

fn start(port: u16, folder: &Path, args: &[String]) -> Child {
    let program = std::env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
    Command::new(program)
        .args(args)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .arg("--dir")
        .arg(folder)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed")
}

/// Creates a folder for the files of a test.
fn new_folder() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("axum-socketio-redis-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir(&folder).unwrap();
    folder
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Engine {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| vec![]).await
    }

    /// Starts a server with more arguments, which may name files in the folder of the server.
    pub(crate) async fn start_with(args: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let (port, folder) = (free_port(), new_folder());
        let mut args = args(&folder);
        // A sentinel has a file, and saves nothing else.
        if !args.iter().any(|arg| arg == "--sentinel") {
            args.extend(["--save".to_owned(), String::new()]);
        }
        let process = start(port, &folder, &args);
        let engine = Self {
            port,
            password: "",
            process,
            args,
            folder,
        };
        engine.answers().await;
        engine
    }

    /// Returns the path of a file in the folder of the server.
    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    pub(crate) fn url(&self) -> String {
        match self.password {
            "" => format!("redis://127.0.0.1:{}/", self.port),
            password => format!("redis://:{password}@127.0.0.1:{}/", self.port),
        }
    }

    pub(crate) async fn answers(&self) {
        let ping = async {
            while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(SOON, ping).await.expect("Redis starts");
    }

    /// Stops or continues the process by a signal: `STOP` or `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.process.id().to_string())
            .status();
        assert!(sent.unwrap().success());
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) async fn restart(&mut self) {
        self.process = start(self.port, &self.folder, &self.args);
        self.answers().await;
    }

    /// Runs a command of the administrator.
    pub(crate) async fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = redis::cmd(words[0]);
        words[1..].iter().for_each(|word| {
            command.arg(word);
        });
        command.query_async(&mut connection).await.unwrap()
    }

    /// Waits until no server is connected.
    pub(crate) async fn no_clients(&self) {
        let none = async {
            let words = ["CLIENT", "LIST", "TYPE", "pubsub"];
            while !self.command::<String>(&words).await.is_empty() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(SOON, none).await.expect("servers disconnect");
    }

    /// Waits until Redis has subscriptions to a number of channels.
    pub(crate) async fn subscriptions(&self, kind: Kind, count: usize) {
        let word = match kind {
            Kind::Classic | Kind::Streams => "CHANNELS",
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

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The adapters of Node.js whose messages the servers exchange.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Classic,
    Sharded(SubscriptionMode),
    Streams,
}

impl Kind {
    /// Returns the number of channels of some servers, with a number of sockets in all.
    pub(crate) fn channels(self, servers: usize, sockets: usize) -> usize {
        match self {
            // For each of two namespaces: its messages, requests and answers, and the answers for each server.
            // There is one more, which is named by the options.
            Self::Classic => 2 * (3 + servers) + sockets + 1,
            Self::Sharded(_) => 2 * (1 + servers),
            Self::Streams => 2 * (1 + servers) + 1,
        }
    }
}

pub(crate) const KINDS: [Kind; 4] = [
    Kind::Classic,
    Kind::Sharded(SubscriptionMode::Static),
    Kind::Sharded(SubscriptionMode::Dynamic),
    Kind::Streams,
];

/// Passes connections on to a port. The bytes of the server behind it arrive in small pieces, as over a network.
pub(crate) async fn slow_network(port: u16) -> String {
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

/// Returns the options of a server that releases rooms soon.
pub(crate) async fn redis(url: &str, kind: Kind) -> Redis {
    let redis = Redis::connect(url).await.unwrap();
    let redis = redis.release_rooms_after(Duration::from_millis(100));
    match kind {
        Kind::Classic => redis,
        Kind::Sharded(mode) => redis.sharded(mode),
        Kind::Streams => redis.streams(Streams::new().count(3)),
    }
}
