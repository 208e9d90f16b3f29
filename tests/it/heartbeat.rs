//! The server pings, clients answer; who does not is gone.

use std::time::Duration;

use axum_socketio::SocketIoBuilder;
use axum_socketio::protocol::websocket::{Event, Opcode, masked_frame};

use crate::support::{Clock, Http, Polling, Ws, start};

const INTERVAL: Duration = Duration::from_secs(25);
const TIMEOUT: Duration = Duration::from_secs(20);

/// Pings soon, and waits long: a test that answers is never too late.
fn patient(io: SocketIoBuilder) -> SocketIoBuilder {
    io.ping_interval(Duration::from_millis(30))
        .ping_timeout(Duration::from_secs(30))
}

/// Pings soon, and waits long enough for a client to poll again, but no longer.
fn impatient(io: SocketIoBuilder) -> SocketIoBuilder {
    io.ping_interval(Duration::from_millis(100))
        .ping_timeout(Duration::from_millis(600))
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
    assert_eq!(ended.texts, ["2"]);
    assert_eq!(ended.close, Some(None));
    assert_eq!(reasons.next().await, "ping timeout");
    assert_eq!(io.client_count(), 0);
}

#[tokio::test]
async fn a_polling_client_that_does_not_answer_is_closed() {
    let (server, io, mut reasons) = start(impatient).await;
    let mut client = Polling::joined(server.addr).await;
    assert_eq!(client.poll().await, "2");
    assert_eq!(client.poll().await, "1");
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
    // Without that event it would be over now.
    clock.advance(TIMEOUT * 3 / 4).await;
    ws.alive().await;
    reasons.none();
    // But for that second one it is.
    clock.advance(TIMEOUT / 4).await;
    ws.send(r#"421["echo","third"]"#).await;
    assert_eq!(ws.event().await, Some(Event::Close(None)));
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
    client.expect(&["431[1]", "432[2]"]).await;
    reasons.none();
    clock.advance(TIMEOUT / 4).await;
    assert_eq!(client.post("6").await.status, 400);
    assert_eq!(reasons.next().await, "ping timeout");
}

/// The answer cannot overtake the rest of a message.
#[tokio::test]
async fn a_message_that_comes_slowly_shows_life_as_long_as_more_of_it_comes() {
    let (server, _io, mut reasons) = start(|io| io).await;
    let clock = Clock::stop();
    let mut ws = Ws::joined(server.addr).await;
    let event = format!(r#"421["echo","{}"]"#, "x".repeat(100));
    for (at, piece) in event.as_bytes().chunks(20).enumerate() {
        let (first, last) = (at == 0, (at + 1) * 20 >= event.len());
        send_piece(&mut ws, piece, first, last).await;
        clock.advance(TIMEOUT * 3 / 4).await;
    }
    assert_eq!(ws.text().await, "2");
    assert!(ws.text().await.starts_with(r#"431["xxx"#));
    ws.send("3").await;
    ws.alive().await;
    reasons.none();

    send_piece(&mut ws, b"421", true, false).await;
    clock.advance(INTERVAL).await;
    assert_eq!(ws.text().await, "2");
    clock.advance(TIMEOUT).await;
    assert_eq!(
        ws.event().await,
        Some(Event::Close(None)),
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
    frame.extend_from_slice(&masked_frame(Opcode::Ping, b"read?", [1, 2, 3, 4]));
    ws.send_raw(&frame).await;
    let mut texts = Vec::new();
    while let Some(event) = ws.event().await {
        match event {
            Event::Pong(_) => break,
            event => texts.push(event),
        }
    }
    ws.put_back(texts);
}

#[tokio::test]
async fn a_body_that_comes_slowly_shows_life_too() {
    let (server, _io, mut reasons) = start(|io| io).await;
    let clock = Clock::stop();
    let mut client = Polling::joined(server.addr).await;
    let mut post = Http::open(server.addr).await;
    let event = format!(r#"421["echo","{}"]"#, "x".repeat(40_000));
    let length = event.len().to_string();
    let headers = [("Content-Length", length.as_str())];
    post.begin("POST", &client.target(), &headers, b"").await;
    for piece in event.as_bytes().chunks(5_000) {
        post.send(piece).await;
        for _ in 0..500 {
            tokio::task::yield_now().await;
        }
        clock.advance(TIMEOUT * 3 / 4).await;
    }
    assert_eq!(post.answer(false).await.text(), "ok");
    client.send("3").await;
    let answers = client.poll().await;
    assert!(answers.contains(r#"431["xxx"#), "{answers}");
    reasons.none();
}

#[tokio::test]
async fn an_answer_counts_until_the_timeout_and_the_next_ping_from_it() {
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
    assert_eq!(late.event().await, Some(Event::Close(None)));
    assert_eq!(reasons.next().await, "ping timeout");
    clock.advance(INTERVAL - 2 * MOMENT).await;
    early.send(r#"421["echo","no ping yet"]"#).await;
    assert_eq!(early.text().await, r#"431["no ping yet"]"#);
    clock.advance(MOMENT).await;
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
