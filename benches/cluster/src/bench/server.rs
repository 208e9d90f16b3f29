//! The servers of a cluster, each in a process of its own.

use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use axum_socketio_benches::process::{Cpus, Process};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Ours,
    Socketioxide,
    Node,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Ours, Self::Socketioxide, Self::Node];

    pub const fn title(self) -> &'static str {
        match self {
            Self::Ours => "axum-socketio",
            Self::Socketioxide => "socketioxide",
            Self::Node => "Node",
        }
    }

    /// Returns true if it has an adapter for the engine.
    pub const fn supports(self, engine: Engine) -> bool {
        match self {
            Self::Ours => true,
            Self::Socketioxide => matches!(engine, Engine::Redis | Engine::Postgres),
            // Its classic adapter always has a pattern.
            Self::Node => !matches!(engine, Engine::None | Engine::RedisPattern | Engine::Nats),
        }
    }
}

/// The locations of the programs, and the processors that they run on.
#[derive(Clone, Debug)]
pub struct Programs {
    pub built: PathBuf,
    pub node: PathBuf,
    pub cpus: Cpus,
}

/// A server that ends when this is dropped.
pub struct Server {
    child: Child,
    pub port: u16,
    pub process: Process,
}

impl Server {
    pub fn start(programs: &Programs, kind: Kind, engine: Engine, url: &str) -> io::Result<Self> {
        let mut command = match kind {
            Kind::Ours => Command::new(programs.built.join("cluster-ours")),
            Kind::Socketioxide => Command::new(programs.built.join("cluster-socketioxide")),
            Kind::Node => {
                let mut command = Command::new("node");
                command
                    .arg(programs.node.join("node.js"))
                    .env("NODE_ENV", "production");
                command
            }
        };
        let command = command
            .arg(engine.name())
            .env("ENGINE_URL", url)
            .stdout(Stdio::piped());
        programs.cpus.pin(&[programs.cpus.server])?;
        let child = command.spawn();
        programs.cpus.pin(&[programs.cpus.generator])?;
        let mut child = child?;
        let port = ready(&mut child);
        let mut server = Self {
            process: Process::of(child.id())?,
            port: 0,
            child,
        };
        server.port = port?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A process that has ended by itself cannot be killed, but must be waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ready(child: &mut Child) -> io::Result<u16> {
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    line.strip_prefix("ready ")
        .and_then(|port| port.trim().parse().ok())
        .ok_or_else(|| io::Error::other(format!("the server said {line:?} instead of being ready")))
}
