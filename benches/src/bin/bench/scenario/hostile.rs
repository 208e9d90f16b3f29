//! The latency of a client whose neighbours keep the server busy. There are as many of them as the server has worker
//! threads.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Times;
use crate::connect::{Client, Way, connect};
use crate::measure::{Histogram, Process, Sample, Watch};
use crate::net::{Conn, Net, control_frame, event, get, part_frame, post, text_frame};

/// The size of a neighbour's writes, and of its bodies, which have the size of `max_payload`.
const WRITE: usize = 64 * 1024;
const BODY: usize = 999_999;
/// The pause of the client between an answer and its next request.
const PAUSE: Duration = Duration::from_millis(1);
/// The factor by which this measurement is longer: a tail of stalls needs more time than a mean.
const LONGER: u32 = 6;

/// The packets that a neighbour sends in a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// No packets, for comparison: there are no neighbours.
    None,
    /// Ping frames of WebSocket.
    Pings,
    /// Pong frames of WebSocket.
    Pongs,
    /// Empty continuation frames of a message that never ends.
    Continuations,
    /// Packets of Engine.IO without an effect.
    Noops,
    /// Events of a few bytes, whose handler does almost nothing.
    Events,
    /// The packets of `Noops`, sent by POST.
    NoopBodies,
}

/// A measured client and its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hostile {
    pub attack: Attack,
    /// The transport of the client: WebSocket or polling.
    pub way: Way,
    /// The number of worker threads of the server; 0 is the current-thread runtime.
    pub workers: usize,
}

pub fn hostile(
    address: SocketAddr,
    server: Process,
    hostile: Hostile,
    limit: Duration,
    times: Times,
) -> io::Result<Sample> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let neighbours = match hostile.attack {
            Attack::None => 0,
            _ => hostile.workers.max(1),
        };
        let neighbours: Vec<_> = (0..neighbours)
            .map(|_| scope.spawn(|| attack_until(&stop, address, hostile.attack, limit)))
            .collect();
        let sample = measure(address, server, hostile.way, limit, times);
        stop.store(true, Ordering::Relaxed);
        for neighbour in neighbours {
            neighbour
                .join()
                .map_err(|_| io::Error::other("a neighbour panicked"))??;
        }
        sample
    })
}

/// Measures echoes of one message after another.
fn measure(
    address: SocketAddr,
    server: Process,
    way: Way,
    limit: Duration,
    times: Times,
) -> io::Result<Sample> {
    let mut net = Net::new()?;
    net.set_limit(limit);
    let mut one = One::connect(&mut net, address, way)?;
    let mut latencies = Histogram::default();
    one.until(&mut net, Instant::now() + times.warm_up, &mut latencies)?;
    latencies.clear();
    let watch = Watch::start(server)?;
    let end = Instant::now() + times.measure * LONGER;
    let count = one.until(&mut net, end, &mut latencies)?;
    let sample = watch.stop(count, &latencies)?;
    Ok(Sample {
        value: sample.p99.unwrap_or_default(),
        ..sample
    })
}

/// The measured client.
struct One {
    /// The socket of each of its requests, and the request.
    requests: Vec<(usize, Vec<u8>)>,
    /// The number of pending answers.
    due: u32,
}

impl One {
    fn connect(net: &mut Net, address: SocketAddr, way: Way) -> io::Result<Self> {
        let Client { socket, sid } = joined(net, address, way)?;
        let message = event(&("echo", "x".repeat(32)))?;
        let requests = if way == Way::WebSocket {
            vec![(socket, text_frame(&message))]
        } else {
            let posts = net.open(address, Conn::http)?;
            let post = post(&sid, &message).into_bytes();
            vec![(socket, get(&sid).into_bytes()), (posts, post)]
        };
        Ok(Self { requests, due: 0 })
    }

    fn until(&mut self, net: &mut Net, end: Instant, latencies: &mut Histogram) -> io::Result<u64> {
        let mut count = 0;
        while Instant::now() < end {
            thread::sleep(PAUSE);
            let sent = Instant::now();
            for (socket, request) in &self.requests {
                net.send(*socket, request)?;
            }
            self.due = u32::try_from(self.requests.len()).unwrap_or(u32::MAX);
            while self.due > 0 {
                net.turn(None, |_, _, seen| {
                    self.due = self.due.saturating_sub(seen.answers() + seen.responses);
                    Ok(())
                })?;
            }
            latencies.add(sent.elapsed());
            count += 1;
        }
        Ok(count)
    }
}

/// Attacks until it is stopped. A neighbour that the server disconnects connects again.
fn attack_until(
    stop: &AtomicBool,
    address: SocketAddr,
    attack: Attack,
    limit: Duration,
) -> io::Result<()> {
    let end = Instant::now() + limit;
    while !stop.load(Ordering::Relaxed) {
        let mut net = Net::new()?;
        net.set_limit(limit);
        let ended = run(stop, &mut net, address, attack);
        if Instant::now() > end {
            return ended;
        }
    }
    Ok(())
}

fn run(stop: &AtomicBool, net: &mut Net, address: SocketAddr, attack: Attack) -> io::Result<()> {
    let way = match attack {
        Attack::NoopBodies => Way::Polling,
        _ => Way::WebSocket,
    };
    let client = joined(net, address, way)?;
    if attack == Attack::Continuations {
        net.send(client.socket, &part_frame("4"))?;
    }
    let bytes = attack.bytes(&client)?;
    let mut answered = true;
    while !stop.load(Ordering::Relaxed) {
        let mut wait = Duration::from_millis(20);
        if answered && !net.conn(client.socket)?.has_unsent() {
            net.send(client.socket, &bytes)?;
            if way == Way::Polling {
                answered = false;
            } else if !net.conn(client.socket)?.has_unsent() {
                wait = Duration::ZERO;
            }
        }
        net.turn(Some(wait), |_, _, seen| {
            answered |= seen.responses > 0;
            Ok(())
        })?;
    }
    Ok(())
}

fn joined(net: &mut Net, address: SocketAddr, way: Way) -> io::Result<Client> {
    let mut clients = connect(net, address, way, 1)?;
    clients
        .pop()
        .ok_or_else(|| io::Error::other("no client has connected"))
}

impl Attack {
    fn bytes(self, client: &Client) -> io::Result<Vec<u8>> {
        let frame = match self {
            Self::Pings => control_frame(true),
            Self::Pongs => control_frame(false),
            Self::Continuations => part_frame(""),
            Self::Noops => text_frame("6"),
            Self::Events => text_frame(&event(&("leave", [""; 0]))?),
            Self::None => Vec::new(),
            Self::NoopBodies => {
                let body = "6\u{1e}".repeat(BODY / 2) + "6";
                return Ok(post(&client.sid, &body).into_bytes());
            }
        };
        Ok(frame.repeat(WRITE / frame.len().max(1)))
    }
}
