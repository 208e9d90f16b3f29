//! Clients that send too slowly, and clients that do not read.

use std::future::Future;
use std::time::Duration;

use axum::Router;
use axum_socketio::{
    DisconnectReason, Limits, Namespace, Socket, SocketIo, SocketIoBuilder, Timeouts,
};
use proto::websocket::{Opcode, WebSocketEvent, masked_frame};
use tokio::sync::mpsc;

use crate::support::{
    Clock, Http, Polling, Server, Ws, block, current_thread, echo, next, serve, settle, start,
    within,
};

const SECOND: Duration = Duration::from_secs(1);
const MASK: [u8; 4] = [1, 2, 3, 4];

#[tokio::test]
async fn a_body_that_takes_too_long_is_answered_408_and_ends_its_session() {
    let (server, io, mut reasons) = start(|io| io).await;
    let clock = Clock::stop();
    let cases: [(&[(&str, &str)], &[u8], &[u8]); 3] = [
        (&[("Content-Length", "100")], b"", b""),
        (&[("Content-Length", "100000")], b"42[", b"x"),
        (&[("Transfer-Encoding", "chunked")], b"", b"1\r\nx\r\n"),
    ];
    for (headers, begin, more) in cases {
        let client = Polling::joined(server.addr).await;
        let mut post = Http::open(server.addr).await;
        let before = server.begun();
        post.begin("POST", &client.target(), headers, begin).await;
        server.arrived(before).await;
        for _ in 0..29 {
            settle().await;
            clock.advance(SECOND).await;
            post.send(more).await;
        }
        assert_eq!(io.client_count(), 1, "{headers:?}");
        clock.advance(SECOND).await;
        let answer = post.answer(false).await;
        assert_eq!(answer.brief(), (408, ""));
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(reasons.next().await, "transport error");
        client.gone().await;
    }
    assert_eq!(io.metrics().input_timeouts["body"], 3);
}

#[tokio::test]
async fn a_late_body_ends_a_closing_session_or_one_without_namespace() {
    let (server, io, mut reasons) =
        start(|io| io.timeouts(Timeouts::new().body_timeout(5 * SECOND))).await;
    let clock = Clock::stop();
    let mut fresh = Polling::open(server.addr).await;
    fresh.begin_post(&server, 10, b"40").await;
    let mut closing = Polling::joined(server.addr).await;
    closing.begin_post(&server, 10, b"42").await;
    io.emit("last", ());
    io.of("/").disconnect_all();
    assert_eq!(reasons.next().await, "server namespace disconnect");
    clock.advance(5 * SECOND).await;
    for client in [&mut fresh, &mut closing] {
        assert_eq!(client.end_post().await.status, 408);
        client.gone().await;
    }
}

#[tokio::test]
async fn a_body_in_time_is_not_late_however_many_there_are() {
    let (server, io, mut reasons) = start(|io| io).await;
    let clock = Clock::stop();
    let mut client = Polling::joined(server.addr).await;
    for n in 0..4 {
        let event = format!(r#"42{n}["echo",{n}]"#);
        let mut post = Http::open(server.addr).await;
        let length = event.len().to_string();
        let headers = [("Content-Length", length.as_str())];
        let before = server.begun();
        post.begin("POST", &client.target(), &headers, &event.as_bytes()[..4])
            .await;
        server.arrived(before).await;
        clock.advance(20 * SECOND).await;
        post.send(&event.as_bytes()[4..]).await;
        assert_eq!(post.answer(false).await.brief(), (200, "ok"));
        client.send("3").await;
        let answer = client.poll().await;
        assert!(answer.contains(&format!("43{n}[{n}]")), "{answer}");
    }
    reasons.none();
    assert_eq!(io.metrics().input_timeouts["body"], 0);
}

/// Creates a frame that is not the last of its message.
fn fragment(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut frame = masked_frame(opcode, payload, MASK).to_vec();
    frame[0] &= 0x7f;
    frame
}

#[tokio::test]
async fn a_message_that_never_ends_ends_its_connection() {
    let whole = masked_frame(Opcode::Text, &[b'x'; 1_000], MASK);
    let fragments = fragment(Opcode::Text, b"42[");
    let ping = masked_frame(Opcode::Ping, b"alive?", MASK);
    // The first bytes, and the bytes that are sent every ten seconds.
    let cases: [(&[u8], &[u8]); 6] = [
        (&whole[..50], &whole[50..51]),
        (&whole[..50], b""),
        (&whole[..1], b""),
        (&ping[..7], b""),
        (&fragments, &fragment(Opcode::Continuation, b"x")),
        (&fragments, &ping),
    ];
    for (case, (begin, more)) in cases.into_iter().enumerate() {
        let (server, io, mut reasons) =
            start(|io| io.timeouts(Timeouts::new().ping_interval(3_600 * SECOND))).await;
        let clock = Clock::stop();
        let mut other = Ws::joined(server.addr).await;
        let mut ws = Ws::joined(server.addr).await;
        ws.send_raw(begin).await;
        for _ in 0..6 {
            settle().await;
            clock.advance(10 * SECOND).await;
            ws.send_raw(more).await;
            other.alive().await;
        }
        settle().await;
        assert_eq!(io.client_count(), 2, "case {case}");
        clock.advance(3 * SECOND).await;
        let close = loop {
            match ws.event().await {
                Some(WebSocketEvent::Pong(_)) => {}
                other => break other,
            }
        };
        let Some(WebSocketEvent::Close(Some(close))) = close else {
            panic!("case {case}: {close:?}");
        };
        assert_eq!(close.code.get(), 1008);
        assert_eq!(close.reason, "message takes too long");
        assert_eq!(reasons.next().await, "transport error");
        assert_eq!(io.metrics().input_timeouts["message"], 1);
        other.alive().await;
        reasons.none();
        tokio::time::resume();
    }
}

#[tokio::test]
async fn messages_that_follow_each_other_closely_have_each_their_own_time() {
    let (server, _io, mut reasons) =
        start(|io| io.timeouts(Timeouts::new().ping_interval(3_600 * SECOND))).await;
    let clock = Clock::stop();
    let mut ws = Ws::joined(server.addr).await;
    let frames: Vec<u8> = (0..10)
        .flat_map(|n| {
            let event = format!(r#"42{n}["echo",{n}]"#);
            [
                masked_frame(Opcode::Text, event.as_bytes(), MASK),
                masked_frame(Opcode::Ping, b"ping", MASK),
            ]
            .concat()
        })
        .collect();
    // Each write ends some bytes after the end of a frame.
    let (first, rest) = frames.split_at(5);
    ws.send_raw(first).await;
    let each = frames.len() / 10;
    for piece in rest.chunks(each) {
        settle().await;
        clock.advance(50 * SECOND).await;
        ws.send_raw(piece).await;
    }
    let mut answers = 0;
    while answers < 10 {
        match ws.event().await {
            Some(WebSocketEvent::Text(text)) => {
                assert_eq!(text, format!("43{answers}[{answers}]"));
                answers += 1;
            }
            Some(WebSocketEvent::Pong(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    reasons.none();
}

#[tokio::test]
async fn a_message_has_time_for_as_long_as_the_option_says() {
    let (server, _io, mut reasons) =
        start(|io| io.timeouts(Timeouts::new().message_timeout(5 * SECOND))).await;
    let clock = Clock::stop();
    let mut ws = Ws::joined(server.addr).await;
    let event = masked_frame(Opcode::Text, br#"421["echo",1]"#, MASK);
    ws.send_raw(&event[..9]).await;
    settle().await;
    clock.advance(4 * SECOND).await;
    ws.send_raw(&event[9..]).await;
    assert_eq!(ws.text().await, "431[1]");
    ws.send_raw(&event[..9]).await;
    settle().await;
    clock.advance(5 * SECOND).await;
    assert_eq!(ws.ended().await.close, Some(Some(1008)));
    assert_eq!(reasons.next().await, "transport error");
}

#[tokio::test]
async fn the_time_of_a_message_stands_still_while_the_server_does_not_read() {
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let wait = std::sync::Arc::new(tokio::sync::Mutex::new(Some(wait)));
    let namespace = Namespace::new().max_pending(1).on("wait", move || {
        let wait = wait.clone();
        async move {
            let first = wait.lock().await.take();
            if let Some(wait) = first {
                let _ = wait.await;
            }
        }
    });
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .limits(Limits::new().max_queued_bytes(1))
        .timeouts(Timeouts::new().message_timeout(5 * SECOND))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let clock = Clock::stop();
    let mut ws = Ws::joined(server.addr).await;
    let last = masked_frame(Opcode::Text, br#"422["wait"]"#, MASK);
    let frames = [
        masked_frame(Opcode::Text, br#"420["wait"]"#, MASK),
        masked_frame(Opcode::Text, br#"421["wait"]"#, MASK),
        last.slice(..9),
    ];
    ws.send_raw(&frames.concat()).await;
    settle().await;
    clock.advance(10 * SECOND).await;
    go.send(()).unwrap();
    assert_eq!(ws.text().await, "430[]");
    assert_eq!(ws.text().await, "431[]");
    settle().await;
    clock.advance(4 * SECOND).await;
    ws.send_raw(&last[9..]).await;
    assert_eq!(ws.text().await, "432[]");
}

/// Starts a server with the options that `set` sets and an echo in `/other`. It sends out the sockets of `/` and the
/// reasons of their disconnects.
async fn sockets(
    set: impl FnOnce(SocketIoBuilder) -> SocketIoBuilder,
) -> (
    Server,
    SocketIo,
    mpsc::UnboundedReceiver<Socket>,
    mpsc::UnboundedReceiver<DisconnectReason>,
) {
    let (sender, sockets) = mpsc::unbounded_channel();
    let (ends, ended) = mpsc::unbounded_channel();
    let namespace = Namespace::new()
        .on_connect(move |socket: Socket| {
            let _ = sender.send(socket);
            std::future::ready(())
        })
        .on_disconnect(move |reason: DisconnectReason| {
            let _ = ends.send(reason);
            std::future::ready(())
        });
    let builder = SocketIo::builder().namespace("/", namespace);
    let io = set(builder.namespace("/other", echo().0)).build();
    let server = serve(Router::new().layer(io.layer())).await;
    (server, io, sockets, ended)
}

/// A client that reads and answers, and is served whatever others do.
async fn other(server: &Server) -> Ws {
    let mut other = Ws::open(server.addr).await;
    other.join("/other").await;
    other
}

/// Emits until the system accepts no more bytes, and some megabytes remain in the outbox.
async fn fill(socket: &Socket) {
    let data = "x".repeat(100_000);
    while socket.queued().bytes < 12_000_000 {
        assert!(socket.emit("data", &data).ok());
        tokio::task::yield_now().await;
    }
    settle().await;
}

#[tokio::test]
async fn a_websocket_client_that_answers_pings_and_reads_nothing_is_closed() {
    let (server, io, mut opened, mut ended) =
        sockets(|io| io.limits(Limits::new().max_outbox_bytes(64_000_000))).await;
    let clock = Clock::stop();
    let mut other = other(&server).await;
    let mut ws = Ws::joined(server.addr).await;
    let socket = next(&mut opened).await;
    fill(&socket).await;
    for _ in 0..4 {
        ws.send("3").await;
        settle().await;
        clock.advance(11 * SECOND).await;
        other.alive_in("/other").await;
    }
    settle().await;
    assert!(ended.try_recv().is_err(), "not before 45 s");
    assert!(socket.queued().bytes > 0);
    ws.send("3").await;
    settle().await;
    clock.advance(2 * SECOND).await;
    assert_eq!(next(&mut ended).await.as_str(), "slow client");
    assert_eq!(io.metrics().connections_closed["slow client"], 1);
    other.alive_in("/other").await;
}

#[tokio::test]
async fn a_websocket_client_that_reads_a_little_now_and_then_is_not_closed() {
    let (server, _io, mut opened, mut ended) =
        sockets(|io| io.limits(Limits::new().max_outbox_bytes(64_000_000))).await;
    let clock = Clock::stop();
    let mut other = other(&server).await;
    let mut ws = Ws::joined_narrow(server.addr).await;
    let socket = next(&mut opened).await;
    fill(&socket).await;
    for _ in 0..5 {
        // The amount is too small for the system to report that the connection is writable.
        ws.skip(200_000).await;
        ws.send("3").await;
        for _ in 0..4 {
            settle().await;
            clock.advance(10 * SECOND).await;
            other.alive_in("/other").await;
            ws.send("3").await;
        }
    }
    settle().await;
    assert!(ended.try_recv().is_err());
    // The client no longer reads.
    let mut reason = None;
    for _ in 0..10 {
        ws.send("3").await;
        settle().await;
        clock.advance(10 * SECOND).await;
        other.alive_in("/other").await;
        settle().await;
        reason = reason.or_else(|| ended.try_recv().ok());
        if reason.is_some() {
            break;
        }
    }
    assert_eq!(reason, Some(DisconnectReason::SlowClient));
    other.alive_in("/other").await;
}

#[tokio::test]
async fn a_polling_client_that_answers_pings_and_does_not_poll_is_closed() {
    let (server, io, mut opened, mut ended) = sockets(|io| io).await;
    let clock = Clock::stop();
    let mut other = other(&server).await;
    let mut client = Polling::joined(server.addr).await;
    let socket = next(&mut opened).await;
    // While the queue is empty, the client misses only pings, so an event is queued.
    socket.emit("news", ());
    for _ in 0..4 {
        client.send("3").await;
        clock.advance(11 * SECOND).await;
        other.alive_in("/other").await;
    }
    client.send("3").await;
    assert!(ended.try_recv().is_err(), "not before 45 s");
    clock.advance(2 * SECOND).await;
    assert_eq!(next(&mut ended).await.as_str(), "slow client");
    assert_eq!(io.metrics().connections_closed["slow client"], 1);
    client.gone().await;
    other.alive_in("/other").await;
}

#[tokio::test]
async fn the_time_to_take_something_is_an_option_and_each_poll_begins_it_anew() {
    let (server, io, mut opened, mut ended) = sockets(|io| {
        io.timeouts(Timeouts::new().stall_timeout(10 * SECOND))
            .limits(Limits::new().max_poll_packets(1))
            .timeouts(Timeouts::new().ping_interval(3_600 * SECOND))
    })
    .await;
    let clock = Clock::stop();
    let mut client = Polling::joined(server.addr).await;
    let _socket = next(&mut opened).await;
    for n in 0..4 {
        io.emit("n", n);
    }
    for n in 0..3 {
        clock.advance(9 * SECOND).await;
        assert_eq!(client.poll().await, format!(r#"42["n",{n}]"#));
    }
    assert!(ended.try_recv().is_err());
    clock.advance(10 * SECOND).await;
    assert_eq!(next(&mut ended).await.as_str(), "slow client");
}

#[tokio::test]
async fn answers_to_polls_that_are_not_read_count_against_the_outbox() {
    let (server, _io, mut opened, mut ended) = sockets(|io| io).await;
    let clock = Clock::stop();
    let mut other = other(&server).await;
    let mut client = Polling::joined(server.addr).await;
    let socket = next(&mut opened).await;
    let data = "x".repeat(1_000_000);
    let mut unread = Vec::new();
    let mut full = false;
    for _ in 0..8 {
        let before = server.begun();
        let mut get = Http::open_narrow(server.addr).await;
        get.begin("GET", &client.target(), &[], b"").await;
        server.arrived(before).await;
        unread.push(get);
        for _ in 0..15 {
            full |= !socket.emit("data", &data).ok();
        }
        settle().await;
    }
    assert!(full);
    let queued = socket.queued().bytes;
    assert!((1_000_000..=16 * 1024 * 1024).contains(&queued), "{queued}");
    for _ in 0..4 {
        client.send("3").await;
        clock.advance(11 * SECOND).await;
        other.alive_in("/other").await;
    }
    assert!(ended.try_recv().is_err());
    client.send("3").await;
    clock.advance(2 * SECOND).await;
    assert_eq!(next(&mut ended).await.as_str(), "slow client");
    other.alive_in("/other").await;
}

#[tokio::test]
async fn a_large_answer_that_is_read_frees_the_outbox() {
    let (server, _io, mut opened, mut ended) = sockets(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    let socket = next(&mut opened).await;
    let data = "x".repeat(1_000_000);
    for _ in 0..5 {
        for _ in 0..15 {
            assert!(socket.emit("data", &data).ok());
        }
        assert_eq!(client.poll().await.split('\x1e').count(), 15);
        within("room", socket.flushed()).await;
    }
    assert_eq!(socket.queued().packets, 0);
    assert!(ended.try_recv().is_err());
}

/// Emits twice as many events as an outbox holds.
fn overflow(socket: &Socket) -> usize {
    let emitted = (0..20).filter(|n| socket.emit("n", n).ok());
    emitted.count()
}

/// A client that receives the first ten events of an overflow.
trait Drain {
    fn drain(&mut self) -> impl Future<Output = ()>;
}

impl Drain for Ws {
    async fn drain(&mut self) {
        for n in 0..10 {
            assert_eq!(self.text().await, format!(r#"42["n",{n}]"#));
        }
    }
}

impl Drain for Polling {
    async fn drain(&mut self) {
        assert_eq!(self.poll().await.split('\x1e').count(), 10);
    }
}

async fn keeps_losing(client: &mut impl Drain, socket: Socket, clock: &Clock) {
    for _ in 0..10 {
        assert!(socket.connected());
        assert_eq!(overflow(&socket), 10);
        client.drain().await;
        settle().await;
        clock.advance(SECOND).await;
    }
    settle().await;
    assert!(!socket.connected());
}

async fn loses_once(client: &mut impl Drain, socket: Socket, clock: &Clock) {
    for _ in 0..3 {
        assert_eq!(overflow(&socket), 10);
        client.drain().await;
        settle().await;
        clock.advance(6 * SECOND).await;
    }
    settle().await;
    assert!(socket.connected());
}

#[tokio::test]
async fn a_client_whose_outbox_refuses_often_is_disconnected() {
    let (server, _io, mut opened, mut ended) =
        sockets(|io| io.limits(Limits::new().max_outbox_packets(10))).await;
    let clock = Clock::stop();
    let mut other = other(&server).await;
    let mut client = Polling::joined(server.addr).await;
    keeps_losing(&mut client, next(&mut opened).await, &clock).await;
    let mut client = Ws::joined(server.addr).await;
    keeps_losing(&mut client, next(&mut opened).await, &clock).await;
    other.alive_in("/other").await;
    for _ in 0..2 {
        assert_eq!(next(&mut ended).await.as_str(), "slow client");
    }
}

#[tokio::test]
async fn a_client_that_misses_events_of_a_burst_now_and_then_stays() {
    let (server, _io, mut opened, mut ended) =
        sockets(|io| io.limits(Limits::new().max_outbox_packets(10))).await;
    let clock = Clock::stop();
    let mut client = Polling::joined(server.addr).await;
    loses_once(&mut client, next(&mut opened).await, &clock).await;
    let mut client = Ws::joined(server.addr).await;
    loses_once(&mut client, next(&mut opened).await, &clock).await;
    assert!(ended.try_recv().is_err());
}

#[tokio::test]
async fn a_sender_that_waits_for_room_makes_nobody_slow_whose_client_reads() {
    let (server, _io, mut opened, mut ended) =
        sockets(|io| io.limits(Limits::new().max_outbox_packets(2))).await;
    let clock = Clock::stop();
    let mut client = Polling::joined(server.addr).await;
    let socket = next(&mut opened).await;
    let sending = tokio::spawn(async move {
        for n in 0..40 {
            socket.emit_when_writable("n", n).await.unwrap();
        }
    });
    let mut got = 0;
    while got < 40 {
        got += client
            .poll()
            .await
            .split('\x1e')
            .filter(|p| p.starts_with('4'))
            .count();
        clock.advance(SECOND).await;
    }
    within("the sender", sending).await.unwrap();
    assert!(ended.try_recv().is_err());
}

/// A server that can write again notices that the client has read meanwhile.
#[test]
fn a_blocked_server_thread_does_not_make_clients_slow() {
    let (told, tell) = std::sync::mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let thread = std::thread::spawn(move || {
        current_thread().block_on(async move {
            let limits = |io: SocketIoBuilder| {
                io.limits(Limits::new().max_outbox_bytes(1_000_000))
                    .timeouts(Timeouts::new().slow_client_timeout(Duration::from_millis(1500)))
            };
            let (server, _io, opened, ended) = sockets(limits).await;
            let runtime = tokio::runtime::Handle::current();
            told.send((server.addr, opened, ended, runtime)).unwrap();
            let _ = stopped.await;
            drop(server);
        });
    });
    let (addr, mut opened, mut ended, runtime) = tell.recv().unwrap();
    current_thread().block_on(async {
        let mut ws = Ws::joined(addr).await;
        let socket = next(&mut opened).await;
        let data = "x".repeat(50_000);
        let mut emitted = 0;
        while socket.emit("data", &data).ok() {
            emitted += 1;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        block(&runtime, Duration::from_secs(2));
        for _ in 0..emitted {
            assert!(ws.text().await.starts_with(r#"42["data","x"#));
        }
        assert!(ended.try_recv().is_err() && socket.connected());
    });
    drop(stop);
    thread.join().unwrap();
}
