//! Many events at once over long-polling, on a network with a high latency.

use std::net::SocketAddr;
use std::time::Duration;

use axum_socketio::{Limits, Socket, SocketIo};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::support::{Http, POLLING, Polling, Server, sid_in, start, within};

/// The latency in one direction.
const DELAY: Duration = Duration::from_millis(100);

/// Starts a proxy that delays the traffic of the server.
async fn far(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(server).await.unwrap();
            client.set_nodelay(true).unwrap();
            server.set_nodelay(true).unwrap();
            let (client_read, client_write) = client.into_split();
            let (server_read, server_write) = server.into_split();
            delay(client_read, server_write);
            delay(server_read, client_write);
        }
    });
    addr
}

/// Forwards the bytes that are read, with a delay. There is no limit for the bytes in flight.
fn delay(mut read: OwnedReadHalf, mut write: OwnedWriteHalf) {
    let (sender, mut under_way) = mpsc::unbounded_channel::<(Instant, Bytes)>();
    tokio::spawn(async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = read.read(&mut buffer).await {
            let data = Bytes::copy_from_slice(&buffer[..length]);
            if sender.send((Instant::now() + DELAY, data)).is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        while let Some((at, data)) = under_way.recv().await {
            sleep_until(at).await;
            if write.write_all(&data).await.is_err() {
                return;
            }
        }
    });
}

/// Returns the numbers of all `42["n",7]` in a body.
fn numbers(body: &str) -> Vec<usize> {
    let events = body.split('\x1e').filter_map(|packet| {
        let number = packet.strip_prefix(r#"42["n","#)?.strip_suffix(']')?;
        number.parse().ok()
    });
    events.collect()
}

/// Stops the clock of the runtime, so that it leaps to the next deadline when there is nothing to do.
///
/// It leaps by a millisecond, and so does not overtake bytes that the system has yet to deliver.
fn leap() {
    tokio::time::pause();
    tokio::spawn(async {
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}

#[tokio::test]
async fn a_burst_takes_one_round_trip_or_two() {
    leap();
    let (server, io, _) = start(|io| io).await;
    let mut client = Polling::joined(far(server.addr).await).await;
    for n in 0..1_000 {
        io.emit("n", n);
    }
    let (mut polls, mut got) = (0, Vec::new());
    while got.len() < 1_000 {
        polls += 1;
        got.extend(numbers(&client.poll().await));
    }
    assert!(got.into_iter().eq(0..1_000));
    assert!(polls <= 2, "{polls} polls");
}

#[tokio::test]
async fn a_stream_of_events_does_not_fall_behind() {
    leap();
    for rate in [120, 600] {
        // The outbox has room for two seconds: a client that falls further behind loses events.
        let (server, io, _) =
            start(|io| io.limits(Limits::new().max_outbox_packets(2 * rate))).await;
        let mut client = Polling::joined(far(server.addr).await).await;
        let sockets = io.fetch_sockets().await.unwrap();
        let socket = io.socket(sockets[0].id()).unwrap();
        let total = 4 * rate;
        let sending = tokio::spawn(paced(socket, rate, total));
        let mut got = Vec::new();
        while got.len() < total {
            got.extend(numbers(&client.poll().await));
        }
        let refused = within("the sender", sending).await.unwrap();
        assert_eq!(refused, 0, "{rate} events per second");
        assert!(got.into_iter().eq(0..total));
    }
}

/// Emits this number of events per second. Returns the number of refused ones.
async fn paced(socket: Socket, rate: usize, total: usize) -> usize {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let (started, mut refused, mut sent) = (Instant::now(), 0, 0);
    while sent < total {
        ticks.tick().await;
        let due = started.elapsed().as_millis() as usize * rate / 1_000;
        for n in sent..due.min(total) {
            refused += usize::from(!socket.emit("n", n).ok());
        }
        sent = due.min(total);
    }
    refused
}

/// Connects a client with that `User-Agent`, for which fifty events are queued. Returns the number of packets in the
/// response to each of its polls.
async fn packets_of_each_poll(server: &Server, io: &SocketIo, agent: &str) -> Vec<usize> {
    let mut http = Http::open(server.addr).await;
    let headers = [("User-Agent", agent)];
    let open = http.ask("GET", POLLING, &headers, b"").await;
    let target = format!("{POLLING}&sid={}", sid_in(&open.text()[1..]));
    http.ask("POST", &target, &headers, b"40").await;
    let joined = http.ask("GET", &target, &headers, b"").await;
    assert!(joined.text().starts_with("40"));
    for n in 0..50 {
        io.emit("n", n);
    }
    let (mut polls, mut got) = (Vec::new(), Vec::new());
    while got.len() < 50 {
        let answer = http.ask("GET", &target, &headers, b"").await;
        polls.push(answer.text().split('\x1e').count());
        got.extend(numbers(answer.text()));
    }
    assert!(got.into_iter().eq(0..50));
    http.ask("POST", &target, &headers, b"1").await;
    polls
}

const PYTHON: [&str; 2] = ["python-requests/2.34.2", "Python/3.11 aiohttp/3.14.5"];

#[tokio::test]
async fn only_python_clients_get_at_most_sixteen_packets_per_poll() {
    let (server, io, _) = start(|io| io).await;
    for agent in PYTHON {
        let polls = packets_of_each_poll(&server, &io, agent).await;
        assert_eq!(polls, [16, 16, 16, 2], "{agent}");
    }
    for agent in ["node-XMLHttpRequest", "Mozilla/5.0", "okhttp/4.12.0"] {
        let polls = packets_of_each_poll(&server, &io, agent).await;
        assert_eq!(polls, [50], "{agent}");
    }
}

#[tokio::test]
async fn an_option_sets_how_many_packets_a_poll_carries_for_all_clients() {
    let (server, io, _) = start(|io| io.limits(Limits::new().max_poll_packets(20))).await;
    for agent in [PYTHON[0], "Mozilla/5.0"] {
        let polls = packets_of_each_poll(&server, &io, agent).await;
        assert_eq!(polls, [20, 20, 10], "{agent}");
    }
    let (server, io, _) = start(|io| io.limits(Limits::new().max_poll_packets(None))).await;
    for agent in PYTHON {
        assert_eq!(packets_of_each_poll(&server, &io, agent).await, [50]);
    }
}

#[tokio::test]
async fn attachments_are_packets_and_stay_with_their_event() {
    let (server, io, _) = start(|io| io.limits(Limits::new().max_poll_packets(4))).await;
    let mut client = Polling::joined(server.addr).await;
    let binary = |count| vec![Bytes::from_static(b"x"); count];
    for attachments in [2, 1, 5, 0, 0] {
        io.emit("e", binary(attachments));
    }
    let mut counts = Vec::new();
    for _ in 0..4 {
        let body = client.poll().await;
        counts.push(body.split('\x1e').count());
        assert!(body.starts_with('4'), "{body}");
    }
    assert_eq!(counts, [3, 2, 6, 2], "no event is torn apart");
}

#[cfg(feature = "v3")]
#[tokio::test]
async fn a_client_of_engine_io_3_gets_all_at_once_too() {
    let (server, io, _) = start(|io| io.allow_eio3()).await;
    let mut http = Http::open(server.addr).await;
    let target = "/socket.io/?EIO=3&transport=polling";
    let open = http.ask("GET", target, &[], b"").await;
    let (_, json) = open.text().split_once('0').unwrap();
    let end = json.rfind('}').unwrap() + 1;
    let target = format!("{target}&sid={}", sid_in(&json[..end]));
    let joined = http.ask("GET", &target, &[], b"").await;
    assert!(joined.text().contains("2:40"), "{}", joined.text());
    for n in 0..50 {
        io.emit("n", n);
    }
    let answer = http.ask("GET", &target, &[], b"").await;
    assert_eq!(answer.text().matches(r#"42["n","#).count(), 50);
}
