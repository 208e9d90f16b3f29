//! Many packets that arrive in one read, some of which the connection cannot take yet.

use std::sync::Arc;
use std::time::Duration;

use axum_socketio::{Data, DisconnectReason, Limits, SocketIo, Timeouts};
use proto::websocket::{Opcode, WebSocketEvent, masked_frame};
use tokio::sync::{Semaphore, mpsc};

use crate::support::{Polling, Server, Ws, echo, next, settle, until, with};

const MASK: [u8; 4] = [1, 2, 3, 4];

/// A server of whose connections one event runs, one waits and no other is taken before the next permit.
struct Narrow {
    server: Server,
    io: SocketIo,
    go: Arc<Semaphore>,
    /// The numbers of the events that have started, and the reason of the disconnect.
    seen: mpsc::UnboundedReceiver<String>,
}

async fn narrow() -> Narrow {
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let (sender, seen) = mpsc::unbounded_channel();
    let end = sender.clone();
    let namespace = echo()
        .0
        .on("wait", move |Data((n, _)): Data<(u32, String)>| {
            let gate = Arc::clone(&gate);
            sender.send(n.to_string()).unwrap();
            async move { gate.acquire().await.unwrap().forget() }
        })
        .on_disconnect(move |reason: DisconnectReason| {
            let _ = end.send(reason.to_string());
            std::future::ready(())
        })
        .max_pending(1);
    let (server, io) = with(|io| {
        io.namespace("/", namespace)
            .limits(Limits::new().max_queued_bytes(1))
    })
    .await;
    Narrow {
        server,
        io,
        go,
        seen,
    }
}

impl Narrow {
    /// Permits one handler after another, until these events have started and the socket has left for this reason.
    async fn expect(&mut self, events: std::ops::Range<u32>, reason: &str) {
        for n in events.clone() {
            assert_eq!(next(&mut self.seen).await, n.to_string());
            settle().await;
            // The end may come while the last event waits or runs.
            let early = self.seen.try_recv();
            if n + 1 == events.end && early.is_ok() {
                assert_eq!(early.as_deref(), Ok(reason));
                self.go.add_permits(1);
                return;
            }
            assert!(early.is_err(), "one at a time");
            self.go.add_permits(1);
        }
        assert_eq!(next(&mut self.seen).await, reason);
    }
}

fn frame(text: &str) -> Vec<u8> {
    masked_frame(Opcode::Text, text.as_bytes(), MASK).to_vec()
}

/// The frames of events that have these numbers and a text of this length.
fn events(numbers: std::ops::Range<u32>, length: usize) -> Vec<u8> {
    let filler = "x".repeat(length);
    let event = |n| frame(&format!(r#"42["wait",{n},"{filler}"]"#));
    numbers.flat_map(event).collect()
}

fn close(code: u16) -> Vec<u8> {
    masked_frame(Opcode::Close, &code.to_be_bytes(), MASK).to_vec()
}

#[tokio::test]
async fn leftover_packets_keep_their_order_before_the_end() {
    let mut narrow = narrow().await;
    let mut ws = Ws::joined(narrow.server.addr).await;
    ws.send_raw(&[events(0..100, 0), close(4321)].concat())
        .await;
    assert_eq!(next(&mut narrow.seen).await, "0");
    settle().await;
    assert_eq!(
        narrow.io.client_count(),
        1,
        "the close frame is not seen yet"
    );
    narrow.go.add_permits(1);
    narrow.expect(1..100, "transport close").await;
    assert_eq!(ws.ended().await.close, Some(Some(4321)));
}

#[tokio::test]
async fn more_than_a_batch_keeps_its_order_too() {
    let mut narrow = narrow().await;
    let mut ws = Ws::joined(narrow.server.addr).await;
    ws.send_raw(&[events(0..400, 0), frame("1")].concat()).await;
    narrow.expect(0..400, "transport close").await;
}

#[tokio::test]
async fn nothing_behind_an_undecodable_packet_is_handled() {
    let mut narrow = narrow().await;
    let mut ws = Ws::joined(narrow.server.addr).await;
    let input = [events(0..4, 0), frame("x"), events(4..6, 0), close(1000)];
    ws.send_raw(&input.concat()).await;
    narrow.expect(0..4, "parse error").await;
    // The server closes for a reason of its own, and without a code.
    assert_eq!(ws.ended().await.close, Some(None));
    narrow.go.add_permits(9);
    settle().await;
    assert!(narrow.seen.try_recv().is_err());
}

#[tokio::test]
async fn a_violation_behind_packets_that_are_left_over_comes_after_them() {
    let mut narrow = narrow().await;
    let mut ws = Ws::joined(narrow.server.addr).await;
    let mut unmasked = frame("4");
    unmasked[1] &= 0x7f;
    ws.send_raw(&[events(0..5, 0), unmasked, events(5..6, 0)].concat())
        .await;
    narrow.expect(0..5, "transport error").await;
    assert_eq!(ws.ended().await.close, Some(Some(1002)));
}

#[tokio::test]
async fn packets_behind_a_close_packet_are_dropped() {
    let mut narrow = narrow().await;
    let mut ws = Ws::joined(narrow.server.addr).await;
    ws.send_raw(&[events(0..1, 0), frame("1"), events(1..3, 0)].concat())
        .await;
    narrow.expect(0..1, "transport close").await;
    narrow.go.add_permits(9);
    ws.ended().await;
    settle().await;
    assert!(narrow.seen.try_recv().is_err());
}

#[tokio::test]
async fn a_websocket_ping_is_answered_before_leftover_packets() {
    let mut narrow = narrow().await;
    let mut ws = Ws::joined(narrow.server.addr).await;
    let ping = masked_frame(Opcode::Ping, b"there?", MASK).to_vec();
    ws.send_raw(&[events(0..5, 0), ping, events(5..6, 0)].concat())
        .await;
    assert_eq!(
        ws.event().await,
        Some(WebSocketEvent::Pong("there?".into()))
    );
    drop(ws);
    narrow.expect(0..6, "transport close").await;
}

#[tokio::test]
async fn packets_that_are_left_over_count_as_input_that_is_held() {
    let mut narrow = narrow().await;
    let mut ws = Ws::joined(narrow.server.addr).await;
    // All of it fits into one read, in which it may arrive.
    ws.send_raw(&events(0..10, 6000)).await;
    until("what is left counts", || {
        narrow.io.metrics().inbound_bytes > 40_000
    })
    .await;
    for _ in 0..5 {
        narrow.go.add_permits(1);
        next(&mut narrow.seen).await;
    }
    until("less counts", || narrow.io.metrics().inbound_bytes < 40_000).await;
    narrow.go.add_permits(9);
    until("nothing counts", || narrow.io.metrics().inbound_bytes == 0).await;
    ws.alive().await;
}

#[tokio::test]
async fn leftover_packets_are_dropped_when_the_server_closes() {
    let mut narrow = narrow().await;
    let mut ws = Ws::joined(narrow.server.addr).await;
    ws.send_raw(&events(0..10, 6000)).await;
    assert_eq!(next(&mut narrow.seen).await, "0");
    narrow.io.except("none").disconnect_all();
    ws.ended().await;
    narrow.go.add_permits(1);
    assert_eq!(next(&mut narrow.seen).await, "server namespace disconnect");
    until("nothing counts", || narrow.io.metrics().inbound_bytes == 0).await;
}

#[tokio::test]
async fn packets_behind_an_upgrade_belong_to_the_session_and_may_be_left_over() {
    let mut narrow = narrow().await;
    let client = Polling::joined(narrow.server.addr).await;
    let mut ws = Ws::upgrade(narrow.server.addr, &client.sid).await.unwrap();
    let input = [frame("2probe"), frame("5"), events(0..10, 0), close(1000)];
    ws.send_raw(&input.concat()).await;
    narrow.expect(0..10, "transport close").await;
    assert_eq!(ws.text().await, "3probe");
    assert_eq!(ws.ended().await.close, Some(Some(1000)));
}

#[tokio::test]
async fn a_pong_that_is_left_over_keeps_the_client() {
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let namespace = echo()
        .0
        .on("wait", async move || gate.acquire().await.unwrap().forget())
        .max_pending(1);
    let (server, io) = with(|io| {
        io.namespace("/", namespace)
            .limits(Limits::new().max_queued_bytes(1))
            .timeouts(
                Timeouts::new()
                    .ping_interval(Duration::from_millis(100))
                    .ping_timeout(Duration::from_millis(300)),
            )
    })
    .await;
    let mut ws = Ws::joined(server.addr).await;
    assert_eq!(ws.text().await, "2");
    let wait = r#"42["wait"]"#;
    ws.send_all(&[wait, wait, wait, "3"]).await;
    for _ in 0..8 {
        assert_eq!(ws.text().await, "2");
    }
    assert_eq!(io.client_count(), 1);
    go.add_permits(3);
    ws.send("3").await;
    ws.alive().await;
}
