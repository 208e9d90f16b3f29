//! Order, concurrency, cancellation.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::{Json, Router};
use axum_socketio::config::Order;
use axum_socketio::handler::Handler;
use axum_socketio::handler::RateLimit;
use axum_socketio::{Data, DisconnectReason, Limits, Namespace, Socket, SocketIo};
use tokio::sync::{Notify, Semaphore, mpsc};
use tower::ServiceBuilder;
use tower::limit::ConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::timeout::TimeoutLayer;

use super::with;
use crate::support::{Ws, serve, within};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// An extractor that waits longer for earlier events.
struct Slow;

impl<S: Sync> FromRequestParts<S> for Slow {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        Ok(Self)
    }
}

#[tokio::test]
async fn bodies_start_in_order_also_when_extractors_wait() {
    in_order(|namespace| namespace).await;
}

#[tokio::test]
async fn they_do_so_behind_layers_too() {
    let limit = RateLimit::new(1000, Duration::from_secs(1));
    in_order(|namespace| namespace.layer(limit.clone()).layer(limit.clone())).await;
}

async fn in_order(layered: impl FnOnce(Namespace) -> Namespace) {
    let log = Log::default();
    let (one, other) = (log.clone(), log.clone());
    let namespace = Namespace::new()
        .on("slow", move |_: Slow, Data(n): Data<u32>| async move {
            one.add(format!("slow {n}"))
        })
        .on("fast", move |Data(n): Data<u32>| async move {
            other.add(format!("fast {n}"))
        })
        .on("end", async || {});
    let (server, _io) = with(layered(namespace)).await;
    let mut client = Ws::joined(server.addr).await;
    client
        .send_all(&[
            r#"42["slow",1]"#,
            r#"42["fast",2]"#,
            r#"42["slow",3]"#,
            r#"42["fast",4]"#,
        ])
        .await;
    client.ask(r#"["end"]"#).await;
    assert_eq!(log.take(), ["slow 1", "fast 2", "slow 3", "fast 4"]);
}

async fn starts_and_ends(order: Order, one_at_a_time: bool) -> Vec<String> {
    let (log, go) = (Log::default(), Arc::new(Notify::new()));
    let (logged, gate) = (log.clone(), Arc::clone(&go));
    let work = move |Data(n): Data<u32>| async move {
        logged.add(format!("start {n}"));
        gate.notified().await;
        logged.add(format!("end {n}"));
    };
    let namespace = Namespace::new().order(order).on("other", async || {});
    let namespace = if one_at_a_time {
        namespace.on("work", work.one_at_a_time())
    } else {
        namespace.on("work", work)
    };
    let (server, _io) = with(namespace).await;
    let mut client = Ws::joined(server.addr).await;
    client
        .send_all(&[r#"421["work",1]"#, r#"422["work",2]"#])
        .await;
    for _ in 0..2 {
        within("both are done", async {
            while log
                .0
                .lock()
                .unwrap()
                .iter()
                .filter(|line| line.starts_with("start"))
                .count()
                == 0
            {
                tokio::task::yield_now().await;
            }
        })
        .await;
        go.notify_one();
        client.text().await;
    }
    log.take()
}

#[tokio::test]
async fn by_default_handlers_interleave_after_their_first_wait() {
    let lines = starts_and_ends(Order::Started, false).await;
    assert_eq!(lines[..2], ["start 1", "start 2"]);
}

#[tokio::test]
async fn one_at_a_time_a_handler_starts_when_the_one_before_has_returned() {
    for lines in [
        starts_and_ends(Order::Completed, false).await,
        starts_and_ends(Order::Started, true).await,
    ] {
        assert_eq!(lines, ["start 1", "end 1", "start 2", "end 2"]);
    }
}

#[tokio::test]
async fn a_handler_outlives_its_socket_unless_it_asks_not_to() {
    struct Told(mpsc::UnboundedSender<&'static str>, &'static str);

    impl Drop for Told {
        fn drop(&mut self) {
            self.0.send(self.1).ok();
        }
    }

    let (sender, mut told) = mpsc::unbounded_channel();
    let go = Arc::new(Notify::new());
    let (gate, done, dropped) = (Arc::clone(&go), sender.clone(), sender.clone());
    let namespace = Namespace::new()
        .on("stay", move || async move {
            gate.notified().await;
            done.send("stayed").ok();
        })
        .on(
            "go",
            (move || async move {
                let _told = Told(dropped.clone(), "cancelled");
                std::future::pending::<()>().await;
            })
            .cancel_on_disconnect(),
        )
        .on("wait", move |socket: Socket| async move {
            socket.closed().await;
            sender.send("closed").ok();
        })
        .on("end", async || {});
    let (server, _io) = with(namespace).await;
    let mut client = Ws::joined(server.addr).await;
    client
        .send_all(&[r#"42["stay"]"#, r#"42["go"]"#, r#"42["wait"]"#])
        .await;
    client.ask(r#"["end"]"#).await;
    drop(client);
    let mut both = [
        within("an end", told.recv()).await.unwrap(),
        within("an end", told.recv()).await.unwrap(),
    ];
    both.sort_unstable();
    assert_eq!(both, ["cancelled", "closed"]);
    go.notify_one();
    assert_eq!(within("its end", told.recv()).await, Some("stayed"));
}

#[tokio::test]
async fn a_handler_can_await_an_acknowledgement_of_its_client() {
    let namespace = Namespace::new()
        .order(Order::Completed)
        .on("ask", async |socket: Socket| {
            let answer = socket.emit_with_ack::<u8>("how many", ()).await;
            Json(answer.ok())
        });
    let (server, _io) = with(namespace).await;
    let mut client = Ws::joined(server.addr).await;
    client.send(r#"421["ask"]"#).await;
    assert_eq!(client.text().await, r#"420["how many"]"#);
    client.send("430[5]").await;
    assert_eq!(client.text().await, "431[5]");
}

#[tokio::test]
async fn layers_stop_what_takes_too_long_or_is_too_much() {
    let go = Arc::new(Notify::new());
    let gate = Arc::clone(&go);
    let limited = ServiceBuilder::new()
        .layer(LoadShedLayer::new())
        .layer(ConcurrencyLimitLayer::new(1));
    let busy = move || async move { gate.notified().await };
    let namespace = Namespace::new()
        .on("busy", busy.layer(limited))
        .on("late", std::future::pending::<()>)
        .layer(TimeoutLayer::new(Duration::from_millis(50)));
    let io = SocketIo::builder().namespace("/", namespace).build();
    let server = serve(Router::new().layer(io.layer())).await;
    let (mut one, mut other) = (Ws::joined(server.addr).await, Ws::joined(server.addr).await);
    assert_eq!(one.ask(r#"["late"]"#).await, r#"[{"error":"timed out"}]"#);
    one.send(r#"421["busy"]"#).await;
    one.send(r#"422["busy"]"#).await;
    assert_eq!(one.text().await, r#"432[{"error":"overloaded"}]"#);
    assert_eq!(
        other.ask(r#"["busy"]"#).await,
        r#"[{"error":"overloaded"}]"#,
        "shared by all sockets"
    );
}

#[tokio::test]
async fn an_event_that_waits_in_a_layer_does_not_hold_up_the_next() {
    let go = Arc::new(Notify::new());
    let gate = Arc::clone(&go);
    let busy = move |Data(n): Data<u32>| async move {
        gate.notified().await;
        Json(n)
    };
    let namespace = Namespace::new()
        .on("busy", busy.layer(ConcurrencyLimitLayer::new(1)))
        .on("free", async |Data(n): Data<u32>| Json(n));
    let (server, _io) = with(namespace).await;
    let mut client = Ws::joined(server.addr).await;
    client
        .send_all(&[r#"421["busy",1]"#, r#"422["busy",2]"#, r#"423["free",3]"#])
        .await;
    assert_eq!(client.text().await, "433[3]");
    for answer in ["431[1]", "432[2]"] {
        go.notify_one();
        assert_eq!(client.text().await, answer);
    }
}

/// Creates a namespace that logs its events. `wait` waits for a permit, `out` disconnects its socket after that.
fn logging(log: &Log, go: &Arc<Semaphore>) -> Namespace {
    let wait = |after: fn(&Socket)| {
        let (log, gate) = (log.clone(), Arc::clone(go));
        move |socket: Socket, Data(n): Data<u32>| {
            let (log, gate) = (log.clone(), Arc::clone(&gate));
            async move {
                log.add(format!("start {n}"));
                gate.acquire().await.unwrap().forget();
                after(&socket);
            }
        }
    };
    let (joins, leaves) = (log.clone(), log.clone());
    Namespace::new()
        .max_pending(1)
        .on_connect(move || async move { joins.add("joined") })
        .on("wait", wait(|_| {}))
        .on("out", wait(Socket::disconnect))
        .on_disconnect(move |reason: DisconnectReason| async move {
            leaves.add(reason.as_str());
        })
}

async fn logged(log: &Log, expected: &[&str]) {
    within("the log", async {
        while log.0.lock().unwrap().len() < expected.len() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(log.take(), expected);
}

#[tokio::test]
async fn events_sent_before_a_disconnect_are_handled_before_it() {
    let (log, go) = (Log::default(), Arc::new(Semaphore::new(0)));
    let (server, io) = with(logging(&log, &go)).await;
    let mut client = Ws::joined(server.addr).await;
    client
        .send_all(&[r#"42["wait",1]"#, r#"42["wait",2]"#, "41", "40"])
        .await;
    logged(&log, &["joined", "start 1"]).await;
    // The socket no longer counts, although its events wait.
    within("nobody", async {
        while !io.of("/").fetch_sockets().await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    go.add_permits(1);
    let then = ["start 2", "client namespace disconnect", "joined"];
    logged(&log, &then).await;
    assert!(client.text().await.starts_with("40{"));
}

#[tokio::test]
async fn events_sent_before_a_close_are_handled() {
    for order in [Order::Started, Order::Completed] {
        let (log, go) = (Log::default(), Arc::new(Semaphore::new(0)));
        let (server, _io) = with(logging(&log, &go).order(order).max_pending(2)).await;
        let mut client = Ws::joined(server.addr).await;
        client
            .send_all(&[r#"42["wait",1]"#, r#"42["wait",2]"#, r#"42["wait",3]"#, "1"])
            .await;
        go.add_permits(3);
        let then = ["joined", "start 1", "start 2", "start 3", "transport close"];
        logged(&log, &then).await;
    }
}

#[tokio::test]
async fn queued_events_are_dropped_when_the_socket_is_disconnected() {
    let (log, go) = (Log::default(), Arc::new(Semaphore::new(0)));
    let (server, _io) = with(logging(&log, &go)).await;
    let mut client = Ws::joined(server.addr).await;
    client
        .send_all(&[r#"42["out",1]"#, r#"42["wait",2]"#])
        .await;
    go.add_permits(1);
    assert_eq!(client.text().await, "41");
    let then = ["joined", "start 1", "server namespace disconnect"];
    logged(&log, &then).await;
    client.join("/").await;
    logged(&log, &["joined"]).await;
}

#[tokio::test]
async fn queued_events_are_dropped_when_the_connection_is_closed() {
    for (breaks, reason) in [(true, "forced close"), (false, "server shutting down")] {
        let (log, go) = (Log::default(), Arc::new(Semaphore::new(0)));
        let (server, io) = with(logging(&log, &go)).await;
        let mut client = Ws::joined(server.addr).await;
        client
            .send_all(&[r#"42["wait",1]"#, r#"42["wait",2]"#])
            .await;
        logged(&log, &["joined", "start 1"]).await;
        if breaks {
            client.send("42{}").await;
        } else {
            io.close();
            // The answer is sent after the start of the shutdown.
            client.is_read().await;
            go.add_permits(2);
        }
        logged(&log, &[reason]).await;
        drop(client);
        go.add_permits(2);
        io.close();
        within("the handler ends", io.closed()).await;
        assert!(log.take().is_empty(), "the second has not started");
    }
}

#[tokio::test]
async fn an_acknowledgement_behind_queued_events_reaches_its_handler() {
    let namespace = Namespace::new()
        .max_pending(1)
        .on("ask", async |socket: Socket| {
            let answer = socket.no_timeout().emit_with_ack::<u32>("q", ()).await;
            Json(answer.unwrap())
        })
        .on("x", async || {});
    let io = SocketIo::builder()
        .limits(Limits::new().max_queued_bytes(1000))
        .namespace("/", namespace)
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Ws::joined(server.addr).await;
    client
        .send_all(&[r#"427["ask"]"#, r#"42["x"]"#, r#"42["x"]"#])
        .await;
    assert_eq!(client.text().await, r#"420["q"]"#);
    client.send("430[1]").await;
    assert_eq!(client.text().await, "437[1]");
}
