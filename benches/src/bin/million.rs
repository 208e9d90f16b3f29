//! A million clients in one process, connected in memory: what each of them needs, and how long a broadcast to all
//! takes.
//!
//! Its arguments are `million [CLIENTS] [--bare]`. The handshakes have the headers of a browser, or with `--bare` none.
//! The server has one thread; the clients have another one, which answers their pings.

use std::io::{self, Write};
use std::process;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use axum::http::Request;
use axum_socketio::testing::{MemoryClient, MemoryPacket};
use axum_socketio::{Namespace, SocketIo};
use axum_socketio_benches::crowd::{BROWSER, resident_memory, thread_time};
use tokio::sync::watch;
use tokio::time::sleep;

/// The number of clients that are opened before they are handed to their thread.
const CHUNK: usize = 1_000;

/// The number of broadcasts.
const BROADCASTS: usize = 7;

/// The interval of the pings, the default of the server.
const INTERVAL: Duration = Duration::from_secs(25);

/// The time between two visits of the idle clients.
const VISIT: Duration = Duration::from_secs(1);

/// What the clients have received so far.
#[derive(Clone, Copy, Default)]
struct Seen {
    joined: usize,
    pings: usize,
    events: usize,
    /// The processor time of the clients' thread.
    time: Duration,
}

enum Order {
    /// Clients that have to join.
    Take(Vec<MemoryClient>),
    /// Every client is about to receive an event.
    Listen,
}

/// The clients, and the thread that reads for them.
struct Crowd {
    orders: Receiver<Order>,
    seen: watch::Sender<Seen>,
    count: Seen,
    joining: Vec<MemoryClient>,
    joined: Vec<MemoryClient>,
    visited: Instant,
}

impl Crowd {
    /// Reads until the server is done.
    fn run(mut self) -> io::Result<()> {
        loop {
            match self.orders.try_recv() {
                Ok(Order::Take(clients)) => self.joining.extend(clients),
                Ok(Order::Listen) => self.listen()?,
                Err(TryRecvError::Empty) if self.joining.is_empty() => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
            self.join();
            if self.visited.elapsed() >= VISIT {
                self.visited = Instant::now();
                for client in &mut self.joined {
                    while let Some(packet) = client.try_next() {
                        self.count.take(client, &packet);
                    }
                }
            }
            self.report()?;
        }
    }

    /// Joins the namespace with the clients that have a session.
    fn join(&mut self) {
        for mut client in std::mem::take(&mut self.joining) {
            let before = self.count.joined;
            while let Some(packet) = client.try_next() {
                self.count.take(&mut client, &packet);
            }
            if self.count.joined > before {
                self.joined.push(client);
            } else {
                self.joining.push(client);
            }
        }
    }

    /// Reads until each client has received one event.
    fn listen(&mut self) -> io::Result<()> {
        let mut waiting: Vec<_> = self.joined.iter_mut().collect();
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain_mut(|client| {
                let events = self.count.events;
                while let Some(packet) = client.try_next() {
                    self.count.take(client, &packet);
                }
                self.count.events == events
            });
            if waiting.len() == before {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.report()
    }

    fn report(&mut self) -> io::Result<()> {
        self.count.time = thread_time()?;
        self.seen.send_replace(self.count);
        Ok(())
    }
}

impl Seen {
    fn take(&mut self, client: &mut MemoryClient, packet: &MemoryPacket) {
        let text = packet.text().unwrap_or_default();
        // The queue of a client that sends so little is never full.
        let _ = match text.as_bytes() {
            b"2" => {
                self.pings += 1;
                client.try_send("3")
            }
            [b'0', ..] => client.try_send("40"),
            [b'4', b'0', ..] => {
                self.joined += 1;
                Ok(())
            }
            _ => {
                self.events += 1;
                Ok(())
            }
        };
    }
}

fn main() -> io::Result<()> {
    let (mut clients, mut headers) = (1_000_000, BROWSER);
    for arg in std::env::args().skip(1) {
        match arg.as_str() {
            "--bare" => headers = &[],
            count => clients = count.parse().map_err(io::Error::other)?,
        }
    }
    let (orders, to_crowd) = channel();
    let (seen, reports) = watch::channel(Seen::default());
    let crowd = Crowd {
        orders: to_crowd,
        seen,
        count: Seen::default(),
        joining: Vec::new(),
        joined: Vec::with_capacity(clients),
        visited: Instant::now(),
    };
    let crowd = std::thread::spawn(move || crowd.run());
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(measure(clients, headers, orders, reports))?;
    match crowd.join() {
        Ok(result) => result,
        Err(_) => Err(io::Error::other("the clients' thread has panicked")),
    }
}

async fn measure(
    clients: usize,
    headers: &[(&str, &str)],
    orders: Sender<Order>,
    mut reports: watch::Receiver<Seen>,
) -> io::Result<()> {
    let io = SocketIo::builder().namespace("/", Namespace::new()).build();
    let before = resident_memory(process::id())?;
    let (start, used) = (Instant::now(), thread_time()?);
    for opened in (0..clients).step_by(CHUNK) {
        let mut chunk = Vec::with_capacity(CHUNK);
        for _ in opened..clients.min(opened + CHUNK) {
            chunk.push(open(&io, headers).await?);
        }
        send(&orders, Order::Take(chunk))?;
        // The connections of the chunk have their turn.
        tokio::task::yield_now().await;
    }
    until(&mut reports, |seen| seen.joined == clients).await?;
    let (took, used) = (start.elapsed(), thread_time()? - used);
    line("clients", format!("{clients}"))?;
    line("connecting took", format!("{:.1} s", took.as_secs_f64()))?;
    line("server's time for one", micros(used, clients))?;
    line(
        "memory for one",
        bytes(resident_memory(process::id())? - before, clients),
    )?;

    broadcasts(clients, &io, &orders, &mut reports).await?;
    line(
        "memory for one, after the broadcasts",
        bytes(resident_memory(process::id())? - before, clients),
    )?;
    heartbeats(clients, &mut reports).await?;

    let closed: u64 = io.metrics().connections_closed.values().sum();
    if closed > 0 || io.client_count() < clients {
        return Err(io::Error::other(format!("{closed} connections were lost")));
    }
    Ok(())
}

async fn open(io: &SocketIo, headers: &[(&str, &str)]) -> io::Result<MemoryClient> {
    let mut request = Request::get("/socket.io/?EIO=4&transport=websocket");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(()).map_err(io::Error::other)?;
    let opened = MemoryClient::open(io.service(), request).await;
    opened.map_err(|refused| io::Error::other(format!("refused with {}", refused.status())))
}

/// Broadcasts to all clients, one event after another.
async fn broadcasts(
    clients: usize,
    io: &SocketIo,
    orders: &Sender<Order>,
    reports: &mut watch::Receiver<Seen>,
) -> io::Result<()> {
    let text = "x".repeat(100);
    let (mut queued, mut used, mut read) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=BROADCASTS {
        send(orders, Order::Listen)?;
        let (start, time) = (Instant::now(), thread_time()?);
        io.emit("news", &text);
        queued.push(start.elapsed());
        until(reports, |seen| seen.events == round * clients).await?;
        read.push(start.elapsed());
        used.push(thread_time()? - time);
    }
    line("broadcast: encoded and queued for all", millis(&mut queued))?;
    line("broadcast: the last client has read it", millis(&mut read))?;
    line("broadcast: server's time", millis(&mut used))
}

/// Waits for one interval of the heartbeat, in which each client answers one ping.
async fn heartbeats(clients: usize, reports: &mut watch::Receiver<Seen>) -> io::Result<()> {
    // The pings were sent over as long as connecting took, and the first ones may have waited for the broadcasts.
    sleep(INTERVAL).await;
    let (before, start, used) = (*reports.borrow(), Instant::now(), thread_time()?);
    sleep(INTERVAL).await;
    let (took, used) = (start.elapsed(), thread_time()? - used);
    let after = *reports.borrow_and_update();
    let pings = after.pings - before.pings;
    let part = |time: Duration| {
        let percent = time.as_secs_f64() / took.as_secs_f64() * 100.0;
        format!("{percent:.1} % of a processor")
    };
    line(
        "idle: pings in one interval",
        format!("{pings} of {clients}"),
    )?;
    line("idle: server's time", part(used))?;
    line("idle: clients' time", part(after.time - before.time))?;
    line(
        "idle: server's time for a ping and its answer",
        micros(used, pings),
    )
}

fn send(orders: &Sender<Order>, order: Order) -> io::Result<()> {
    orders.send(order).map_err(io::Error::other)
}

async fn until(
    reports: &mut watch::Receiver<Seen>,
    reached: impl Fn(&Seen) -> bool,
) -> io::Result<()> {
    let waited = reports.wait_for(|seen| reached(seen)).await;
    waited.map(drop).map_err(io::Error::other)
}

/// Prints a figure as soon as it is known.
fn line(name: &str, figure: String) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{name:<48} {figure}")?;
    out.flush()
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn micros(time: Duration, of: usize) -> String {
    let each = time.as_secs_f64() * 1e6 / of.max(1) as f64;
    format!("{each:.2} µs")
}

fn bytes(memory: u64, of: usize) -> String {
    format!("{} bytes", memory / (of as u64).max(1))
}

/// Returns the median, the smallest and the largest of some times.
fn millis(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |index: usize| times.get(index).copied().unwrap_or_default().as_secs_f64() * 1e3;
    let (median, least, most) = (at(times.len() / 2), at(0), at(times.len() - 1));
    format!("{median:.0} ms ({least:.0} to {most:.0})")
}
