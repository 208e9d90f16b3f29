//! The engines: programs of this machine, started for the measurement on free ports and in folders of their own.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// The user `nobody`: PostgreSQL does not start as root.
const NOBODY: u32 = 65534;

/// What connects the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    None,
    Redis,
    RedisPattern,
    RedisSharded,
    RedisStreams,
    Postgres,
    Nats,
}

impl Engine {
    /// The engines that are compared.
    pub const ALL: [Self; 6] = [
        Self::Redis,
        Self::RedisPattern,
        Self::RedisSharded,
        Self::RedisStreams,
        Self::Postgres,
        Self::Nats,
    ];

    /// Returns the name by which servers know it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Redis => "redis",
            Self::RedisPattern => "redis-pattern",
            Self::RedisSharded => "redis-sharded",
            Self::RedisStreams => "redis-streams",
            Self::Postgres => "postgres",
            Self::Nats => "nats",
        }
    }

    pub const fn title(self) -> &'static str {
        match self {
            Self::None => "no cluster",
            Self::Redis => "Redis",
            Self::RedisPattern => "Redis, by pattern",
            Self::RedisSharded => "Redis, sharded",
            Self::RedisStreams => "Redis Streams",
            Self::Postgres => "PostgreSQL",
            Self::Nats => "NATS",
        }
    }
}

/// A running engine, which ends when this is dropped.
pub struct Running {
    process: Option<Child>,
    folder: PathBuf,
    pub port: u16,
}

impl Running {
    pub async fn start(engine: Engine) -> io::Result<Self> {
        let port = free_port()?;
        let name = format!("axum-socketio-bench-{}-{port}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder)?;
        let mut running = Self {
            process: None,
            folder,
            port,
        };
        let mut command = match engine {
            Engine::None => return Ok(running),
            Engine::Postgres => postgres(&running.folder, port)?,
            Engine::Nats => nats(port),
            _ => redis(&running.folder, port),
        };
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        running.process = Some(quiet.spawn()?);
        for _ in 0..500 {
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                // PostgreSQL listens a moment before it lets anybody in.
                sleep(Duration::from_millis(500)).await;
                return Ok(running);
            }
            sleep(Duration::from_millis(20)).await;
        }
        Err(io::Error::other(format!(
            "{} does not start",
            engine.name()
        )))
    }
}

/// Returns the address of an engine that is reached by a port.
pub fn url(engine: Engine, port: u16) -> String {
    match engine {
        Engine::None => String::new(),
        Engine::Postgres => format!("postgres://bench@127.0.0.1:{port}/postgres"),
        Engine::Nats => format!("nats://127.0.0.1:{port}"),
        _ => format!("redis://127.0.0.1:{port}/"),
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // A process that has ended by itself cannot be killed, but must be waited for.
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn redis(folder: &Path, port: u16) -> Command {
    let program = std::env::var_os("REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
    let mut command = Command::new(program);
    command
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
        ])
        .arg("--dir")
        .arg(folder);
    command
}

fn nats(port: u16) -> Command {
    let program = std::env::var_os("NATS_SERVER").unwrap_or_else(|| "nats-server".into());
    let mut command = Command::new(program);
    command.args(["-a", "127.0.0.1", "-p", &port.to_string()]);
    command
}

/// Creates the files of a database, and returns the command that serves it.
fn postgres(folder: &Path, port: u16) -> io::Result<Command> {
    let is_root = fs::metadata("/proc/self")?.uid() == 0;
    let program = |name: &str| -> io::Result<Command> {
        let mut command = Command::new(postgres_program(name)?);
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(command)
    };
    if is_root {
        chown(folder, Some(NOBODY), Some(NOBODY))?;
    }
    let created = program("initdb")?
        .arg("-D")
        .arg(folder)
        .args(["-U", "bench", "-A", "trust", "-E", "UTF8", "--no-sync"])
        .status()?;
    if !created.success() {
        return Err(io::Error::other("initdb failed"));
    }
    let mut command = program("postgres")?;
    command.arg("-D").arg(folder).arg("-k").arg(folder).args([
        "-p",
        &port.to_string(),
        "-c",
        "listen_addresses=127.0.0.1",
    ]);
    Ok(command)
}

/// Finds a program of PostgreSQL, which Debian installs into a folder of its version.
fn postgres_program(name: &str) -> io::Result<PathBuf> {
    let named = std::env::var_os("POSTGRES_BIN").map(PathBuf::from);
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let versions = versions.flatten().map(|version| version.path().join("bin"));
    let mut folders = named.into_iter().chain(versions);
    folders
        .find_map(|folder| Some(folder.join(name)).filter(|path| path.exists()))
        .ok_or_else(|| {
            io::Error::other(format!("{name} is not here; POSTGRES_BIN names its folder"))
        })
}
