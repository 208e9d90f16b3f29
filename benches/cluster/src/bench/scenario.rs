//! What is measured.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum_socketio_benches::process::Process;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::client::{Client, Received};
use crate::engine::{Engine, Running, url};
use crate::relay::{MARK, Relay};
use crate::server::{Kind, Programs, Server};

/// The rooms of [`elsewhere`], and the servers over which their members are spread.
const ROOMS: u32 = 100;
const SERVERS: u32 = 4;

/// The time in which background work, such as a subscription, comes to rest.
const REST: Duration = Duration::from_millis(500);

/// The results for one kind of server with one engine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sample {
    /// The processor time of both servers, and of the one that receives, in microseconds for each delivery.
    pub value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receiver: Option<f64>,
    /// The writes to the engine for each event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writes: Option<f64>,
}

/// Servers of one kind that share an engine.
pub struct Cluster {
    // Servers end before their engine does.
    servers: Vec<(Server, Relay)>,
    _engine: Running,
    pub time: Duration,
    pub warming: Duration,
}

impl Cluster {
    pub async fn start(
        programs: &Programs,
        kind: Kind,
        engine: Engine,
        servers: u32,
        time: Duration,
    ) -> io::Result<Self> {
        let running = Running::start(engine).await?;
        let mut started = Vec::new();
        for _ in 0..servers {
            let relay = Relay::default();
            let port = relay.start(running.port).await?;
            let server = {
                let (programs, url) = (programs.clone(), url(engine, port));
                let start = move || Server::start(&programs, kind, engine, &url);
                tokio::task::spawn_blocking(start).await??
            };
            started.push((server, relay));
        }
        // Servers that greet each other have done so.
        sleep(REST).await;
        Ok(Self {
            servers: started,
            _engine: running,
            time,
            // A just-in-time compiler needs a while.
            warming: if kind == Kind::Node {
                time.max(Duration::from_secs(2))
            } else {
                time / 4
            },
        })
    }

    fn server(&self, number: u32) -> io::Result<&(Server, Relay)> {
        self.servers
            .get(number as usize)
            .ok_or_else(|| io::Error::other("there is no such server"))
    }

    async fn client(&self, server: u32, received: &Arc<Received>) -> io::Result<Client> {
        Client::connect(self.server(server)?.0.port, received.clone()).await
    }

    async fn members(
        &self,
        server: u32,
        count: u64,
        room: &str,
    ) -> io::Result<(Vec<Client>, Arc<Received>)> {
        let received = Arc::new(Received::default());
        let join = async |_| {
            let mut client = self.client(server, &received).await?;
            client.ask("join", [room]).await?;
            Ok::<_, io::Error>(client)
        };
        let clients = try_join_all((0..count).map(join)).await?;
        sleep(REST).await;
        Ok((clients, received))
    }

    /// Measures broadcasts from the first server to members that are all connected to the second.
    pub async fn remote(&self, members: u64, burst: u64) -> io::Result<Sample> {
        // Each measurement has a room of its own: some servers are slow to leave one.
        let room = format!("remote-{members}-{burst}");
        let (_members, received) = self.members(1, members, &room).await?;
        let mut sender = self.client(0, &Arc::default()).await?;
        let watched = [self.server(0)?.0.process, self.server(1)?.0.process];
        let text = "x".repeat(128);
        let [both, receiver, _] = self
            .repeat(&watched, async || {
                received.expect(members * burst);
                sender.cast("cast", &room, burst, &text).await?;
                received.wait().await?;
                Ok(members * burst)
            })
            .await?;
        Ok(Sample {
            value: both,
            receiver: Some(receiver),
            writes: None,
        })
    }

    /// Measures broadcasts to members of the only server; `event` names what the server does.
    pub async fn here(&self, event: &str, members: u64) -> io::Result<Sample> {
        let room = format!("here-{event}");
        let (_members, received) = self.members(0, members, &room).await?;
        let mut sender = self.client(0, &Arc::default()).await?;
        let text = "x".repeat(128);
        let [value, ..] = self
            .repeat(&[self.server(0)?.0.process], async || {
                received.expect(members);
                sender.cast(event, &room, 1, &text).await?;
                received.wait().await?;
                Ok(members)
            })
            .await?;
        Ok(Sample {
            value,
            ..Sample::default()
        })
    }

    /// Measures what an event costs the server that publishes it, where no server has a member.
    pub async fn publish(&self, burst: u64) -> io::Result<Sample> {
        let (_member, received) = self.members(1, 1, &format!("flushed-{burst}")).await?;
        let mut sender = self.client(0, &Arc::default()).await?;
        let (server, relay) = self.server(0)?;
        let text = "x".repeat(128);
        let mut events = 0;
        relay.take();
        let [value, ..] = self
            .repeat(&[server.process], async || {
                received.expect(1);
                sender.cast("cast", "nobody", burst, &text).await?;
                // What follows on the same way has arrived after the burst.
                sender
                    .cast("cast", &format!("flushed-{burst}"), 1, &text)
                    .await?;
                received.wait().await?;
                events += burst + 1;
                Ok(burst + 1)
            })
            .await?;
        Ok(Sample {
            value,
            receiver: None,
            writes: Some(relay.take().writes as f64 / events as f64),
        })
    }

    /// Counts the messages that reach servers without a member of their room, of all that reach a server.
    ///
    /// Each of a hundred rooms has a member on one of four servers. Each server emits to all rooms.
    pub async fn elsewhere(&self) -> io::Result<f64> {
        let received = Arc::new(Received::default());
        let mut members = Vec::new();
        for server in 0..SERVERS {
            let mut client = self.client(server, &received).await?;
            let rooms = (0..ROOMS).filter(|room| room % SERVERS == server);
            let rooms: Vec<String> = rooms.map(|room| format!("room-{room}")).collect();
            client.ask("join", rooms).await?;
            members.push(client);
        }
        sleep(REST).await;
        for (_, relay) in &self.servers {
            relay.take();
        }
        received.expect(u64::from(ROOMS * SERVERS));
        for sender in &mut members {
            for room in 0..ROOMS {
                let text = format!("{MARK}{room};");
                sender
                    .cast("cast", &format!("room-{room}"), 1, &text)
                    .await?;
            }
        }
        received.wait().await?;
        sleep(REST).await;
        let (mut all, mut needless) = (0, 0);
        for (server, (_, relay)) in (0..).zip(&self.servers) {
            for (room, count) in relay.take().received {
                all += count;
                needless += if room % SERVERS == server { 0 } else { count };
            }
        }
        if all == 0 {
            return Err(io::Error::other(
                "no message was seen on the way to a server",
            ));
        }
        Ok(needless as f64 / all as f64)
    }

    /// Repeats work for a while. Returns the microseconds of all watched servers for each of what the work counts,
    /// those of the last server, and the count.
    async fn repeat(
        &self,
        watched: &[Process],
        mut work: impl AsyncFnMut() -> io::Result<u64>,
    ) -> io::Result<[f64; 3]> {
        let warm = Instant::now();
        while warm.elapsed() < self.warming {
            work().await?;
        }
        let times = || {
            watched
                .iter()
                .map(Process::cpu_time)
                .collect::<io::Result<Vec<_>>>()
        };
        let (before, started, mut count) = (times()?, Instant::now(), 0);
        while started.elapsed() < self.time {
            count += work().await?;
        }
        // What a server does after the last delivery counts too.
        sleep(Duration::from_millis(50)).await;
        let after = times()?;
        let each: Vec<f64> = { after.iter().zip(&before) }
            .map(|(after, before)| after.saturating_sub(*before).as_secs_f64() * 1e6 / count as f64)
            .collect();
        Ok([
            each.iter().sum(),
            each.last().copied().unwrap_or_default(),
            count as f64,
        ])
    }
}
