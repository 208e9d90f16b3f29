//! The processes of the cluster: Redis and the servers.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use crate::balancer::Policy;

/// The time for a process to start.
const START: Duration = Duration::from_secs(20);
/// The time for a server to end.
const STOP: Duration = Duration::from_secs(5);

/// The server of Redis: one that runs already if `REDIS_URL` names it, or else one of our own.
pub struct Redis {
    pub url: String,
    child: Option<Child>,
}

impl Redis {
    pub async fn start() -> io::Result<Self> {
        if let Ok(url) = std::env::var("REDIS_URL") {
            return Ok(Self { url, child: None });
        }
        let address = free_address().await?;
        let program = std::env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
        let child = Command::new(&program)
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &address.port().to_string()])
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                let hint = "install Redis, set REDIS_SERVER to its program, or set REDIS_URL";
                io::Error::new(error.kind(), format!("{program}: {error}; {hint}"))
            })?;
        listens(address).await?;
        Ok(Self {
            url: format!("redis://{address}/"),
            child: Some(child),
        })
    }

    pub async fn stop(self) {
        if let Some(mut child) = self.child {
            // It may have ended by itself.
            let _ = child.kill().await;
        }
    }
}

/// The servers, by name.
pub struct Processes {
    redis: String,
    policy: Policy,
    servers: Mutex<BTreeMap<String, Server>>,
}

struct Server {
    address: SocketAddr,
    child: Option<Child>,
}

impl Server {
    /// Returns true if the process runs. It may have ended by itself.
    fn runs(&mut self) -> bool {
        let running =
            { self.child.as_mut() }.is_some_and(|child| matches!(child.try_wait(), Ok(None)));
        if !running {
            self.child = None;
        }
        running
    }
}

/// The state of a server, for the page.
#[derive(Serialize)]
pub struct ServerState {
    name: String,
    running: bool,
}

impl Processes {
    pub fn new(redis: &str, policy: Policy) -> Self {
        Self {
            redis: redis.to_owned(),
            policy,
            servers: Mutex::default(),
        }
    }

    /// Starts a server, unless it runs.
    pub async fn start(&self, name: &str) -> io::Result<()> {
        let mut servers = self.servers.lock().await;
        let mut known = servers.get_mut(name);
        if known.as_mut().is_some_and(|server| server.runs()) {
            return Ok(());
        }
        let address = match known {
            Some(server) => server.address,
            None => free_address().await?,
        };
        let child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .env("NAME", name)
            .env("PORT", address.port().to_string())
            .env("REDIS_URL", &self.redis)
            .env("TRANSPORTS", self.policy.transports())
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let child = Some(child);
        servers.insert(name.to_owned(), Server { address, child });
        drop(servers);
        listens(address).await
    }

    /// Kills a server, which cannot say farewell to its clients.
    pub async fn kill(&self, name: &str) -> io::Result<()> {
        let mut servers = self.servers.lock().await;
        let Some(server) = servers.get_mut(name) else {
            return Ok(());
        };
        if let Some(mut child) = server.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// Returns true if there is a server of this name, running or not.
    pub async fn knows(&self, name: &str) -> bool {
        self.servers.lock().await.contains_key(name)
    }

    pub async fn states(&self) -> Vec<ServerState> {
        let mut servers = self.servers.lock().await;
        let states = servers.iter_mut().map(|(name, server)| ServerState {
            name: name.clone(),
            running: server.runs(),
        });
        states.collect()
    }

    /// Returns the servers that run.
    pub async fn running(&self) -> Vec<(String, SocketAddr)> {
        let mut servers = self.servers.lock().await;
        let running = servers.iter_mut().filter_map(|(name, server)| {
            let runs = server.runs();
            runs.then_some((name, server))
        });
        running
            .map(|(name, server)| (name.clone(), server.address))
            .collect()
    }

    /// Tells all servers to stop, by closing their input, and waits until they have ended.
    pub async fn stop_all(&self) {
        let mut servers = self.servers.lock().await;
        let children = servers
            .values_mut()
            .filter_map(|server| server.child.take());
        let mut children: Vec<_> = children.collect();
        for child in &mut children {
            drop(child.stdin.take());
        }
        for mut child in children {
            if timeout(STOP, child.wait()).await.is_err() {
                // It may end at this moment.
                let _ = child.kill().await;
            }
        }
    }
}

async fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await?
        .local_addr()
}

/// Waits until a process listens.
async fn listens(address: SocketAddr) -> io::Result<()> {
    let connected = async {
        while TcpStream::connect(address).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let late = |_| io::Error::new(ErrorKind::TimedOut, format!("nothing listens on {address}"));
    timeout(START, connected).await.map_err(late)
}
