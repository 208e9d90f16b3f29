//! The servers: their names, and how to start and end them.

use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::measure::{Cpus, Process};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Ours,
    Socketioxide,
    Node,
    Bun,
    /// A bare server whose broadcasts go through the members' queues.
    BareQueue,
    /// A bare server whose broadcasts are written by the task of the sender.
    BareDirect,
    /// A bare server with the same codec, and the handshake by axum.
    BareAxum,
    BareTcp,
    BareHyper,
}

impl Kind {
    pub const ALL: [Self; 9] = [
        Self::Ours,
        Self::Socketioxide,
        Self::Node,
        Self::Bun,
        Self::BareQueue,
        Self::BareDirect,
        Self::BareAxum,
        Self::BareTcp,
        Self::BareHyper,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Ours => "axum-socketio",
            Self::Socketioxide => "socketioxide",
            Self::Node => "node",
            Self::Bun => "bun",
            Self::BareQueue => "bare-queue",
            Self::BareDirect => "bare-direct",
            Self::BareAxum => "bare-axum",
            Self::BareTcp => "bare-tcp",
            Self::BareHyper => "bare-hyper",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Returns true if it supports all events and both transports.
    pub const fn is_whole(self) -> bool {
        matches!(
            self,
            Self::Ours | Self::Socketioxide | Self::Node | Self::Bun
        )
    }

    /// Returns true if it is slow until its code has been compiled.
    pub const fn compiles_late(self) -> bool {
        matches!(self, Self::Node | Self::Bun)
    }
}

/// The locations of the servers' programs.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The folder of the Rust servers, which is that of this program.
    pub built: PathBuf,
    /// The folder `benches/node`.
    pub node: PathBuf,
}

impl Programs {
    pub fn bun(&self) -> PathBuf {
        self.node.join("node_modules/bun/bin/bun.exe")
    }

    /// Returns true if the server can be run on this machine.
    pub fn have(&self, kind: Kind) -> bool {
        match kind {
            Kind::Node => {
                self.node.join("node_modules/socket.io").is_dir() && runs(Path::new("node"))
            }
            Kind::Bun => runs(&self.bun()),
            _ => true,
        }
    }

    fn command(&self, kind: Kind) -> Command {
        let rust = |name: &str| Command::new(self.built.join(name));
        let bare = |mode: &str| {
            let mut command = rust("server-bare");
            command.arg(mode);
            command
        };
        let script = |program: &Path, script: &str| {
            let mut command = Command::new(program);
            command
                .arg(self.node.join(script))
                .env("NODE_ENV", "production");
            command
        };
        match kind {
            Kind::Ours => rust("server-ours"),
            Kind::Socketioxide => rust("server-socketioxide"),
            Kind::Node => script(Path::new("node"), "node.js"),
            Kind::Bun => script(&self.bun(), "bun.js"),
            Kind::BareQueue => bare("queue"),
            Kind::BareDirect => bare("direct"),
            Kind::BareAxum => bare("axum"),
            Kind::BareTcp => bare("tcp"),
            Kind::BareHyper => bare("hyper"),
        }
    }
}

fn runs(program: &Path) -> bool {
    let quiet = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    quiet.is_ok_and(|status| status.success())
}

/// The options with which a server is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The number of worker threads, 0 for the current-thread runtime. Two of them also get the generator's processor.
    pub workers: usize,
    /// True if Nagle's algorithm is left on.
    pub nagle: bool,
}

impl Setup {
    pub const PLAIN: Self = Self {
        workers: 1,
        nagle: false,
    };
}

/// A server process that is ended when this is dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    pub process: Process,
}

impl Server {
    pub fn start(programs: &Programs, kind: Kind, setup: Setup, cpus: Cpus) -> io::Result<Self> {
        let Setup { workers, nagle } = setup;
        let mut command = programs.command(kind);
        command
            .args(["--workers", &workers.to_string()])
            .args(nagle.then_some("--nagle"))
            .stdout(Stdio::piped());
        let for_server = [cpus.server, cpus.generator];
        cpus.pin(for_server.get(..workers.clamp(1, 2)).unwrap_or(&for_server))?;
        let child = command.spawn();
        cpus.pin(&[cpus.generator])?;
        let mut child = child
            .map_err(|error| io::Error::other(format!("cannot start {}: {error}", kind.name())))?;
        match ready(&mut child) {
            Ok((port, process)) => Ok(Self {
                child,
                address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
                process,
            }),
            Err(error) => {
                end(&mut child);
                Err(error)
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    // A process that has ended by itself cannot be killed, but must be waited for.
    let _ = child.kill();
    let _ = child.wait();
}

fn ready(child: &mut Child) -> io::Result<(u16, Process)> {
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    let port = line
        .strip_prefix("ready ")
        .and_then(|port| port.trim().parse().ok())
        .ok_or_else(|| {
            io::Error::other(format!("the server said {line:?} instead of being ready"))
        })?;
    Ok((port, Process::of(child.id())?))
}
