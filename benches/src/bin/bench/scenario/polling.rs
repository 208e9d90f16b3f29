//! An echo by long-polling: a pending GET on one connection, a POST on another, both kept alive.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Times;
use crate::connect::{Way, connect};
use crate::measure::{Histogram, Process, Sample, Watch};
use crate::net::{Conn, Net, get, post};

pub fn polling(
    net: &mut Net,
    address: SocketAddr,
    server: Process,
    clients: usize,
    message: &str,
    times: Times,
) -> io::Result<Sample> {
    let mut pollers = Vec::new();
    for client in connect(net, address, Way::Polling, clients)? {
        pollers.push(Poller {
            get: get(&client.sid).into_bytes(),
            post: post(&client.sid, message).into_bytes(),
            gets: client.socket,
            posts: net.open(address, Conn::http)?,
            waiting: 0,
            sent: Instant::now(),
        });
    }
    let mut owner = vec![None; net.len()];
    for (at, poller) in pollers.iter().enumerate() {
        for socket in [poller.gets, poller.posts] {
            if let Some(slot) = owner.get_mut(socket) {
                *slot = Some(at);
            }
        }
    }
    for poller in &mut pollers {
        poller.ask(net)?;
    }
    let mut run = Run {
        pollers,
        owner,
        answered: Vec::new(),
    };
    let mut latencies = Histogram::default();
    run.until(net, times.warm_up, &mut latencies)?;
    latencies.clear();
    let watch = Watch::start(server)?;
    let count = run.until(net, times.measure, &mut latencies)?;
    let sample = watch.stop(count, &latencies);
    net.close_all();
    sample
}

struct Poller {
    get: Vec<u8>,
    post: Vec<u8>,
    gets: usize,
    posts: usize,
    /// The number of pending responses.
    waiting: u32,
    sent: Instant,
}

impl Poller {
    fn ask(&mut self, net: &mut Net) -> io::Result<()> {
        self.waiting = 2;
        self.sent = Instant::now();
        net.send(self.gets, &self.get)?;
        net.send(self.posts, &self.post)
    }
}

struct Run {
    pollers: Vec<Poller>,
    /// The index of each socket's poller.
    owner: Vec<Option<usize>>,
    /// The sockets that have received a response, and true if it was a poll without an event.
    answered: Vec<(usize, bool)>,
}

impl Run {
    fn until(
        &mut self,
        net: &mut Net,
        time: Duration,
        latencies: &mut Histogram,
    ) -> io::Result<u64> {
        let end = Instant::now() + time;
        let mut count = 0;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(count);
            }
            net.turn(Some(left), |socket, conn, _| {
                // A poll with only a heartbeat is repeated. The session ends before the answer to the heartbeat is due.
                self.answered.push((socket, conn.body() == b"2"));
                Ok(())
            })?;
            for (socket, heartbeat) in self.answered.drain(..) {
                let owner = self.owner.get(socket).copied().flatten();
                let Some(poller) = owner.and_then(|at| self.pollers.get_mut(at)) else {
                    continue;
                };
                if heartbeat {
                    net.send(poller.gets, &poller.get)?;
                    continue;
                }
                poller.waiting -= 1;
                if poller.waiting == 0 {
                    latencies.add(poller.sent.elapsed());
                    count += 1;
                    poller.ask(net)?;
                }
            }
        }
    }
}
