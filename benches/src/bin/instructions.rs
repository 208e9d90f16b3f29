//! A given number of events through the whole server, in one thread and without a network: for `benches/instructions`,
//! which counts the instructions.
//!
//! Its arguments are `instructions SCENARIO server|bare TIMES`; without arguments it lists the scenarios. `bare` does
//! not use a server: it answers with bytes of the same length, without decoding the request. The work before the first
//! event does not depend on the number of events.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::State;
use axum_socketio::extract::Binary;
use axum_socketio::{Data, Namespace, Reply, Socket, SocketIo, Timeouts};
use axum_socketio_benches::contract::PING_INTERVAL;
use axum_socketio_benches::memory::{self, answer, binary, read_until, text};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::yield_now;

const SCENARIOS: [&str; 9] = [
    "echo",
    "echo-16",
    "ack",
    "silent",
    "binary",
    "broadcast",
    "polling",
    "handshake",
    "upgrade",
];
/// The number of members in `broadcast`.
const MEMBERS: usize = 100;

/// The number of events that have been handled without an answer.
#[derive(Clone, Default)]
struct Handled(Arc<AtomicUsize>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Server,
    Bare,
}

fn main() -> io::Result<()> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let (scenario, side, times) = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            println!("{}", SCENARIOS.join("\n"));
            return Ok(());
        }
        [scenario, "server", times] => (scenario, Side::Server, times),
        [scenario, "bare", times] => (scenario, Side::Bare, times),
        _ => return Err(io::Error::other("instructions SCENARIO server|bare TIMES")),
    };
    let times = times.parse().map_err(io::Error::other)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(run(scenario, side, times))
}

async fn run(scenario: &str, side: Side, times: usize) -> io::Result<()> {
    let handled = Handled::default();
    let io = server(handled.clone());
    let hello = "a text of thirty-two characters.";
    let echo = format!(r#"42["echo","{hello}"]"#);
    match scenario {
        "echo" => {
            let way = Way::websocket(&io, text(&echo), answer(&echo)).await?;
            talk(vec![way], side, times).await
        }
        "echo-16" => {
            let (asks, answers) = (text(&echo).repeat(16), answer(&echo).repeat(16));
            let way = Way::websocket(&io, asks, answers).await?;
            talk(vec![way], side, times / 16).await
        }
        "ack" => {
            let ask = text(&format!(r#"427["ack","{hello}"]"#));
            let answer = answer(&format!(r#"437["{hello}"]"#));
            talk(vec![Way::websocket(&io, ask, answer).await?], side, times).await
        }
        "binary" => {
            let event = r#"451-["binary",{"_placeholder":true,"num":0}]"#;
            let data = [7; 1024];
            let ask = [text(event), binary(&data)].concat();
            let answer = [answer(event), binary_answer(&data)].concat();
            talk(vec![Way::websocket(&io, ask, answer).await?], side, times).await
        }
        "polling" => talk(polling(&io, &echo).await?, side, times).await,
        "silent" => {
            let ask = text(&format!(r#"42["silent","{hello}"]"#));
            silent(&io, &ask, &handled, side, times).await
        }
        "handshake" => visits(&io, Visit::WebSocket, side, times).await,
        "upgrade" => visits(&io, Visit::Upgrade, side, times).await,
        "broadcast" => broadcast(&io, hello, side, times / MEMBERS).await,
        other => Err(io::Error::other(format!("no scenario {other}"))),
    }
}

fn server(handled: Handled) -> SocketIo {
    let namespace = Namespace::new()
        .on("echo", echo)
        .on("binary", echo_binary)
        .on("ack", ack)
        .on("silent", count);
    SocketIo::builder()
        .timeouts(Timeouts::new().ping_interval(PING_INTERVAL))
        .namespace("/", namespace)
        .with_state(handled)
        .build()
}

async fn echo(socket: Socket, Data(text): Data<String>) {
    socket.emit("echo", text);
}

async fn echo_binary(socket: Socket, Data(data): Data<Binary>) {
    socket.emit("binary", data);
}

async fn ack(Data(text): Data<String>) -> Reply<String> {
    Reply(text)
}

async fn count(State(handled): State<Handled>, Data(_text): Data<String>) {
    handled.0.fetch_add(1, Ordering::Relaxed);
}

fn binary_answer(data: &[u8]) -> Vec<u8> {
    use axum_socketio_proto::websocket::{Opcode, frame};

    frame(Opcode::Binary, data).to_vec()
}

/// A connection, with the bytes to send for each event and those of its answer.
struct Way {
    pipe: DuplexStream,
    ask: Vec<u8>,
    answer: Vec<u8>,
}

impl Way {
    async fn websocket(io: &SocketIo, ask: Vec<u8>, answer: Vec<u8>) -> io::Result<Self> {
        let (pipe, _) = memory::connect(io).await?;
        Ok(Self { pipe, ask, answer })
    }
}

/// Sends the request and reads the answer, the given number of times and once before.
async fn talk(mut ways: Vec<Way>, side: Side, times: usize) -> io::Result<()> {
    for way in &mut ways {
        way.pipe.write_all(&way.ask).await?;
    }
    for way in &mut ways {
        let answer = read_until(&mut way.pipe, &way.answer).await?;
        // The answer now includes all bytes before its end, such as the head of a response.
        way.answer = answer;
    }
    if side == Side::Bare {
        for way in &mut ways {
            let (ours, theirs) = memory::pipe();
            tokio::spawn(mirror(theirs, way.ask.len(), way.answer.clone()));
            way.pipe = ours;
        }
    }
    for _ in 0..times {
        for way in &mut ways {
            way.pipe.write_all(&way.ask).await?;
        }
        for way in &mut ways {
            way.pipe.read_exact(&mut way.answer).await?;
        }
    }
    Ok(())
}

/// Answers requests of a fixed length without decoding them.
async fn mirror(mut pipe: DuplexStream, ask: usize, answer: Vec<u8>) -> io::Result<()> {
    let mut read = vec![0; ask];
    loop {
        pipe.read_exact(&mut read).await?;
        pipe.write_all(&answer).await?;
    }
}

/// Sends events without an answer, one at a time.
async fn silent(
    io: &SocketIo,
    ask: &[u8],
    handled: &Handled,
    side: Side,
    times: usize,
) -> io::Result<()> {
    let (mut pipe, _) = memory::connect(io).await?;
    if side == Side::Bare {
        let (ours, mut theirs) = memory::pipe();
        let (mut read, handled) = (vec![0; ask.len()], handled.clone());
        tokio::spawn(async move {
            while theirs.read_exact(&mut read).await.is_ok() {
                handled.0.fetch_add(1, Ordering::Relaxed);
            }
        });
        pipe = ours;
    }
    for sent in 1..=times {
        pipe.write_all(ask).await?;
        while handled.0.load(Ordering::Relaxed) < sent {
            yield_now().await;
        }
    }
    Ok(())
}

/// Broadcasts events to many members. The bare side writes into their connections itself.
async fn broadcast(io: &SocketIo, text: &str, side: Side, times: usize) -> io::Result<()> {
    let frame = answer(&format!(r#"42["cast","{text}"]"#));
    let mut members = Vec::new();
    let mut direct = Vec::new();
    for _ in 0..MEMBERS {
        let (mut pipe, sid) = memory::connect(io).await?;
        if let Some(socket) = io.socket(sid) {
            socket.join("all");
        }
        if side == Side::Bare {
            let (ours, theirs) = memory::pipe();
            pipe = ours;
            direct.push(theirs);
        }
        members.push(pipe);
    }
    let mut heard = vec![0; frame.len()];
    for _ in 0..times {
        if side == Side::Server {
            io.to("all").emit("cast", text);
        }
        for pipe in &mut direct {
            pipe.write_all(&frame).await?;
        }
        for pipe in &mut members {
            pipe.read_exact(&mut heard).await?;
        }
        if heard != frame {
            return Err(io::Error::other("not what was emitted"));
        }
    }
    Ok(())
}

const PATH: &str = "/socket.io/?EIO=4&transport=polling";
const OPEN: &str = "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn get(sid: &str) -> String {
    format!("GET {PATH}&sid={sid} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn post(sid: &str, packet: &str) -> String {
    format!(
        "POST {PATH}&sid={sid} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain;charset=UTF-8\r\n\
         Content-Length: {}\r\n\r\n{packet}",
        packet.len()
    )
}

/// Returns the sid in the response that opens a session.
fn sid(opened: &[u8]) -> io::Result<String> {
    let opened = String::from_utf8_lossy(opened);
    let sid = opened.split('"').nth(3).map(str::to_owned);
    sid.ok_or_else(|| io::Error::other("no session"))
}

/// Opens a session by long-polling: a pending GET, and a POST with the event that answers it.
async fn polling(io: &SocketIo, packet: &str) -> io::Result<Vec<Way>> {
    let mut polls = memory::open(io);
    let mut posts = memory::open(io);
    polls.write_all(OPEN.as_bytes()).await?;
    let opened = read_until(&mut polls, b"}").await?;
    let sid = sid(&opened)?;
    let (get, post) = (get(&sid), |packet: &str| post(&sid, packet));
    posts.write_all(post("40").as_bytes()).await?;
    read_until(&mut posts, b"ok").await?;
    polls.write_all(get.as_bytes()).await?;
    read_until(&mut polls, b"\"}").await?;
    let poll = Way {
        pipe: polls,
        ask: get.into_bytes(),
        answer: packet.into(),
    };
    let post = Way {
        pipe: posts,
        ask: post(packet).into_bytes(),
        answer: b"ok".into(),
    };
    Ok(vec![poll, post])
}

/// The transports of a client that connects, joins `/`, and disconnects.
#[derive(Clone, Copy)]
enum Visit {
    WebSocket,
    Upgrade,
}

/// Runs one client after another.
async fn visits(io: &SocketIo, visit: Visit, side: Side, times: usize) -> io::Result<()> {
    let lines = visit.make(|| memory::open(io)).await?;
    for _ in 0..times {
        // Each client opens its connections in the same order.
        let mut said = lines.iter().map(|line| line.said.clone());
        let open = || match side {
            Side::Server => memory::open(io),
            Side::Bare => {
                let (ours, theirs) = memory::pipe();
                tokio::spawn(repeat(theirs, said.next().unwrap_or_default()));
                ours
            }
        };
        visit.make(open).await?;
    }
    Ok(())
}

impl Visit {
    /// Runs a client. Returns its connections, still open.
    async fn make(self, mut open: impl FnMut() -> DuplexStream) -> io::Result<Vec<Line>> {
        let (mut lines, mut websocket) = match self {
            Self::WebSocket => {
                let mut websocket = Line::new(open());
                let request = memory::upgrade_request("");
                websocket.ask(request.as_bytes(), b"}").await?;
                websocket.ask(&text("40"), b"\"}").await?;
                (Vec::new(), websocket)
            }
            Self::Upgrade => {
                let mut polls = Line::new(open());
                let sid = sid(&polls.ask(OPEN.as_bytes(), b"}").await?)?;
                polls.ask(post(&sid, "40").as_bytes(), b"ok").await?;
                polls.ask(get(&sid).as_bytes(), b"\"}").await?;
                polls.say(get(&sid).as_bytes()).await?;
                let mut websocket = Line::new(open());
                let request = memory::upgrade_request(&format!("&sid={sid}"));
                websocket.ask(request.as_bytes(), b"\r\n\r\n").await?;
                websocket.ask(&text("2probe"), b"3probe").await?;
                polls.hear(b"6").await?;
                websocket.say(&text("5")).await?;
                (vec![polls], websocket)
            }
        };
        websocket.ask(&memory::close(), &[0x88, 0]).await?;
        lines.push(websocket);
        Ok(lines)
    }
}

/// A connection, with a record of its requests: the length of each, and the answer.
struct Line {
    pipe: DuplexStream,
    said: Vec<(usize, Vec<u8>)>,
}

impl Line {
    fn new(pipe: DuplexStream) -> Self {
        let said = Vec::new();
        Self { pipe, said }
    }

    async fn ask(&mut self, ask: &[u8], end: &[u8]) -> io::Result<Vec<u8>> {
        self.say(ask).await?;
        self.hear(end).await
    }

    async fn say(&mut self, ask: &[u8]) -> io::Result<()> {
        self.said.push((ask.len(), Vec::new()));
        self.pipe.write_all(ask).await
    }

    async fn hear(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        let heard = read_until(&mut self.pipe, end).await?;
        if let Some((_, answer)) = self.said.last_mut() {
            answer.extend_from_slice(&heard);
        }
        Ok(heard)
    }
}

/// Replays the recorded answers.
async fn repeat(mut pipe: DuplexStream, said: Vec<(usize, Vec<u8>)>) -> io::Result<()> {
    let mut read = Vec::new();
    for (ask, answer) in said {
        read.resize(ask, 0);
        pipe.read_exact(&mut read).await?;
        pipe.write_all(&answer).await?;
    }
    Ok(())
}
