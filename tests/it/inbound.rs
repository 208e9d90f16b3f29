//! Limits for the memory of a client's input: events that wait, events whose handlers run, packets that are not
//! complete.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Json;
use axum_socketio::config::Order;
use axum_socketio::{
    Data, DisconnectReason, Limits, Namespace, Socket, SocketIo, SocketIoBuilder, Timeouts,
};
use bytes::Bytes;
use futures_util::future::select_all;
use proto::websocket::{Opcode, masked_frame};
use serde::de::IgnoredAny;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::support::{Clock, Logs, Polling, Server, Ws, echo, settle, until, with, within};

const SECOND: Duration = Duration::from_secs(1);
const MEGABYTE: usize = 1_000_000;

/// Returns the options for which reading was paused, each with the number of times.
fn pauses(io: &SocketIo) -> BTreeMap<&'static str, u64> {
    let mut pauses = io.metrics().reading_paused;
    pauses.retain(|_, count| *count > 0);
    pauses
}

async fn is_paused_for(io: &SocketIo, option: &'static str) {
    until(option, || pauses(io).contains_key(option)).await;
}

/// Creates a namespace whose handlers of `ask` ask their client, and wait for the answer without a limit.
fn asking() -> (Namespace, mpsc::UnboundedReceiver<DisconnectReason>) {
    let (sender, reasons) = mpsc::unbounded_channel();
    let namespace = Namespace::new()
        .on("ask", async |socket: Socket, Data(n): Data<u32>| {
            let answer = socket.no_timeout().emit_with_ack::<u32>("q", n).await;
            Json(answer.ok())
        })
        .on("filler", async |_: Data<IgnoredAny>| {})
        .on_disconnect(move |reason: DisconnectReason| {
            let _ = sender.send(reason);
            std::future::ready(())
        });
    (namespace, reasons)
}

/// Creates a namespace whose handlers of `wait` wait for a permit; `running` counts them.
fn waiting() -> (Namespace, Arc<Semaphore>, Arc<AtomicUsize>) {
    let (go, running) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (gate, count) = (Arc::clone(&go), Arc::clone(&running));
    let namespace = Namespace::new().on("wait", move |_: Data<IgnoredAny>| {
        let (gate, count) = (Arc::clone(&gate), Running::begin(&count));
        async move {
            let _count = count;
            gate.acquire().await.unwrap().forget();
        }
    });
    (namespace, go, running)
}

/// Starts a server whose queues are small and whose handlers of `wait` run one at a time, with further limits. Its
/// clients need not answer pings for hours.
async fn with_small_queue(limits: Limits) -> (Server, SocketIo, Arc<Semaphore>, Arc<AtomicUsize>) {
    let (namespace, go, running) = waiting();
    let (server, io) = with(|io| {
        io.namespace("/", namespace.max_pending(1))
            .limits(Limits::new().max_queued_bytes(2000))
            .limits(limits)
            .timeouts(Timeouts::new().ping_interval(7200 * SECOND))
    })
    .await;
    (server, io, go, running)
}

/// A guard that counts a handler until it ends or is dropped.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Sends events without waiting for the server to read them.
fn flood(mut ws: Ws, text: String, times: usize) -> JoinHandle<Ws> {
    tokio::spawn(async move {
        for _ in 0..times {
            ws.send(&text).await;
        }
        ws
    })
}

#[tokio::test]
async fn five_thousand_events_whose_handlers_ask_the_client_are_all_answered() {
    const EVENTS: usize = 5000;
    let (server, io) = with(|io| io.namespace("/", asking().0)).await;
    let events: Vec<_> = (0..EVENTS)
        .map(|n| format!(r#"42{n}["ask",{n}]"#))
        .collect();
    let answer = |text: &str| {
        let (id, n) = text.strip_prefix("42")?.split_once(r#"["q","#)?;
        Some(format!("43{id}[{n}"))
    };

    let mut ws = Ws::joined(server.addr).await;
    let texts: Vec<_> = events.iter().map(String::as_str).collect();
    ws.send_all(&texts).await;
    let mut answered = 0;
    while answered < EVENTS {
        let text = ws.text().await;
        match answer(&text) {
            Some(answer) => ws.send(&answer).await,
            None => answered += 1,
        }
    }

    let mut client = Polling::joined(server.addr).await;
    client.send(&events.join("\x1e")).await;
    let mut answered = 0;
    while answered < EVENTS {
        let body = client.poll().await;
        let answers: Vec<_> = body.split('\x1e').filter_map(answer).collect();
        answered += body.split('\x1e').count() - answers.len();
        if !answers.is_empty() {
            client.send(&answers.join("\x1e")).await;
        }
    }
    assert_eq!(pauses(&io), BTreeMap::new());
}

#[tokio::test]
async fn a_full_queue_behind_awaited_acknowledgements_closes() {
    let clock = Clock::stop();
    for transport in ["websocket", "polling"] {
        let (namespace, mut reasons) = asking();
        let (server, io) = with(|io| {
            io.namespace("/", namespace.max_pending(2))
                .limits(Limits::new().max_queued_bytes(10_000))
        })
        .await;
        let event = format!(r#"42["filler","{}"]"#, "x".repeat(1000));
        let mut all = vec![r#"421["ask",1]"#, r#"422["ask",2]"#];
        all.extend([event.as_str(); 20]);
        let mut clients = (None, None);
        if transport == "websocket" {
            let mut ws = Ws::joined(server.addr).await;
            ws.send_all(&all).await;
            clients.0 = Some(ws);
        } else {
            let mut polling = Polling::joined(server.addr).await;
            let body = all.join("\x1e");
            polling
                .begin_post(&server, body.len(), body.as_bytes())
                .await;
            clients.1 = Some(polling);
        }
        is_paused_for(&io, "max_pending").await;
        clock.advance(SECOND / 2).await;
        assert!(reasons.try_recv().is_err());
        clock.advance(SECOND).await;
        let reason = within("its end", reasons.recv()).await.unwrap();
        assert_eq!(reason.to_string(), "queue full", "{transport}");
        if let Some(mut ws) = clients.0 {
            assert_eq!(ws.ended().await.close, Some(None));
        }
        if let Some(mut polling) = clients.1 {
            // A session that is closing still delivers the packets that were queued before.
            let asked = polling.poll().await;
            assert!(asked.contains(r#"["q",1]"#), "{asked}");
            while !polling.poll().await.ends_with('1') {}
            polling.gone().await;
        }
        let metrics = io.metrics();
        assert_eq!(metrics.connections_closed["queue full"], 1);
        assert_eq!(metrics.sockets_disconnected["queue full"], 1);
        until("nothing is held", || io.metrics().inbound_bytes == 0).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_read_before_the_queue_is_full_keeps_the_connection() {
    let (namespace, mut reasons) = asking();
    let (server, io) = with(|io| {
        io.namespace("/", namespace.max_pending(1))
            .limits(Limits::new().max_queued_bytes(10_000))
    })
    .await;
    let clock = Clock::stop();
    let mut ws = Ws::joined(server.addr).await;
    let event = format!(r#"42["filler","{}"]"#, "x".repeat(1000));
    // The queue is almost full, and the answer is read before reading is paused.
    ws.send(r#"421["ask",1]"#).await;
    assert_eq!(ws.text().await, r#"420["q",1]"#);
    ws.send_all(&[event.as_str(); 7]).await;
    ws.send("430[5]").await;
    assert_eq!(ws.text().await, "431[5]");
    clock.advance(3 * SECOND).await;
    assert!(reasons.try_recv().is_err());
    assert_eq!(pauses(&io), BTreeMap::new());
}

#[tokio::test]
async fn a_full_queue_that_moves_keeps_a_client_whose_answer_lies_behind_it() {
    let (namespace, mut reasons) = asking();
    let (slow, go, running) = waiting();
    let (server, io) = with(|io| {
        io.namespace("/", namespace)
            .namespace("/slow", slow.max_pending(1))
            .limits(Limits::new().max_queued_bytes(10_000))
    })
    .await;
    let clock = Clock::stop();
    let mut ws = Ws::joined(server.addr).await;
    ws.join("/slow").await;
    ws.send(r#"421["ask",1]"#).await;
    assert_eq!(ws.text().await, r#"420["q",1]"#);
    let event = |size| format!(r#"42/slow,["wait","{}"]"#, "x".repeat(size));
    // The last of them alone fills the queue, so the pause does not end before its turn.
    let (small, large) = (event(1000), event(20_000));
    let mut all = vec![small.as_str(); 8];
    all.extend([large.as_str(), "430[5]"]);
    ws.send_all(&all).await;
    is_paused_for(&io, "max_pending").await;
    for _ in 0..6 {
        clock.advance(SECOND * 3 / 4).await;
        let (before, started) = (go.available_permits(), io.metrics().events_received);
        assert_eq!((before, running.load(Ordering::SeqCst)), (0, 1));
        go.add_permits(1);
        until("the next event starts", || {
            io.metrics().events_received > started && go.available_permits() == 0
        })
        .await;
    }
    assert!(reasons.try_recv().is_err());
    assert_eq!(pauses(&io), BTreeMap::from([("max_pending", 1)]));
    go.add_permits(3);
    assert_eq!(ws.text().await, "431[5]");
}

#[tokio::test]
async fn a_full_queue_that_never_moves_closes_a_client_that_a_broadcast_asks() {
    let (namespace, go, _running) = waiting();
    let (sender, mut reasons) = mpsc::unbounded_channel();
    let namespace = namespace
        .max_pending(1)
        .on_disconnect(move |reason: DisconnectReason| {
            let _ = sender.send(reason);
            std::future::ready(())
        });
    let (server, io) = with(|io| {
        io.namespace("/", namespace)
            .namespace("/healthy", echo().0)
            .limits(Limits::new().max_queued_bytes(2000))
            .timeouts(Timeouts::new().ping_interval(3600 * SECOND))
    })
    .await;
    let clock = Clock::stop();
    let mut healthy = Ws::open(server.addr).await;
    healthy.join("/healthy").await;
    let mut ws = Ws::joined(server.addr).await;
    let operator = io.of("/").timeout(3600 * SECOND);
    let _asked = operator.emit_with_ack::<u32>("q", ());
    let event = format!(r#"42["wait","{}"]"#, "x".repeat(500));
    ws.send_all(&[event.as_str(); 20]).await;
    is_paused_for(&io, "max_pending").await;
    let closed = || io.metrics().connections_closed["queue full"];
    for _ in 0..11 {
        clock.advance(5 * SECOND).await;
        healthy.alive_in("/healthy").await;
    }
    assert_eq!(closed(), 0);
    clock.advance(6 * SECOND).await;
    until("it is closed", || closed() == 1).await;
    // The disconnect handler waits for its turn, behind the events that were read.
    go.add_permits(20);
    let reason = within("its end", reasons.recv()).await.unwrap();
    assert_eq!(reason.to_string(), "queue full");
}

/// Runs a client that streams events to slow handlers and does not acknowledge a broadcast.
async fn streaming(clock: &Clock, step: Duration, steps: usize) {
    let (sender, mut reasons) = mpsc::unbounded_channel();
    let namespace = Namespace::new()
        .max_pending(1)
        .on("slow", async move |_: Data<IgnoredAny>| {
            tokio::time::sleep(step).await;
        })
        .on_disconnect(move |reason: DisconnectReason| {
            let _ = sender.send(reason);
            std::future::ready(())
        });
    let (server, io) = with(|io| {
        io.namespace("/", namespace)
            .limits(Limits::new().max_queued_bytes(10_000))
            .timeouts(Timeouts::new().ping_interval(3600 * SECOND))
    })
    .await;
    let ws = Ws::joined(server.addr).await;
    let asked = io
        .of("/")
        .timeout(3600 * SECOND)
        .emit_with_ack::<u32>("q", ());
    let event = format!(r#"42["slow","{}"]"#, "x".repeat(1000));
    let flooding = flood(ws, event, 50);
    is_paused_for(&io, "max_pending").await;
    for _ in 0..steps {
        clock.advance(step).await;
        settle().await;
    }
    assert!(reasons.try_recv().is_err());
    assert_eq!(io.client_count(), 1);
    flooding.abort();
    drop(asked);
}

#[tokio::test]
async fn progress_keeps_a_client_that_a_broadcast_awaits_connected() {
    let clock = Clock::stop();
    streaming(&clock, SECOND / 2, 20).await;
    // The limit also holds if each handler takes a long time.
    streaming(&clock, 30 * SECOND, 5).await;
}

#[tokio::test]
async fn a_full_queue_closes_nobody_without_awaited_answers() {
    let (server, io, go, running) = with_small_queue(Limits::new()).await;
    let clock = Clock::stop();
    let ws = Ws::joined(server.addr).await;
    let flooding = flood(ws, format!(r#"421["wait","{}"]"#, "x".repeat(500)), 20);
    is_paused_for(&io, "max_pending").await;
    clock.advance(3600 * SECOND).await;
    until("one runs", || running.load(Ordering::SeqCst) == 1).await;
    assert_eq!(io.client_count(), 1);
    go.add_permits(20);
    let mut ws = flooding.await.unwrap();
    for _ in 0..20 {
        assert_eq!(ws.text().await, "431[]");
    }
    until("nothing is held", || io.metrics().inbound_bytes == 0).await;
}

#[tokio::test]
async fn a_pause_is_counted_by_the_option_that_causes_it() {
    let event = || format!(r#"42["wait","{}"]"#, "x".repeat(1000));
    let small = |io: SocketIoBuilder| io.limits(Limits::new().max_queued_bytes(5000));
    for option in [
        "max_pending",
        "max_handlers",
        "max_running_bytes",
        "max_queued_bytes",
    ] {
        let (namespace, _go, _running) = waiting();
        let (server, io) = with(|io| match option {
            "max_pending" => small(io).namespace("/", namespace.max_pending(1)),
            "max_handlers" => small(io)
                .limits(Limits::new().max_handlers(1))
                .namespace("/", namespace),
            "max_running_bytes" => small(io)
                .limits(Limits::new().max_running_bytes(1500))
                .namespace("/", namespace),
            _ => small(io).namespace("/", namespace.order(Order::Completed)),
        })
        .await;
        let ws = Ws::joined(server.addr).await;
        let _flooding = flood(ws, event(), 100);
        is_paused_for(&io, option).await;
        assert_eq!(pauses(&io).len(), 1);
    }
    for option in ["max_outbox_packets", "max_outbox_bytes"] {
        let data = "x".repeat(if option == "max_outbox_bytes" {
            10_000
        } else {
            1
        });
        let emit = move |socket: Socket, _: Data<IgnoredAny>| {
            socket.emit("data", &data);
            std::future::ready(())
        };
        let (server, io) = with(|io| {
            small(io)
                .limits(
                    Limits::new()
                        .max_outbox_packets(20)
                        .max_outbox_bytes(100_000),
                )
                .namespace("/", Namespace::new().on("wait", emit))
        })
        .await;
        let mut client = Polling::joined(server.addr).await;
        let body = [event().as_str(); 100].join("\x1e");
        client
            .begin_post(&server, body.len(), body.as_bytes())
            .await;
        is_paused_for(&io, option).await;
    }
}

#[tokio::test]
async fn a_lasting_pause_is_logged_once_with_the_option_that_causes_it() {
    let logs = Logs::collect("warn");
    let (server, io, go, _running) = with_small_queue(Limits::new()).await;
    let clock = Clock::stop();
    let ws = Ws::joined(server.addr).await;
    let _flooding = flood(ws, format!(r#"42["wait","{}"]"#, "x".repeat(500)), 20);
    is_paused_for(&io, "max_pending").await;
    clock.advance(SECOND / 2).await;
    assert_eq!(logs.records(), [""; 0]);
    for _ in 0..3 {
        clock.advance(2 * SECOND).await;
        until("it is logged", || !logs.records().is_empty()).await;
        let before = io.metrics().events_received;
        go.add_permits(1);
        until("the next event", || io.metrics().events_received > before).await;
    }
    let lines = logs.records();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in [
        "WARN",
        "reading is paused",
        "option=\"max_pending\"",
        "max_queued_bytes=2000",
    ] {
        assert!(lines[0].contains(part), "{}", lines[0]);
    }
}

#[tokio::test]
async fn pauses_of_many_connections_are_logged_up_to_a_limit() {
    let logs = Logs::collect("warn");
    let (server, io, _go, _running) = with_small_queue(Limits::new().max_log_records(2)).await;
    let clock = Clock::stop();
    let mut flooding = Vec::new();
    for n in 1..=4 {
        let ws = Ws::joined(server.addr).await;
        let event = format!(r#"42["wait","{}"]"#, "x".repeat(500));
        flooding.push(flood(ws, event, 20));
        until("it is paused", || {
            pauses(&io).get("max_pending") == Some(&n)
        })
        .await;
    }
    clock.advance(2 * SECOND).await;
    until("two are left out", || io.metrics().logs_left_out == 2).await;
    assert_eq!(logs.with("reading is paused").len(), 2);
    assert_eq!(logs.with("see max_log_records").len(), 1);
}

#[tokio::test]
async fn events_whose_handlers_run_are_limited_by_size() {
    let (namespace, go, running) = waiting();
    let (server, io) = with(|io| {
        io.namespace("/", namespace).limits(
            Limits::new()
                .max_running_bytes(300_000)
                .max_queued_bytes(200_000),
        )
    })
    .await;
    let ws = Ws::joined(server.addr).await;
    let flooding = flood(ws, format!(r#"421["wait","{}"]"#, "x".repeat(100_000)), 20);
    is_paused_for(&io, "max_running_bytes").await;
    assert_eq!(running.load(Ordering::SeqCst), 3);
    let held = io.metrics().inbound_bytes;
    assert!((450_000..600_000).contains(&held), "{held}");
    go.add_permits(20);
    let mut ws = flooding.await.unwrap();
    for _ in 0..20 {
        assert_eq!(ws.text().await, "431[]");
    }
    until("nothing is held", || io.metrics().inbound_bytes == 0).await;
}

#[tokio::test]
async fn one_event_of_any_size_runs_in_an_ordered_namespace() {
    for order in [Order::Started, Order::Completed] {
        let (namespace, go, running) = waiting();
        let (server, _io) = with(|io| {
            io.namespace("/", namespace.order(order))
                .limits(Limits::new().max_running_bytes(1).max_queued_bytes(1))
        })
        .await;
        let mut ws = Ws::joined(server.addr).await;
        let event = format!(r#"421["wait","{}"]"#, "x".repeat(500_000));
        ws.send_all(&[&event, &event, &event]).await;
        for _ in 0..3 {
            until("one runs", || running.load(Ordering::SeqCst) == 1).await;
            go.add_permits(1);
            assert_eq!(ws.text().await, "431[]");
        }
    }
}

#[tokio::test]
async fn the_attachments_of_a_packet_are_limited_together() {
    let (namespace, mut reasons) = asking();
    let (server, _io) = with(|io| {
        io.namespace("/", namespace)
            .limits(Limits::new().max_packet_bytes(1000))
    })
    .await;
    let mut ws = Ws::joined(server.addr).await;
    let text = r#"452-["filler",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
    for (second, fits) in [(500, true), (501, false)] {
        ws.send(text).await;
        ws.send_binary(&[0; 500]).await;
        ws.send_binary(&vec![0; second]).await;
        if fits {
            ws.send(r#"421["filler",0]"#).await;
            assert_eq!(ws.text().await, "431[]");
        }
    }
    assert_eq!(ws.ended().await.close, Some(None));
    let reason = within("its end", reasons.recv()).await.unwrap();
    assert_eq!(reason, DisconnectReason::ForcedClose);
}

/// The number of events of 100 kB that each attacker sends.
const EACH: usize = 40;

/// Starts attackers that fill the server's limit, each with one event that runs and as many waiting ones as are read.
async fn attack(server: &Server, clients: usize) -> Vec<JoinHandle<Ws>> {
    let mut attackers = Vec::new();
    for _ in 0..clients {
        let ws = Ws::joined(server.addr).await;
        let event = format!(r#"421["wait","{}"]"#, "x".repeat(100_000));
        attackers.push(flood(ws, event, EACH));
    }
    attackers
}

#[tokio::test]
async fn a_healthy_client_is_served_while_attackers_sit_at_the_servers_bound() {
    let (namespace, go, _running) = waiting();
    let (server, io) = with(|io| {
        io.namespace("/", namespace.max_pending(1))
            .namespace("/healthy", echo().0)
            .limits(Limits::new().max_inbound_bytes(4 * MEGABYTE))
    })
    .await;
    for attackers in [1, 10] {
        let attackers = attack(&server, attackers).await;
        is_paused_for(&io, "max_inbound_bytes").await;
        until("they hold most", || {
            io.metrics().inbound_bytes > 3 * MEGABYTE as u64
        })
        .await;
        let mut healthy = Ws::open(server.addr).await;
        healthy.join("/healthy").await;
        let big = "x".repeat(50_000);
        for n in 0..50 {
            healthy
                .send(&format!(r#"42/healthy,{n}["echo","{big}"]"#))
                .await;
            assert_eq!(healthy.text().await, format!(r#"43/healthy,{n}["{big}"]"#));
        }
        let held = io.metrics().inbound_bytes;
        assert!(held < 5 * MEGABYTE as u64, "{held}");
        // All of them proceed when their handlers end.
        go.add_permits(EACH * attackers.len());
        for attacker in attackers {
            let mut ws = attacker.await.unwrap();
            for _ in 0..EACH {
                assert_eq!(ws.text().await, "431[]");
            }
        }
        until("nothing is held", || io.metrics().inbound_bytes == 0).await;
    }
}

#[tokio::test]
async fn packets_that_are_never_finished_end_where_they_hold_what_others_need() {
    const ATTACKERS: usize = 4;

    let (server, io) = with(|io| {
        io.namespace("/", echo().0)
            .limits(Limits::new().max_inbound_bytes(3 * MEGABYTE))
            .timeouts(
                Timeouts::new()
                    .connect_timeout(3600 * SECOND)
                    .ping_interval(3600 * SECOND),
            )
    })
    .await;
    let clock = Clock::stop();
    let mut healthy = Ws::joined(server.addr).await;
    let placeholder = r#"{"_placeholder":true,"num":0}"#;
    let attachment = masked_frame(Opcode::Binary, &vec![0; 900_000], [1, 2, 3, 4]);
    let attachments = Bytes::from(attachment.repeat(8));
    let mut attackers = Vec::new();
    for _ in 0..ATTACKERS {
        let mut ws = Ws::joined(server.addr).await;
        ws.send(&format!(r#"459-["echo",{placeholder}]"#)).await;
        let attachments = attachments.clone();
        let attack = async move { ws.send_to_the_end(&attachments).await };
        attackers.push(tokio::spawn(attack));
    }
    is_paused_for(&io, "max_inbound_bytes").await;
    clock.advance(8 * SECOND).await;
    healthy.alive().await;
    assert_eq!(io.client_count(), ATTACKERS + 1);
    // Connections that are not read are closed one after another: even one alone holds too much.
    for _ in 0..1000 {
        clock.advance(3 * SECOND).await;
        healthy.alive().await;
        if attackers.iter().all(JoinHandle::is_finished) {
            break;
        }
    }
    for attacker in attackers {
        within("its end", attacker).await.unwrap();
    }
    let closed = io.metrics().connections_closed["queue full"];
    assert_eq!(closed, ATTACKERS as u64);
    until("nothing is held", || io.metrics().inbound_bytes == 0).await;
    healthy.alive().await;
}

#[tokio::test]
async fn a_body_counts_while_it_arrives() {
    let (server, io) = with(|io| io.namespace("/", echo().0)).await;
    let mut client = Polling::joined(server.addr).await;
    client
        .begin_post(&server, MEGABYTE, &vec![b'4'; MEGABYTE / 2])
        .await;
    let half = 400_000..=500_000;
    until("half of it counts", || {
        half.contains(&io.metrics().inbound_bytes)
    })
    .await;
    drop(client);
    until("nothing counts", || io.metrics().inbound_bytes == 0).await;
}

#[tokio::test]
async fn bodies_that_never_end_end_where_they_hold_what_others_need() {
    const ATTACKERS: usize = 4;

    let (server, io) = with(|io| {
        io.namespace("/", echo().0)
            .limits(Limits::new().max_inbound_bytes(2 * MEGABYTE))
            .timeouts(Timeouts::new().body_timeout(3600 * SECOND))
    })
    .await;
    let clock = Clock::stop();
    let mut attackers = Vec::new();
    for _ in 0..ATTACKERS {
        let mut client = Polling::joined(server.addr).await;
        let part = vec![b'4'; 900_000];
        client.begin_post(&server, MEGABYTE, &part).await;
        attackers.push(client);
    }
    until("bodies are not read", || {
        io.metrics().reading_paused["max_inbound_bytes"] > 0
    })
    .await;
    let held = io.metrics().inbound_bytes;
    assert!((500_000..=2_100_000).contains(&held), "{held}");
    let mut healthy = Ws::joined(server.addr).await;
    healthy.alive().await;
    clock.advance(9 * SECOND).await;
    healthy.alive().await;
    assert_eq!(io.client_count(), ATTACKERS + 1);
    clock.advance(2 * SECOND).await;
    let answers = attackers
        .iter_mut()
        .map(|attacker| Box::pin(attacker.end_post()));
    let (answer, ..) = within("an end", select_all(answers)).await;
    assert_eq!(answer.brief(), (503, ""));
    healthy.alive().await;
    until("each is counted", || {
        let metrics = io.metrics();
        let refused = metrics.requests_refused["INBOUND_LIMIT"];
        refused > 0 && refused == metrics.connections_closed["queue full"]
    })
    .await;
    drop(attackers);
    until("nothing is held", || io.metrics().inbound_bytes == 0).await;
}

#[tokio::test]
async fn a_message_of_a_probing_websocket_counts_until_it_ends() {
    let (server, io) = with(|io| io.namespace("/", echo().0)).await;
    let client = Polling::joined(server.addr).await;
    let mut ws = Ws::upgrade(server.addr, &client.sid).await.unwrap();
    let message = masked_frame(Opcode::Text, &vec![b'2'; MEGABYTE], [1, 2, 3, 4]);
    ws.send_raw(&message[..MEGABYTE / 2]).await;
    let half = 400_000..=500_000;
    until("half of it counts", || {
        half.contains(&io.metrics().inbound_bytes)
    })
    .await;
    drop(ws);
    until("nothing counts", || io.metrics().inbound_bytes == 0).await;
}

#[tokio::test]
async fn auths_count_as_long_as_their_sockets() {
    let (server, io) = with(|io| {
        io.namespace("/", Namespace::new())
            .namespace("/a", Namespace::new())
    })
    .await;
    let mut ws = Ws::open(server.addr).await;
    let auth = format!(r#"{{"x":"{}"}}"#, "x".repeat(60_000));
    for nsp in ["/", "/a"] {
        ws.send(&format!("40{nsp},{auth}")).await;
        ws.text().await;
    }
    until("both count", || io.metrics().inbound_bytes > 110_000).await;
    ws.send("41/a,").await;
    until("one counts", || io.metrics().inbound_bytes < 70_000).await;
    drop(ws);
    until("none counts", || io.metrics().inbound_bytes == 0).await;
}

#[tokio::test]
async fn the_auth_of_a_socket_that_has_left_counts_while_a_handler_holds_it() {
    let (namespace, go, running) = waiting();
    let (server, io) = with(|io| io.namespace("/", namespace)).await;
    let mut ws = Ws::open(server.addr).await;
    ws.send(&format!(r#"40{{"x":"{}"}}"#, "x".repeat(60_000)))
        .await;
    ws.text().await;
    ws.send_all(&[r#"42["wait",1]"#, "41"]).await;
    let reason = "client namespace disconnect";
    until("it has left", || {
        io.metrics().sockets_disconnected[reason] == 1
    })
    .await;
    ws.join("/").await;
    assert_eq!(running.load(Ordering::SeqCst), 1);
    let held = io.metrics().inbound_bytes;
    assert!((60_000..70_000).contains(&held), "{held}");
    go.add_permits(1);
    until("nothing is held", || io.metrics().inbound_bytes == 0).await;
}

#[tokio::test]
async fn the_auth_of_a_socket_that_waits_to_join_again_counts() {
    let (go, namespace) = (Arc::new(Semaphore::new(0)), Namespace::new());
    let gate = Arc::clone(&go);
    let namespace = namespace
        .before(move || {
            let gate = Arc::clone(&gate);
            async move { gate.acquire().await.unwrap().forget() }
        })
        .on("event", async || {});
    let (server, io) = with(|io| io.namespace("/", namespace)).await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send(r#"42["event"]"#).await;
    until("it waits", || io.metrics().handlers_waiting == 1).await;
    ws.send(&format!(r#"40{{"x":"{}"}}"#, "x".repeat(60_000)))
        .await;
    until("it counts", || io.metrics().inbound_bytes > 60_000).await;
    assert_eq!(io.metrics().sockets_connected, 1);
    go.add_permits(1);
    ws.text().await;
    assert_eq!(io.metrics().sockets_connected, 2);
}

#[tokio::test]
async fn handlers_that_outlive_their_connections_are_limited() {
    let logs = Logs::collect("warn");
    let (namespace, go, running) = waiting();
    let left = Arc::new(AtomicUsize::new(0));
    let leaving = Arc::clone(&left);
    let namespace = namespace.on_disconnect(move || {
        leaving.fetch_add(1, Ordering::SeqCst);
        std::future::ready(())
    });
    let (innocent, release, spared) = waiting();
    let (server, io) = with(|io| {
        io.namespace("/", namespace)
            .namespace("/innocent", innocent)
            .namespace("/healthy", echo().0)
            .limits(
                Limits::new()
                    .max_connections(2)
                    .max_detached_handlers(100)
                    .max_log_records(5),
            )
    })
    .await;
    let mut healthy = Ws::open(server.addr).await;
    healthy.join("/healthy").await;
    // This connection must not lose its handler, because others hold more.
    let mut innocent = Ws::open(server.addr).await;
    innocent.join("/innocent").await;
    innocent.send(r#"42/innocent,["wait",0]"#).await;
    until("it runs", || spared.load(Ordering::SeqCst) == 1).await;
    drop(innocent);
    until("it is detached", || io.metrics().detached_handlers == 1).await;
    for n in 1..=20 {
        let mut ws = Ws::joined(server.addr).await;
        ws.send_all(&[r#"42["wait",1]"#; 64]).await;
        until("they run", || io.metrics().events_received == n + n * 64).await;
        drop(ws);
        until("it has left", || left.load(Ordering::SeqCst) as u64 == n).await;
        until("they are few", || io.metrics().detached_handlers <= 100).await;
        healthy.alive_in("/healthy").await;
    }
    let metrics = io.metrics();
    assert!(metrics.detached_handlers_cancelled >= 64 * 19);
    assert_eq!(logs.with("too many handlers go on").len(), 5);
    assert_eq!(spared.load(Ordering::SeqCst), 1);
    assert_eq!(
        metrics.detached_handlers,
        1 + running.load(Ordering::SeqCst) as u64
    );
    assert_eq!(metrics.detached_handlers, metrics.handlers_waiting);
    go.add_permits(100);
    until("the others end", || running.load(Ordering::SeqCst) == 0).await;
    until("one is left", || io.metrics().detached_handlers == 1).await;
    let cancelled = metrics.detached_handlers_cancelled;
    assert_eq!(spared.load(Ordering::SeqCst), 1);
    release.add_permits(1);
    until("it ends", || spared.load(Ordering::SeqCst) == 0).await;
    until("none is left", || io.metrics().detached_handlers == 0).await;
    assert_eq!(io.metrics().detached_handlers_cancelled, cancelled);
}

#[tokio::test]
async fn records_of_cancelled_handlers_and_pauses_are_limited() {
    let logs = Logs::collect("warn");
    let (namespace, _go, running) = waiting();
    let (server, io) = with(|io| {
        io.namespace("/", namespace)
            .limits(Limits::new().max_detached_handlers(0).max_log_records(2))
    })
    .await;
    for n in 1..=5 {
        let mut ws = Ws::joined(server.addr).await;
        ws.send(r#"42["wait",1]"#).await;
        until("it runs", || io.metrics().events_received == n).await;
        drop(ws);
        until("it is cancelled", || {
            io.metrics().detached_handlers_cancelled == n
        })
        .await;
    }
    assert_eq!(running.load(Ordering::SeqCst), 0);
    let warnings = logs.with("too many handlers go on");
    assert_eq!(warnings.len(), 2, "{:?}", logs.records());
    assert_eq!(io.metrics().logs_left_out, 3);
    drop(server);

    let logs = Logs::collect("warn");
    let (server, io, _go, _running) = with_small_queue(Limits::new().max_log_records(2)).await;
    let clock = Clock::stop();
    let event = format!(r#"42["wait","{}"]"#, "x".repeat(500));
    let mut flooding = Vec::new();
    for n in 1..=5 {
        let ws = Ws::joined(server.addr).await;
        flooding.push(flood(ws, event.clone(), 20));
        until("it is paused", || pauses(&io).values().sum::<u64>() == n).await;
    }
    clock.advance(2 * SECOND).await;
    until("all are logged or left out", || {
        logs.with("reading is paused").len() as u64 + io.metrics().logs_left_out == 5
    })
    .await;
    assert_eq!(logs.with("reading is paused").len(), 2);
}

#[tokio::test]
async fn a_connection_that_is_open_goes_before_handlers_that_outlived_theirs() {
    let logs = Logs::collect("warn");
    let (namespace, _go, running) = waiting();
    let (open, go, _running) = waiting();
    let (server, io) = with(|io| {
        io.namespace("/", namespace)
            .namespace("/healthy", open)
            .limits(Limits::new().max_inbound_bytes(4 * MEGABYTE))
    })
    .await;
    let mut ws = Ws::joined(server.addr).await;
    let event = format!(r#"42["wait","{}"]"#, "x".repeat(900_000));
    ws.send_all(&[event.as_str(); 3]).await;
    until("they run", || running.load(Ordering::SeqCst) == 3).await;
    drop(ws);
    until("they are detached", || io.metrics().detached_handlers == 3).await;
    let mut healthy = Ws::open(server.addr).await;
    healthy.join("/healthy").await;
    let event = format!(r#"42/healthy,1["wait","{}"]"#, "x".repeat(400_000));
    healthy.send_all(&[event.as_str(); 6]).await;
    until("the others are cancelled", || {
        running.load(Ordering::SeqCst) == 0
    })
    .await;
    assert_eq!(io.metrics().detached_handlers_cancelled, 3);
    until("all of them run", || io.metrics().handlers_waiting == 6).await;
    go.add_permits(6);
    for _ in 0..6 {
        assert_eq!(healthy.text().await, "43/healthy,1[]");
    }
    let warnings = logs.with("hold too much");
    assert_eq!(warnings.len(), 1, "{:?}", logs.records());
    let option = r#"option="max_inbound_bytes" limit=4000000"#;
    assert!(warnings[0].contains(option), "{warnings:?}");
}

#[tokio::test]
async fn small_detached_handlers_survive_a_larger_open_connection() {
    let (namespace, go, running) = waiting();
    let (server, io) = with(|io| {
        io.namespace("/", namespace.max_pending(1))
            .namespace("/open", waiting().0)
            .limits(Limits::new().max_inbound_bytes(4 * MEGABYTE))
    })
    .await;
    let mut ws = Ws::joined(server.addr).await;
    let event = format!(r#"42["wait","{}"]"#, "x".repeat(900_000));
    ws.send_all(&[event.as_str(); 3]).await;
    let all = 2_700_000;
    until("all of them are held", || io.metrics().inbound_bytes > all).await;
    drop(ws);
    until("they are detached", || io.metrics().detached_handlers == 1).await;
    // One of them runs all the time, but it holds less and less.
    go.add_permits(2);
    until("one is left", || io.metrics().inbound_bytes < 1_000_000).await;
    let mut open = Ws::open(server.addr).await;
    open.join("/open").await;
    let event = format!(r#"42/open,["wait","{}"]"#, "x".repeat(400_000));
    let _flooding = flood(open, event, 8);
    is_paused_for(&io, "max_inbound_bytes").await;
    until("it is full", || io.metrics().inbound_bytes > 3_000_000).await;
    assert_eq!(io.metrics().detached_handlers_cancelled, 0);
    assert_eq!(running.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_cancelled_connection_runs_only_disconnect_handlers() {
    let (namespace, _go, running) = waiting();
    let left = Arc::new(AtomicUsize::new(0));
    let leaving = Arc::clone(&left);
    let namespace = namespace.max_pending(2).on_disconnect(move || {
        leaving.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<()>()
    });
    let (server, io) = with(|io| {
        io.namespace("/", namespace)
            .limits(Limits::new().max_detached_handlers(1))
    })
    .await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send_all(&[r#"42["wait",1]"#; 10]).await;
    until("two run", || running.load(Ordering::SeqCst) == 2).await;
    drop(ws);
    until("it has left", || left.load(Ordering::SeqCst) == 1).await;
    assert_eq!(running.load(Ordering::SeqCst), 0);
    assert_eq!(io.metrics().detached_handlers, 1);
    // A disconnect handler that never ends is finally cancelled too.
    let mut ws = Ws::joined(server.addr).await;
    ws.send_all(&[r#"42["wait",1]"#; 10]).await;
    until("two run", || running.load(Ordering::SeqCst) == 2).await;
    drop(ws);
    until("it has left", || left.load(Ordering::SeqCst) == 2).await;
    until("one is left", || io.metrics().detached_handlers == 1).await;
    assert_eq!(running.load(Ordering::SeqCst), 0);
}

#[cfg(feature = "compression")]
mod compressed {
    use axum_socketio::config::Compression;
    use flate2::{Compress, FlushCompress};
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::support::handshake;

    /// Creates a compressed frame.
    fn frame(opcode: Opcode, data: &[u8]) -> Vec<u8> {
        let mut compress = Compress::new(flate2::Compression::best(), false);
        let mut out = Vec::with_capacity(data.len() + 64);
        compress
            .compress_vec(data, &mut out, FlushCompress::Sync)
            .unwrap();
        out.truncate(out.len() - 4);
        let mut frame = masked_frame(opcode, &out, [1, 2, 3, 4]).to_vec();
        frame[0] |= 0x40;
        frame
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn zeros_that_were_compressed_are_limited_by_what_they_hold() {
        let hold = async |_: Data<Vec<Bytes>>| std::future::pending::<()>().await;
        let (server, io) = with(|io| {
            ["/", "/a", "/b"].into_iter().fold(
                io.compression(Compression::new().max_ratio(u32::MAX)),
                |io, nsp| io.namespace(nsp, Namespace::new().on("hold", hold)),
            )
        })
        .await;
        let offer = [(
            "Sec-WebSocket-Extensions",
            "permessage-deflate; client_max_window_bits",
        )];
        let (answer, http) = handshake(server.addr, crate::support::WEBSOCKET, &offer).await;
        assert_eq!(answer.status, 101);
        let (stream, _) = http.into_stream();
        let (_reading, mut writing) = stream.into_split();
        let mut bytes = Vec::new();
        for nsp in ["/", "/a", "/b"] {
            bytes.extend(frame(Opcode::Text, format!("40{nsp},").as_bytes()));
        }
        let zeros = frame(Opcode::Binary, &[0; 990_000]);
        let list: Vec<_> = (0..10)
            .map(|n| format!(r#"{{"_placeholder":true,"num":{n}}}"#))
            .collect();
        let list = list.join(",");
        for nsp in ["/", "/a", "/b"] {
            let text = format!(r#"4510-{nsp},["hold",[{list}]]"#);
            for _ in 0..64 {
                bytes.extend(frame(Opcode::Text, text.as_bytes()));
                bytes.extend(zeros.repeat(10));
            }
        }
        let sent = bytes.len();
        let sending = tokio::spawn(async move {
            let _ = writing.write_all(&bytes).await;
            writing
        });
        is_paused_for(&io, "max_running_bytes").await;
        let metrics = io.metrics();
        // Two events run (the second started below the limit of 16 MiB), and one waits in a queue of 8 MiB.
        let expected = 3 * 9_900_000;
        let held = metrics.inbound_bytes;
        assert!(
            (expected..expected + 100_000).contains(&held),
            "{held} of {sent} sent"
        );
        assert_eq!(metrics.handlers_waiting, 2);
        drop((_reading, sending.await.unwrap()));
    }
}
