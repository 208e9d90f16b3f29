//! A PostgreSQL server of its own, which a test starts and stops.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum_socketio_postgres::Postgres;
use axum_socketio_postgres::tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use tokio::time::{sleep, timeout};

use crate::two_servers::SOON;

/// The user `nobody`: PostgreSQL does not start as root.
const NOBODY: u32 = 65534;

pub(crate) struct Engine {
    pub(crate) port: u16,
    dir: PathBuf,
    process: Child,
}

/// Returns a program of PostgreSQL. Debian has them in a folder of the version.
fn program(name: &str) -> Command {
    let named = std::env::var_os("POSTGRES_BIN").map(PathBuf::from);
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let versions = versions.flatten().map(|version| version.path().join("bin"));
    let found = named.into_iter().chain(versions);
    let path = { found.map(|dir| dir.join(name)) }.find(|path| path.exists());
    let mut command = Command::new(path.unwrap_or_else(|| name.into()));
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .current_dir("/");
    command
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

fn start(dir: &Path, port: u16) -> Child {
    program("postgres")
        .arg("-D")
        .arg(dir)
        .arg("-k")
        .arg(dir)
        .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
        .args(["-c", "fsync=off"])
        .stderr(Stdio::null())
        .spawn()
        .expect("PostgreSQL is installed")
}

impl Engine {
    /// Starts a server with the table of large messages.
    pub(crate) async fn start() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("axum-socketio-postgres-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir(&dir).unwrap();
        if is_root() {
            chown(&dir, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let initialized = program("initdb")
            .arg("-D")
            .arg(&dir)
            .args(["-U", "test", "-A", "trust", "-E", "UTF8", "--no-sync"])
            .status()
            .expect("initdb is installed");
        assert!(initialized.success());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let process = start(&dir, port);
        let engine = Self { port, dir, process };
        engine.postgres().await.create_table().await.unwrap();
        engine
    }

    pub(crate) fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Returns the address of a database.
    pub(crate) fn url_of(&self, database: &str) -> String {
        format!("postgres://test@127.0.0.1:{}/{database}", self.port)
    }

    /// Connects, when the server answers.
    pub(crate) async fn postgres(&self) -> Postgres {
        let connect = async {
            loop {
                match Postgres::connect(&self.url()).await {
                    Ok(postgres) => break postgres,
                    Err(_) => sleep(Duration::from_millis(20)).await,
                }
            }
        };
        timeout(SOON, connect).await.expect("PostgreSQL starts")
    }

    /// Opens a session of the test.
    pub(crate) async fn client(&self) -> Client {
        let connected = axum_socketio_postgres::tokio_postgres::connect(&self.url(), NoTls).await;
        let (client, connection) = connected.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Returns the first value of the result of a query.
    pub(crate) async fn value(&self, sql: &str) -> String {
        let rows = self.client().await.simple_query(sql).await.unwrap();
        let values = rows.iter().filter_map(|row| match row {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        { values }.next().unwrap_or_default().to_owned()
    }

    /// Waits until a query has a result.
    pub(crate) async fn until(&self, sql: &str, expected: &str) {
        let reached = async {
            while self.value(sql).await != expected {
                sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(SOON, reached).await.is_err() {
            panic!("{sql}: {} is not {expected}", self.value(sql).await);
        }
    }

    /// Ends the server at once.
    pub(crate) fn kill(&mut self) {
        let pid = self.process.id().to_string();
        Command::new("kill").args(["-QUIT", &pid]).status().unwrap();
        self.process.wait().unwrap();
    }

    /// Makes the server a standby, which has no primary.
    pub(crate) async fn become_standby(&mut self) {
        self.kill();
        std::fs::write(self.dir.join("standby.signal"), "").unwrap();
        self.restart().await;
    }

    pub(crate) async fn restart(&mut self) {
        self.process = start(&self.dir, self.port);
        self.postgres().await;
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
