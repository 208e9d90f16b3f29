//! The heartbeat: the server pings, and disconnects clients that do not answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_socketio::{Data, Limits, Namespace, Reply, SocketIo, SocketIoBuilder, Timeouts};
use proto::websocket::{Opcode, WebSocketEvent, masked_frame};
use tokio::sync::Semaphore;

use crate::support::{
    Clock, Http, Polling, Reasons, Server, Ws, block, current_thread, echo, serve, settle, start,
    threads,
};

const INTERVAL: Duration = Duration::from_secs(25);
const TIMEOUT: Duration = Duration::from_secs(20);

/// Sets a short interval and a long timeout, so that a test that answers is never too late.
fn patient(io: SocketIoBuilder) -> SocketIoBuilder {
    io.timeouts(
        Timeouts::new()
            .ping_interval(Duration::from_millis(30))
            .ping_timeout(Duration::from_secs(30)),
    )
}

/// Sets a short interval, and a timeout that is just long enough for a client to poll again.
fn impatient(io: SocketIoBuilder) -> SocketIoBuilder {
    io.timeouts(
        Timeouts::new()
            .ping_interval(Duration::from_millis(100))
            .ping_timeout(Duration::from_millis(600)),
    )
}

#[tokio::test]
async fn a_websocket_client_that_answers_is_asked_again() {
    let (server, _io, mut reasons) = start(patient).await;
    let mut ws = Ws::joined(server.addr).await;
    for _ in 0..5 {
        assert_eq!(ws.text().await, "2");
        ws.send("3").await;
    }
    reasons.none();
}

#[tokio::test]
async fn a_polling_client_that_answers_is_asked_again() {
    let (server, _io, mut reasons) = start(patient).await;
    let mut client = Polling::joined(server.addr).await;
    for _ in 0..5 {
        assert_eq!(client.poll().await, "2");
        client.send("3").await;
    }
    reasons.none();
}

#[tokio::test]
async fn a_websocket_client_that_does_not_answer_is_closed() {
    let (server, io, mut reasons) = start(impatient).await;
    let mut ws = Ws::joined(server.addr).await;
    let ended = ws.ended().await;
    assert!(!ended.texts.is_empty() && ended.texts.iter().all(|text| text == "2"));
    assert_eq!(ended.close, Some(None));
    assert_eq!(reasons.next().await, "ping timeout");
    assert_eq!(io.client_count(), 0);
}

#[tokio::test]
async fn a_polling_client_that_does_not_answer_is_closed() {
    let (server, io, mut reasons) = start(impatient).await;
    let mut client = Polling::joined(server.addr).await;
    assert_eq!(client.poll().await, "2");
    assert_eq!(client.poll_but_pings().await, "1");
    assert_eq!(reasons.next().await, "ping timeout");
    client.gone().await;
    assert_eq!(io.client_count(), 0);
}

#[tokio::test]
async fn a_client_that_stopped_polling_is_closed() {
    let (server, io, mut reasons) = start(impatient).await;
    let client = Polling::joined(server.addr).await;
    assert_eq!(reasons.next().await, "ping timeout");
    client.gone().await;
    assert_eq!(io.client_count(), 0);
}

#[tokio::test]
async fn one_answer_does_not_count_for_ever() {
    let (server, _io, mut reasons) = start(impatient).await;
    let mut ws = Ws::joined(server.addr).await;
    assert_eq!(ws.text().await, "2");
    ws.send("3").await;
    assert_eq!(ws.text().await, "2");
    ws.ended().await;
    assert_eq!(reasons.next().await, "ping timeout");
}

#[tokio::test]
async fn an_event_instead_of_the_answer_buys_one_more_timeout_and_no_second() {
    let (server, _io, mut reasons) = start(|io| io).await;
    let clock = Clock::stop();
    let mut ws = Ws::joined(server.addr).await;
    clock.advance(INTERVAL).await;
    assert_eq!(ws.text().await, "2");
    clock.advance(TIMEOUT / 2).await;
    ws.alive().await;
    // Without that event, the session would time out here.
    clock.advance(TIMEOUT * 3 / 4).await;
    ws.send(r#"421["echo","second"]"#).await;
    let mut texts = [ws.text().await, ws.text().await];
    texts.sort();
    assert_eq!(texts, ["2", r#"431["second"]"#]);
    reasons.none();
    // The second event does not extend the timeout again.
    clock.advance(TIMEOUT / 4).await;
    ws.send(r#"421["echo","third"]"#).await;
    assert_eq!(ws.event().await, Some(WebSocketEvent::Close(None)));
    assert_eq!(reasons.next().await, "ping timeout");
}

#[tokio::test]
async fn an_event_instead_of_the_answer_counts_over_polling_too() {
    let (server, _io, mut reasons) = start(|io| io).await;
    let clock = Clock::stop();
    let mut client = Polling::joined(server.addr).await;
    clock.advance(INTERVAL).await;
    assert_eq!(client.poll().await, "2");
    clock.advance(TIMEOUT / 2).await;
    client.send(r#"421["echo",1]"#).await;
    clock.advance(TIMEOUT * 3 / 4).await;
    client.send(r#"422["echo",2]"#).await;
    client.expect(&["431[1]", "432[2]", "2"]).await;
    reasons.none();
    clock.advance(TIMEOUT / 4).await;
    assert_eq!(client.post("6").await.status, 400);
    assert_eq!(reasons.next().await, "ping timeout");
}

/// A pong cannot overtake the rest of a message.
#[tokio::test]
async fn a_message_that_comes_slowly_shows_life_as_long_as_more_of_it_comes() {
    let (server, _io, mut reasons) =
        start(|io| io.timeouts(Timeouts::new().message_timeout(8 * TIMEOUT))).await;
    let clock = Clock::stop();
    let mut ws = Ws::joined(server.addr).await;
    let event = format!(r#"421["echo","{}"]"#, "x".repeat(100));
    for (at, piece) in event.as_bytes().chunks(20).enumerate() {
        let (first, last) = (at == 0, (at + 1) * 20 >= event.len());
        send_piece(&mut ws, piece, first, last).await;
        clock.advance(TIMEOUT * 3 / 4).await;
    }
    let mut texts = Vec::new();
    while texts.last().is_none_or(|text| text == "2") {
        texts.push(ws.text().await);
    }
    assert!(texts.pop().unwrap().starts_with(r#"431["xxx"#));
    assert!(texts.len() > 1, "pings have gone on: {texts:?}");
    // One pong answers all pings.
    ws.send("3").await;
    assert_eq!(ws.text().await, "2", "a late pong is followed by a ping");
    ws.send("3").await;
    ws.alive().await;
    reasons.none();

    send_piece(&mut ws, b"421", true, false).await;
    clock.advance(INTERVAL).await;
    assert_eq!(ws.text().await, "2");
    clock.advance(TIMEOUT).await;
    assert_eq!(
        ws.event().await,
        Some(WebSocketEvent::Close(None)),
        "nothing more has come"
    );
    assert_eq!(reasons.next().await, "ping timeout");
}

/// Sends a part of a message, and waits until it has been read.
async fn send_piece(ws: &mut Ws, piece: &[u8], first: bool, last: bool) {
    let opcode = if first {
        Opcode::Text
    } else {
        Opcode::Continuation
    };
    let mut frame = masked_frame(opcode, piece, [1, 2, 3, 4]).to_vec();
    frame[0] = if last { 0x80 } else { 0 } | frame[0] & 0x0f;
    ws.send_raw(&frame).await;
    ws.is_read().await;
}

#[tokio::test]
async fn a_body_that_comes_slowly_shows_life_too() {
    let (server, _io, mut reasons) =
        start(|io| io.timeouts(Timeouts::new().body_timeout(8 * TIMEOUT))).await;
    let clock = Clock::stop();
    let mut client = Polling::joined(server.addr).await;
    let mut post = Http::open(server.addr).await;
    let event = format!(r#"421["echo","{}"]"#, "x".repeat(40_000));
    let length = event.len().to_string();
    let headers = [("Content-Length", length.as_str())];
    post.begin("POST", &client.target(), &headers, b"").await;
    for piece in event.as_bytes().chunks(5_000) {
        post.send(piece).await;
        settle().await;
        clock.advance(TIMEOUT * 3 / 4).await;
    }
    assert_eq!(post.answer(false).await.text(), "ok");
    client.send("3").await;
    let answers = client.poll().await;
    assert!(answers.contains(r#"431["xxx"#), "{answers}");
    reasons.none();
}

#[tokio::test]
async fn an_answer_counts_until_the_timeout() {
    const MOMENT: Duration = Duration::from_secs(1);

    let (server, _io, mut reasons) = start(|io| io).await;
    let clock = Clock::stop();
    let (mut early, mut late) = (Ws::joined(server.addr).await, Ws::joined(server.addr).await);
    clock.advance(INTERVAL).await;
    for client in [&mut early, &mut late] {
        assert_eq!(client.text().await, "2");
    }
    clock.advance(TIMEOUT - MOMENT).await;
    reasons.none();
    early.send("3").await;
    early.alive().await;
    clock.advance(MOMENT).await;
    late.send(r#"421["echo","too late"]"#).await;
    assert_eq!(late.event().await, Some(WebSocketEvent::Close(None)));
    assert_eq!(reasons.next().await, "ping timeout");
    // The next ping is due one interval after the previous one, however late the pong was.
    clock.advance(INTERVAL - TIMEOUT).await;
    assert_eq!(early.text().await, "2");
    reasons.none();
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_does_no_harm() {
    let (server, ..) = start(|io| io).await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send_all(&["3", "3abc", "3"]).await;
    ws.alive().await;
}

#[tokio::test]
async fn a_websocket_client_that_pings_is_closed() {
    let (server, _io, mut reasons) = start(|io| io).await;
    for ping in ["2", "2probe"] {
        let mut ws = Ws::joined(server.addr).await;
        ws.send(ping).await;
        let ended = ws.ended().await;
        assert_eq!((ended.texts, ended.close), (vec![], Some(None)));
        assert_eq!(reasons.next().await, "transport error");
    }
}

#[tokio::test]
async fn a_polling_client_that_pings_is_closed() {
    let (server, _io, mut reasons) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    client.begin_poll(&server).await;
    client.send("2").await;
    assert_eq!(client.end_poll().await.brief(), (200, "1"));
    assert_eq!(reasons.next().await, "transport error");
    client.gone().await;
}

/// Starts a server that pauses reading when one event waits for handlers of `wait`, which end when the semaphore
/// permits it.
async fn pausing(
    set: impl FnOnce(SocketIoBuilder) -> SocketIoBuilder,
) -> (Server, Arc<Semaphore>, Reasons) {
    let (namespace, reasons) = echo();
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let wait = move |Data(n): Data<u32>| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.unwrap().forget();
            Reply(n)
        }
    };
    let slow = Namespace::new().max_pending(1).on("wait", wait);
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .namespace("/slow", slow)
        .limits(Limits::new().max_queued_bytes(1));
    let io = set(io).build();
    (serve(Router::new().layer(io.layer())).await, go, reasons)
}

/// Two events, of which the second pauses reading.
const TWO_EVENTS: [&str; 2] = [r#"42/slow,0["wait",0]"#, r#"42/slow,1["wait",1]"#];

#[tokio::test]
async fn pings_go_on_while_reading_is_paused_and_whoever_takes_them_stays() {
    let (server, go, mut reasons) = pausing(|io| io).await;
    let clock = Clock::stop();
    let mut ws = Ws::joined(server.addr).await;
    ws.join("/slow").await;
    ws.send_all(&TWO_EVENTS).await;
    for _ in 0..10 {
        clock.advance(INTERVAL).await;
        assert_eq!(ws.text().await, "2");
        ws.send("3").await;
    }
    reasons.none();
    go.add_permits(2);
    for n in 0..2 {
        assert_eq!(ws.text_but_pings().await, format!("43/slow,{n}[{n}]"));
    }
    ws.alive().await;
}

/// Returns a client whose POST has events for which the server pauses the reading.
async fn paused_over_polling(server: &Server) -> Polling {
    let mut client = Polling::joined(server.addr).await;
    client.send("40/slow,").await;
    client.poll().await;
    let body = [TWO_EVENTS[0], TWO_EVENTS[1], "3"].join("\x1e");
    client.begin_post(server, body.len(), body.as_bytes()).await;
    client
}

#[tokio::test]
async fn pings_go_on_while_reading_is_paused_over_polling_too() {
    let (server, go, mut reasons) = pausing(|io| io).await;
    let clock = Clock::stop();
    let mut client = paused_over_polling(&server).await;
    for _ in 0..10 {
        clock.advance(INTERVAL).await;
        assert_eq!(client.poll().await, "2");
    }
    reasons.none();
    go.add_permits(2);
    let answers = client.poll_but_pings().await;
    assert!(answers.starts_with("43/slow,0[0]"), "{answers}");
    assert_eq!(client.end_post().await.brief(), (200, "ok"));
}

#[tokio::test]
async fn a_client_that_takes_no_ping_while_reading_is_paused_is_slow() {
    let (server, _go, mut reasons) = pausing(|io| io).await;
    let clock = Clock::stop();
    let client = paused_over_polling(&server).await;
    clock.advance(INTERVAL).await;
    // The connection's task reaches the time for a ping.
    settle().await;
    reasons.none();
    clock.advance(TIMEOUT).await;
    assert_eq!(reasons.next().await, "slow client");
    client.gone().await;
}

#[tokio::test]
async fn a_pong_that_no_ping_can_have_caused_does_not_count() {
    let (server, _io, mut reasons) = start(|io| io).await;
    let clock = Clock::stop();
    let mut client = Polling::joined(server.addr).await;
    clock.advance(INTERVAL).await;
    client.send("3").await;
    clock.advance(TIMEOUT).await;
    assert_eq!(reasons.next().await, "ping timeout");
    client.gone().await;
}

#[tokio::test]
async fn a_request_that_arrives_just_after_the_deadline_is_refused() {
    const MOMENT: Duration = Duration::from_micros(1);

    let (server, _io, mut reasons) = start(|io| io).await;
    let _clock = Clock::stop();
    let mut clients = [
        Polling::joined(server.addr).await,
        Polling::joined(server.addr).await,
        Polling::joined(server.addr).await,
    ];
    tokio::time::advance(INTERVAL + MOMENT).await;
    for client in &mut clients {
        assert_eq!(client.poll().await, "2");
    }
    tokio::time::advance(TIMEOUT).await;
    let [polls, posts, upgrades] = &mut clients;
    assert_eq!(polls.get().await.status, 400);
    assert_eq!(posts.post("3").await.status, 400);
    let upgrade = Ws::upgrade(server.addr, &upgrades.sid).await;
    match upgrade {
        Ok(mut probe) => assert_eq!(probe.event().await, Some(WebSocketEvent::Close(None))),
        Err(answer) => assert_eq!(answer.status, 400),
    }
    for _ in clients {
        assert_eq!(reasons.next().await, "ping timeout");
    }
}

#[tokio::test]
async fn a_request_that_arrives_just_before_the_deadline_is_taken() {
    const MOMENT: Duration = Duration::from_micros(1);

    let (server, _io, mut reasons) = start(|io| io).await;
    let _clock = Clock::stop();
    let mut client = Polling::joined(server.addr).await;
    tokio::time::advance(INTERVAL + MOMENT).await;
    assert_eq!(client.poll().await, "2");
    tokio::time::advance(TIMEOUT - 2 * MOMENT).await;
    client.send("3").await;
    tokio::time::advance(MOMENT * 4).await;
    client.send(r#"421["echo",1]"#).await;
    assert_eq!(client.poll().await, "431[1]");
    reasons.none();
}

/// Pings soon. A busy machine has a second to answer, and a blocked server is late for it.
fn in_real_time(io: SocketIoBuilder) -> SocketIoBuilder {
    io.timeouts(
        Timeouts::new()
            .ping_interval(Duration::from_millis(300))
            .ping_timeout(Duration::from_secs(1)),
    )
}

/// Longer than the interval and the timeout of [`in_real_time`] together.
const BLOCKED: Duration = Duration::from_millis(1600);

/// A blocked server has not read what its clients have sent: it is still in the kernel, and in the tasks of their HTTP
/// connections.
#[test]
fn a_server_whose_threads_were_blocked_keeps_its_clients() {
    for count in [1, 2] {
        let runtime = threads(count);
        let (server, _io, mut reasons) = runtime
            .block_on(runtime.spawn(start(in_real_time)))
            .unwrap();
        current_thread().block_on(async {
            let mut polling = Polling::joined(server.addr).await;
            let mut ws = Ws::joined(server.addr).await;
            assert_eq!(polling.poll().await, "2");
            assert_eq!(ws.text().await, "2");
            for _ in 0..count {
                block(runtime.handle(), BLOCKED);
            }
            ws.send("3").await;
            polling.send("3").await;
            assert_eq!(polling.poll().await, "2");
            assert_eq!(ws.text().await, "2");
            reasons.none();
        });
        drop(server);
        runtime.shutdown_background();
    }
}

/// The server is late, and has much to read before the pong.
#[test]
fn a_pong_behind_much_else_that_a_blocked_server_has_not_read_is_in_time() {
    const EVENTS: usize = 5000;

    let runtime = threads(1);
    let (server, _io, mut reasons) = runtime
        .block_on(runtime.spawn(start(in_real_time)))
        .unwrap();
    current_thread().block_on(async {
        let mut ws = Ws::joined(server.addr).await;
        assert_eq!(ws.text().await, "2");
        // The event extends the wait for the pong, once.
        ws.alive().await;
        block(runtime.handle(), BLOCKED);
        ws.send_all(&[r#"42["unheard"]"#; EVENTS]).await;
        ws.send("3").await;
        assert_eq!(ws.text().await, "2");
        reasons.none();
    });
    drop(server);
    runtime.shutdown_background();
}

/// The rest of a message, or of a body, could not arrive while nobody read.
#[test]
fn a_blocked_server_gives_messages_and_bodies_the_time_that_it_has_taken() {
    const BLOCKED: Duration = Duration::from_secs(3);

    let patient = |io: SocketIoBuilder| {
        io.timeouts(
            Timeouts::new()
                .message_timeout(Duration::from_secs(1))
                .body_timeout(Duration::from_secs(1)),
        )
    };
    for count in [1, 2] {
        let runtime = threads(count);
        let (server, io, mut reasons) = runtime.block_on(runtime.spawn(start(patient))).unwrap();
        current_thread().block_on(async {
            let mut polling = Polling::joined(server.addr).await;
            polling.begin_post(&server, 13, b"421[\"ec").await;
            let mut ws = Ws::joined(server.addr).await;
            let message = masked_frame(Opcode::Text, br#"421["echo",1]"#, [1, 2, 3, 4]);
            let (begin, rest) = message.split_at(8);
            ws.send_raw(begin).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            for _ in 0..count {
                block(runtime.handle(), BLOCKED);
            }
            tokio::time::sleep(BLOCKED + Duration::from_millis(100)).await;
            ws.send_raw(rest).await;
            assert_eq!(ws.text().await, "431[1]");
            polling.continue_post(b"ho\",2]").await;
            assert_eq!(polling.end_post().await.status, 200);
            assert_eq!(polling.poll().await, "431[2]");
            reasons.none();
            assert_eq!(io.client_count(), 2);
        });
        drop(server);
        runtime.shutdown_background();
    }
}
