//! A NATS server of its own, which a test starts and stops.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum_socketio_nats::Nats;
use axum_socketio_nats::async_nats::{self, Client};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::two_servers::SOON;

/// A server of its own, on a free port.
pub(crate) struct Engine {
    pub(crate) port: u16,
    process: Child,
    pub(crate) folder: PathBuf,
}

fn start(config: &PathBuf) -> Child {
    let program = std::env::var("NATS_SERVER").unwrap_or_else(|_| "nats-server".to_owned());
    Command::new(program)
        .arg("-c")
        .arg(config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nats-server is installed")
}

impl Engine {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| String::new()).await
    }

    /// Starts a server with more options, which may name files in the folder of the server.
    pub(crate) async fn start_with(options: impl FnOnce(&PathBuf) -> String) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("axum-socketio-nats-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let config = folder.join("nats.conf");
        let options = options(&folder);
        std::fs::write(&config, format!("listen: 127.0.0.1:{port}\n{options}\n")).unwrap();
        let process = start(&config);
        let engine = Self {
            port,
            process,
            folder,
        };
        engine.answers().await;
        engine
    }

    async fn answers(&self) {
        let connect = async {
            while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(SOON, connect).await.expect("NATS starts");
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) async fn nats(&self) -> Nats {
        Nats::connect(&self.url()).await.unwrap()
    }

    /// Connects the test.
    pub(crate) async fn client(&self) -> Client {
        async_nats::connect(self.url()).await.unwrap()
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) async fn restart(&mut self) {
        self.process = start(&self.folder.join("nats.conf"));
        self.answers().await;
    }

    /// Sends a signal to the process.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
