//! Upgrades from polling to WebSocket, and failed attempts.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_socketio::{SocketIo, Timeouts};
use proto::websocket::{Opcode, WebSocketEvent, masked_frame};
use tokio::sync::{Notify, mpsc};

use crate::support::{
    Clock, Http, POLLING, Polling, Server, WEBSOCKET, Ws, echo, serve, start, within,
};

const CODE_3: &str = r#"{"code":3,"message":"Bad request"}"#;

/// Opens and probes a WebSocket.
async fn probe(client: &Polling) -> Ws {
    let mut ws = Ws::upgrade(client.addr, &client.sid).await.unwrap();
    ws.send("2probe").await;
    assert_eq!(ws.text().await, "3probe");
    ws
}

/// Upgrades as soon as the server allows it: a WebSocket is closed while the previous probe has not ended.
async fn upgraded(client: &Polling) -> Ws {
    let again = async {
        loop {
            let mut ws = Ws::upgrade(client.addr, &client.sid).await.unwrap();
            ws.send("2probe").await;
            if let Some(WebSocketEvent::Text(text)) = ws.event().await {
                assert_eq!(text, "3probe");
                return ws;
            }
        }
    };
    let mut ws = within("an upgrade", again).await;
    ws.send("5").await;
    ws.alive().await;
    ws
}

/// Asserts that another WebSocket of this session is accepted, closed without a code, and ignored.
async fn turned_away(server: &Server, sid: &str) {
    let mut ws = Ws::upgrade(server.addr, sid).await.unwrap();
    ws.send_all(&["2probe", "5", r#"421["echo","stolen"]"#])
        .await;
    let ended = ws.ended().await;
    assert_eq!((ended.texts.len(), ended.close), (0, Some(None)));
}

/// Asserts that polling still works, and another upgrade as well.
async fn unharmed(server: &Server, client: &mut Polling) {
    client.send(r#"421["echo","still here"]"#).await;
    client.expect(&[r#"431["still here"]"#]).await;
    let mut ws = upgraded(client).await;
    after_upgrade(server, client).await;
    ws.alive().await;
}

/// Asserts that the session can no longer be polled.
async fn after_upgrade(server: &Server, client: &mut Polling) {
    let answer = Http::once(server.addr, "GET", &client.target()).await;
    assert_eq!(answer.brief(), (400, CODE_3));
    assert_eq!(client.post("42[\"echo\"]").await.brief(), (400, CODE_3));
}

#[tokio::test]
async fn a_client_probes_then_moves() {
    let (server, io, mut reasons) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    client.begin_poll(&server).await;
    let mut ws = probe(&client).await;
    assert_eq!(client.end_poll().await.brief(), (200, "6"));
    ws.send("5").await;
    ws.alive().await;
    io.emit("news", 1);
    assert_eq!(ws.text().await, r#"42["news",1]"#);
    after_upgrade(&server, &mut client).await;
    ws.alive().await;
    reasons.none();
    ws.close().await;
    assert_eq!(reasons.next().await, "transport close");
}

#[tokio::test]
async fn few_polls_of_an_upgrade_are_released_at_once_the_rest_later() {
    let (server, io, _) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    let clock = Clock::stop();
    let mut ws = probe(&client).await;
    for _ in 0..3 {
        assert_eq!(client.poll().await, "6");
    }
    for _ in 0..2 {
        waiting_poll(&mut client, &server).await;
        io.emit("news", 1);
        let news = (200, r#"42["news",1]"#);
        assert_eq!(client.end_poll().await.brief(), news);
        waiting_poll(&mut client, &server).await;
        clock.advance(Duration::from_millis(100)).await;
        assert_eq!(client.end_poll().await.brief(), (200, "6"));
    }
    ws.send("5").await;
    ws.alive().await;
}

/// Starts a poll, and waits until its session has it.
async fn waiting_poll(client: &mut Polling, server: &Server) {
    client.begin_poll(server).await;
    // The session handles requests in the order of their arrival.
    client.send(r#"42["no handler"]"#).await;
}

#[tokio::test]
async fn a_poll_that_can_carry_something_does_not_count_as_released() {
    let (server, io, _) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    let _clock = Clock::stop();
    let _ws = probe(&client).await;
    for n in 0..10 {
        io.emit("n", n);
        assert_eq!(client.poll().await, format!(r#"42["n",{n}]"#));
    }
    for _ in 0..3 {
        assert_eq!(client.poll().await, "6");
    }
}

#[tokio::test]
async fn a_poll_during_the_upgrade_brings_a_ping_that_is_due() {
    let (server, ..) =
        start(|io| io.timeouts(Timeouts::new().ping_interval(Duration::from_secs(5)))).await;
    let mut client = Polling::joined(server.addr).await;
    let clock = Clock::stop();
    let mut ws = probe(&client).await;
    clock.advance(Duration::from_secs(5)).await;
    assert_eq!(client.poll().await, "2");
    assert_eq!(client.poll().await, "6");
    ws.send_all(&["5", "3"]).await;
    ws.alive().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_right_after_the_upgrade_packet_is_refused() {
    let (server, _io, mut reasons) = start(|io| io).await;
    for _ in 0..50 {
        let mut client = Polling::joined(server.addr).await;
        let mut ws = probe(&client).await;
        ws.send("5").await;
        client.begin_poll(&server).await;
        assert_eq!(client.end_poll().await.brief(), (400, CODE_3));
        ws.alive().await;
        let mut client = Polling::joined(server.addr).await;
        let mut ws = Ws::upgrade(server.addr, &client.sid).await.unwrap();
        ws.send_all(&["2probe", "5"]).await;
        client.begin_poll(&server).await;
        // The session receives the WebSocket after the client has the response, and may have the poll by then.
        let answer = client.end_poll().await;
        assert!([(400, CODE_3), (200, "6")].contains(&answer.brief()));
        assert_eq!(ws.text().await, "3probe");
        ws.alive().await;
    }
    reasons.none_but("transport close");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_after_an_upgrade_packet_that_has_not_been_read_is_refused() {
    let go = Arc::new(Notify::new());
    let (running, mut runs) = mpsc::unbounded_channel();
    let (end, ended) = std::sync::mpsc::channel();
    let (gate, ended) = (Arc::clone(&go), Arc::new(std::sync::Mutex::new(ended)));
    let (namespace, mut reasons) = echo();
    let namespace = namespace.on("hold", move || {
        let (gate, running, ended) = (Arc::clone(&gate), running.clone(), Arc::clone(&ended));
        async move {
            gate.notified().await;
            // This blocks the connection's task, which has checked for requests and not yet read the WebSocket.
            tokio::task::block_in_place(|| {
                running.send(()).unwrap();
                ended.lock().unwrap().recv().unwrap();
            });
        }
    });
    let io = SocketIo::builder().namespace("/", namespace).build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Polling::joined(server.addr).await;
    client.send(r#"42["hold"]"#).await;
    let mut ws = probe(&client).await;
    go.notify_one();
    within("the handler", runs.recv()).await.unwrap();
    ws.send("5").await;
    client.begin_poll(&server).await;
    end.send(()).unwrap();
    assert_eq!(client.end_poll().await.brief(), (400, CODE_3));
    ws.alive().await;
    after_upgrade(&server, &mut client).await;
    ws.alive().await;
    reasons.none();
}

#[tokio::test]
async fn a_client_may_move_without_a_probe() {
    let (server, ..) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    client.begin_poll(&server).await;
    let mut ws = Ws::upgrade(server.addr, &client.sid).await.unwrap();
    ws.send("5").await;
    assert_eq!(client.end_poll().await.brief(), (200, "6"));
    ws.alive().await;
    after_upgrade(&server, &mut client).await;
}

#[tokio::test]
async fn a_client_may_move_before_it_joins() {
    let (server, ..) = start(|io| io).await;
    let client = Polling::open(server.addr).await;
    let mut ws = Ws::upgrade(server.addr, &client.sid).await.unwrap();
    ws.send_all(&["2probe", "5"]).await;
    assert_eq!(ws.text().await, "3probe");
    ws.join("/").await;
    ws.alive().await;
}

#[tokio::test]
async fn a_probe_may_be_repeated() {
    let (server, ..) = start(|io| io).await;
    let client = Polling::joined(server.addr).await;
    let mut ws = probe(&client).await;
    ws.send_all(&["2probe", "2probe"]).await;
    assert_eq!(ws.text().await, "3probe");
    assert_eq!(ws.text().await, "3probe");
    ws.send("5").await;
    ws.alive().await;
}

#[tokio::test]
async fn packets_right_behind_the_upgrade_are_handled() {
    let (server, ..) = start(|io| io).await;
    let client = Polling::joined(server.addr).await;
    let mut ws = Ws::upgrade(server.addr, &client.sid).await.unwrap();
    ws.send_all(&["2probe", "5", r#"421["echo","a"]"#, r#"422["echo","b"]"#])
        .await;
    assert_eq!(ws.text().await, "3probe");
    assert_eq!(ws.text().await, r#"431["a"]"#);
    assert_eq!(ws.text().await, r#"432["b"]"#);
}

#[tokio::test]
async fn events_during_an_upgrade_arrive_once_and_in_order() {
    let (server, io, _) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    let emit = |numbers: std::ops::Range<u32>| {
        for n in numbers {
            io.emit("n", n);
        }
    };
    emit(0..3);
    let mut ws = probe(&client).await;
    emit(3..6);
    let numbers = |range: std::ops::Range<u32>| -> Vec<String> {
        range.map(|n| format!(r#"42["n",{n}]"#)).collect()
    };
    assert_eq!(client.poll().await, numbers(0..6).join("\x1e"));
    client.send(r#"421["echo","by post"]"#).await;
    emit(6..40);
    ws.send("5").await;
    emit(40..50);
    assert_eq!(ws.text().await, r#"431["by post"]"#);
    for expected in numbers(6..50) {
        assert_eq!(ws.text().await, expected);
    }
    ws.alive().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_events_survives_the_upgrade() {
    const EVENTS: usize = 3000;

    let (server, io, _) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    let emitting = tokio::spawn(async move {
        for n in 0..EVENTS {
            assert!(io.emit("n", n).ok());
            tokio::task::yield_now().await;
        }
    });
    let mut got: Vec<String> = Vec::new();
    let mut take = |body: &str| {
        let packets = body.split('\x1e').filter(|packet| *packet != "6");
        got.extend(packets.map(str::to_owned));
    };
    take(&client.poll().await);
    let mut ws = Ws::upgrade(server.addr, &client.sid).await.unwrap();
    ws.send("2probe").await;
    take(&client.poll().await);
    assert_eq!(ws.text().await, "3probe");
    take(&client.poll().await);
    ws.send("5").await;
    while got.len() < EVENTS {
        got.push(ws.text().await);
    }
    let expected: Vec<_> = (0..EVENTS).map(|n| format!(r#"42["n",{n}]"#)).collect();
    assert_eq!(got, expected);
    emitting.await.unwrap();
}

#[tokio::test]
async fn a_wrong_packet_ends_the_probe_and_nothing_else() {
    let (server, _io, mut reasons) = start(|io| io).await;
    for wrong in [
        "4hello", "40", "2", "2abc", "3probe", "0", "1", "6", "junk", "",
    ] {
        let mut client = Polling::joined(server.addr).await;
        let mut ws = Ws::upgrade(server.addr, &client.sid).await.unwrap();
        ws.send(wrong).await;
        let ended = ws.ended().await;
        assert_eq!((ended.texts, ended.close), (vec![], Some(None)), "{wrong}");
        unharmed(&server, &mut client).await;
        let mut client = Polling::joined(server.addr).await;
        let mut ws = probe(&client).await;
        ws.send(wrong).await;
        assert_eq!(ws.ended().await.close, Some(None), "{wrong}");
        unharmed(&server, &mut client).await;
    }
    reasons.none_but("transport close");
}

#[tokio::test]
async fn binary_ends_the_probe_and_nothing_else() {
    let (server, ..) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    let mut ws = Ws::upgrade(server.addr, &client.sid).await.unwrap();
    ws.send_binary(b"5").await;
    assert_eq!(ws.ended().await.close, Some(None));
    unharmed(&server, &mut client).await;
}

#[tokio::test]
async fn a_probe_that_breaks_websocket_ends_and_nothing_else() {
    let (server, ..) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    let mut ws = Ws::upgrade(server.addr, &client.sid).await.unwrap();
    ws.send_raw(b"\xff\xff\xff\xff").await;
    ws.ended().await;
    unharmed(&server, &mut client).await;
}

#[tokio::test]
async fn a_probe_that_is_closed_or_lost_leaves_polling_alone() {
    let (server, ..) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    let mut ws = probe(&client).await;
    ws.close().await;
    ws.ended().await;
    unharmed(&server, &mut client).await;

    let mut client = Polling::joined(server.addr).await;
    drop(probe(&client).await);
    unharmed(&server, &mut client).await;

    let mut client = Polling::joined(server.addr).await;
    drop(Ws::upgrade(server.addr, &client.sid).await);
    unharmed(&server, &mut client).await;
}

#[tokio::test]
async fn a_probe_that_takes_too_long_leaves_polling_alone() {
    let (server, ..) =
        start(|io| io.timeouts(Timeouts::new().upgrade_timeout(Duration::from_millis(50)))).await;
    for probes in [false, true] {
        let mut client = Polling::joined(server.addr).await;
        let mut ws = Ws::upgrade(server.addr, &client.sid).await.unwrap();
        if probes {
            ws.send("2probe").await;
        }
        assert_eq!(ws.ended().await.close, Some(None));
        client.send(r#"421["echo",1]"#).await;
        client.expect(&["431[1]"]).await;
    }
    let (server, ..) =
        start(|io| io.timeouts(Timeouts::new().upgrade_timeout(Duration::from_secs(1)))).await;
    let mut client = Polling::joined(server.addr).await;
    let mut ws = probe(&client).await;
    ws.ended().await;
    unharmed(&server, &mut client).await;
}

#[tokio::test]
async fn an_endless_message_ends_the_probe_or_the_upgraded_session() {
    let (server, io, mut reasons) = start(|io| {
        io.timeouts(
            Timeouts::new()
                .upgrade_timeout(Duration::from_secs(2))
                .message_timeout(Duration::from_secs(5)),
        )
    })
    .await;
    let part = &masked_frame(Opcode::Text, &[b'2'; 100], [1, 2, 3, 4])[..50];
    let clock = Clock::stop();
    let mut client = Polling::joined(server.addr).await;
    let mut ws = Ws::upgrade(server.addr, &client.sid).await.unwrap();
    ws.send_raw(part).await;
    clock.advance(Duration::from_secs(2)).await;
    assert_eq!(ws.ended().await.close, Some(None));
    let mut ws = probe(&client).await;
    ws.send_all(&["5", r#"421["echo",1]"#]).await;
    ws.send_raw(part).await;
    assert_eq!(ws.text().await, "431[1]");
    clock.advance(Duration::from_secs(4)).await;
    assert_eq!(io.client_count(), 1);
    clock.advance(Duration::from_secs(1)).await;
    assert_eq!(ws.ended().await.close, Some(Some(1008)));
    assert_eq!(reasons.next().await, "transport error");
    assert_eq!(client.get().await.status, 400);
}

#[tokio::test]
async fn only_one_websocket_at_a_time_may_take_over() {
    let (server, io, _) = start(|io| io).await;
    let client = Polling::joined(server.addr).await;
    let mut ws = probe(&client).await;
    turned_away(&server, &client.sid).await;
    ws.send("5").await;
    ws.alive().await;
    turned_away(&server, &client.sid).await;
    ws.alive().await;
    let refused = io.metrics().requests_refused;
    assert_eq!(refused["UPGRADED_ALREADY"], 2);
}

#[tokio::test]
async fn a_second_websocket_that_never_closes_is_dropped() {
    let (server, ..) = start(|io| io).await;
    let client = Polling::joined(server.addr).await;
    let mut ws = upgraded(&client).await;
    let mut idle = Ws::upgrade(server.addr, &client.sid).await.unwrap();
    assert_eq!(idle.event().await, Some(WebSocketEvent::Close(None)));
    // The server ends the connection, as there is no answer to its close frame.
    assert_eq!(idle.event().await, None);
    ws.alive().await;
}

#[tokio::test]
async fn a_session_over_websocket_is_not_taken_over() {
    let (server, ..) = start(|io| io).await;
    let mut first = Ws::raw(server.addr, WEBSOCKET).await.unwrap();
    let sid = crate::support::sid_in(first.text().await.trim_start_matches('0'));
    first.join("/").await;
    turned_away(&server, &sid).await;
    first.alive().await;
}

#[tokio::test]
async fn upgrades_can_be_forbidden_and_websocket_from_the_start_stays_possible() {
    let (server, ..) = start(|io| io.without_upgrades()).await;
    let answer = Http::once(server.addr, "GET", POLLING).await;
    assert!(answer.text().contains(r#""upgrades":[],"#));
    let mut client = Polling::joined(server.addr).await;
    let refusal = Ws::upgrade(server.addr, &client.sid).await.err().unwrap();
    assert_eq!(refusal.brief(), (400, CODE_3));
    client.send(r#"421["echo",1]"#).await;
    client.expect(&["431[1]"]).await;
    Ws::joined(server.addr).await.alive().await;
}

#[tokio::test]
async fn a_session_that_ends_closes_the_probe_too() {
    let (server, io, mut reasons) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    let mut ws = probe(&client).await;
    client.send("1").await;
    assert_eq!(ws.ended().await.close, Some(None));
    assert_eq!(reasons.next().await, "transport close");
    assert_eq!(io.client_count(), 0);
}

#[tokio::test]
async fn a_session_that_waits_for_its_last_poll_does_not_wait_for_a_probe() {
    let (server, io, mut reasons) =
        start(|io| io.timeouts(Timeouts::new().upgrade_timeout(Duration::from_millis(100)))).await;
    let mut client = Polling::joined(server.addr).await;
    let mut ws = probe(&client).await;
    io.close();
    assert_eq!(ws.ended().await.close, Some(None));
    assert_eq!(reasons.next().await, "server shutting down");
    assert_eq!(io.client_count(), 1);
    assert_eq!(client.poll().await, "6\x1e1");
    client.gone().await;
}

#[tokio::test]
async fn heartbeats_go_on_after_the_upgrade() {
    let (server, _io, mut reasons) = start(|io| {
        io.timeouts(
            Timeouts::new()
                .ping_interval(Duration::from_millis(100))
                .ping_timeout(Duration::from_millis(700)),
        )
    })
    .await;
    let client = Polling::joined(server.addr).await;
    let mut ws = upgraded(&client).await;
    for _ in 0..3 {
        assert_eq!(ws.text().await, "2");
        ws.send("3").await;
    }
    // No further one gets an answer.
    let texts = ws.ended().await.texts;
    assert!(!texts.is_empty() && texts.iter().all(|text| text == "2"));
    assert_eq!(reasons.next().await, "ping timeout");
}

#[tokio::test]
async fn a_ping_that_no_poll_has_fetched_comes_after_the_upgrade() {
    let (server, _io, mut reasons) = start(|io| io).await;
    let clock = Clock::stop();
    let client = Polling::joined(server.addr).await;
    clock.advance(Duration::from_secs(25)).await;
    let mut ws = Ws::upgrade(server.addr, &client.sid).await.unwrap();
    ws.send_all(&["2probe", "5"]).await;
    assert_eq!(ws.text().await, "3probe");
    assert_eq!(ws.text().await, "2");
    // The timeout counts from the time at which the ping was due.
    clock.advance(Duration::from_secs(20)).await;
    ws.send(r#"421["echo",1]"#).await;
    assert_eq!(ws.event().await, Some(WebSocketEvent::Close(None)));
    assert_eq!(reasons.next().await, "ping timeout");
}

#[tokio::test]
async fn an_answer_that_is_owed_is_still_owed_after_the_upgrade() {
    let (server, _io, mut reasons) = start(|io| {
        io.timeouts(
            Timeouts::new()
                .ping_interval(Duration::from_millis(50))
                .ping_timeout(Duration::from_millis(700)),
        )
    })
    .await;
    let mut client = Polling::joined(server.addr).await;
    assert_eq!(client.poll().await, "2");
    let mut ws = upgraded(&client).await;
    assert_eq!(ws.ended().await.close, Some(None));
    assert_eq!(reasons.next().await, "ping timeout");

    let mut client = Polling::joined(server.addr).await;
    assert_eq!(client.poll().await, "2");
    let mut ws = upgraded(&client).await;
    ws.send("3").await;
    assert_eq!(ws.text().await, "2");
}

#[tokio::test]
async fn a_post_that_is_aborted_after_the_upgrade_is_harmless() {
    let (server, _, mut reasons) = start(|io| io).await;
    let mut client = Polling::joined(server.addr).await;
    let mut ws = probe(&client).await;
    client.begin_post(&server, 100, b"4").await;
    ws.send("5").await;
    ws.alive().await;
    drop(client);
    // The server needs some time to notice that no more bytes will arrive.
    for _ in 0..50 {
        ws.alive().await;
    }
    reasons.none();
}
