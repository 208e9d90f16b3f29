//! A shutdown loses no acknowledgement of a running handler, and does not wait for clients that have left.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_socketio::config::Order;
use axum_socketio::{
    Ack, Data, DisconnectReason, Limits, Namespace, Socket, SocketIo, SocketIoBuilder, Timeouts,
};
use tokio::sync::{Semaphore, mpsc};

use crate::support::{
    Answer, Clock, Ended, Http, Logs, POLLING, Polling, Server, Ws, current_thread, serve, start,
    within,
};

const UNKNOWN: (u16, &str) = (400, r#"{"code":1,"message":"Session ID unknown"}"#);

/// A server whose handlers wait for a permit.
struct Held {
    server: Server,
    io: SocketIo,
    gate: Arc<Semaphore>,
    /// One message for each handler or middleware that has started and each socket that has left.
    seen: mpsc::UnboundedReceiver<String>,
}

/// A guard that sends a message when it is dropped.
struct Dropped(mpsc::UnboundedSender<String>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send("dropped".to_owned());
    }
}

fn namespace(gate: &Arc<Semaphore>, sender: &mpsc::UnboundedSender<String>) -> Namespace {
    let pass = {
        let (gate, sender) = (Arc::clone(gate), sender.clone());
        move |name: &'static str| {
            let (gate, sender) = (Arc::clone(&gate), sender.clone());
            async move {
                sender.send(name.to_owned()).unwrap();
                gate.acquire().await.unwrap().forget();
            }
        }
    };
    let (work, news, late) = (pass.clone(), pass.clone(), pass.clone());
    let (hang, echoes, left) = (sender.clone(), sender.clone(), sender.clone());
    Namespace::new()
        .on("work", move |Data(value): Data<u32>| {
            let work = work("work");
            async move {
                work.await;
                axum::Json(value)
            }
        })
        .on("news", move |socket: Socket| {
            let news = news("news");
            async move {
                news.await;
                socket.emit("news", "behind the signal");
                axum::Json("told")
            }
        })
        .on("ask", async |socket: Socket| {
            let answer = socket.emit_with_ack::<u32>("question", "how many?").await;
            axum::Json(answer.unwrap_or_default())
        })
        .on("late", move |ack: Ack<&'static str>| {
            let late = late("late");
            tokio::spawn(async move {
                late.await;
                ack.send("late");
            });
            std::future::ready(())
        })
        .on("hang", move || {
            let dropped = Dropped(hang.clone());
            hang.send("hang".to_owned()).unwrap();
            async move {
                let _dropped = dropped;
                std::future::pending::<()>().await;
            }
        })
        .on("echo", move |Data(text): Data<String>| {
            echoes.send("echo".to_owned()).unwrap();
            std::future::ready(axum::Json(text))
        })
        .on_disconnect(move |why: DisconnectReason| {
            let _ = left.send(why.to_string());
            std::future::ready(())
        })
}

async fn held(set: impl FnOnce(Namespace, SocketIoBuilder) -> SocketIoBuilder) -> Held {
    let gate = Arc::new(Semaphore::new(0));
    let (sender, seen) = mpsc::unbounded_channel();
    let other = sender.clone();
    let other = Namespace::new().middleware(move || {
        other.send("other".to_owned()).unwrap();
        std::future::ready(())
    });
    let builder = SocketIo::builder().namespace("/other", other);
    let io = set(namespace(&gate, &sender), builder).build();
    let server = serve(Router::new().layer(io.layer())).await;
    Held {
        server,
        io,
        gate,
        seen,
    }
}

async fn plain() -> Held {
    held(|namespace, io| io.namespace("/", namespace)).await
}

impl Held {
    async fn next(&mut self) -> String {
        within("a handler", self.seen.recv()).await.unwrap()
    }

    async fn saw(&mut self, expected: &str) {
        assert_eq!(self.next().await, expected);
    }

    /// Starts a shutdown, and waits until it has reached all connections, which a refused request shows.
    async fn close(&self) {
        self.io.close();
        let refused = Http::once(self.server.addr, "GET", POLLING).await;
        assert_eq!(refused.status, 503);
    }

    fn release(&self, handlers: usize) {
        self.gate.add_permits(handlers);
    }
}

fn ended(texts: &[&str]) -> Ended {
    Ended {
        texts: texts.iter().map(|&text| text.to_owned()).collect(),
        close: Some(None),
    }
}

/// Returns the bodies of polls until the session is closed.
async fn polls_to_the_end(client: &mut Polling, first: Option<Answer>) -> Vec<String> {
    let mut bodies = Vec::new();
    if let Some(first) = first {
        bodies.push(first.text().to_owned());
    }
    while bodies.last().is_none_or(|body| !body.ends_with('1')) {
        bodies.push(client.poll().await);
    }
    bodies
}

#[tokio::test]
async fn forty_clients_get_the_acknowledgements_of_their_running_handlers() {
    let mut held = plain().await;
    let mut sockets = Vec::new();
    let mut polls = Vec::new();
    for at in 0..20 {
        let mut socket = Ws::joined(held.server.addr).await;
        socket.send(&format!(r#"42{at}["work",{at}]"#)).await;
        held.saw("work").await;
        sockets.push(socket);
        let mut poll = Polling::joined(held.server.addr).await;
        poll.send(&format!(r#"42{at}["work",{at}]"#)).await;
        held.saw("work").await;
        // Every second client has a pending poll.
        if at % 2 == 0 {
            poll.begin_poll(&held.server).await;
        }
        polls.push(poll);
    }
    held.close().await;
    assert_eq!(held.io.client_count(), 40);
    held.release(40);
    for (at, socket) in sockets.iter_mut().enumerate() {
        assert_eq!(socket.ended().await, ended(&[&format!("43{at}[{at}]")]));
    }
    for (at, poll) in polls.iter_mut().enumerate() {
        let first = match at % 2 {
            0 => Some(poll.end_poll().await),
            _ => None,
        };
        let bodies = polls_to_the_end(poll, first).await;
        assert_eq!(bodies[0], format!("43{at}[{at}]"));
        assert!(bodies[1..].iter().all(|body| body.ends_with('1')));
    }
    within("the end", held.io.closed()).await;
    for _ in 0..40 {
        held.saw("server shutting down").await;
    }
}

#[tokio::test]
async fn events_of_handlers_that_run_during_a_shutdown_arrive() {
    let mut held = plain().await;
    let mut client = Ws::joined(held.server.addr).await;
    client.send(r#"421["news"]"#).await;
    held.saw("news").await;
    held.close().await;
    assert!(held.seen.try_recv().is_err(), "it is still connected");
    held.io.emit("all", "to those who are left");
    held.release(1);
    let texts = [
        r#"42["all","to those who are left"]"#,
        r#"42["news","behind the signal"]"#,
        r#"431["told"]"#,
    ];
    assert_eq!(client.ended().await, ended(&texts));
    held.saw("server shutting down").await;
}

#[tokio::test]
async fn events_that_wait_or_arrive_later_do_not_start() {
    for completed in [false, true] {
        let mut held = held(|namespace, io| {
            if completed {
                io.namespace("/", namespace.order(Order::Completed))
            } else {
                io.limits(Limits::new().max_pending(1))
                    .namespace("/", namespace)
            }
        })
        .await;
        let mut client = Ws::joined(held.server.addr).await;
        let waits = [r#"421["work",1]"#, r#"422["work",2]"#, r#"423["echo","x"]"#];
        client.send_all(&waits).await;
        held.saw("work").await;
        held.close().await;
        client.send_all(&[r#"424["echo","y"]"#, "40/other,"]).await;
        client.is_read().await;
        held.release(5);
        assert_eq!(client.ended().await, ended(&["431[1]"]));
        held.saw("server shutting down").await;
        within("the end", held.io.closed()).await;
        assert!(held.seen.try_recv().is_err(), "nothing else started");
    }
}

#[tokio::test]
async fn a_handler_still_gets_the_acknowledgement_that_it_awaits() {
    let held = plain().await;
    let mut socket = Ws::joined(held.server.addr).await;
    socket.send(r#"421["ask"]"#).await;
    let question = |id| format!(r#"42{id}["question","how many?"]"#);
    assert_eq!(socket.text().await, question(0));
    let mut poll = Polling::joined(held.server.addr).await;
    poll.send(r#"421["ask"]"#).await;
    assert_eq!(poll.poll().await, question(1));
    held.close().await;
    // The acknowledgement is queued behind events that are not handled.
    let mut events = vec![r#"42["echo","x"]"#; 2000];
    events.push("430[7]");
    socket.send_all(&events).await;
    assert_eq!(socket.ended().await, ended(&["431[7]"]));
    *events.last_mut().unwrap() = "431[7]";
    poll.send(&events.join("\x1e")).await;
    assert_eq!(polls_to_the_end(&mut poll, None).await[0], "431[7]");
    within("the end", held.io.closed()).await;
}

#[tokio::test]
async fn an_acknowledgement_that_a_task_has_taken_over_is_awaited() {
    let mut held = plain().await;
    let mut client = Ws::joined(held.server.addr).await;
    client.send(r#"421["late"]"#).await;
    held.saw("late").await;
    held.close().await;
    assert_eq!(held.io.client_count(), 1);
    held.release(1);
    assert_eq!(client.ended().await, ended(&[r#"431["late"]"#]));
}

#[tokio::test]
async fn an_upgrade_goes_on_while_a_handler_runs() {
    let mut held = plain().await;
    let mut client = Polling::joined(held.server.addr).await;
    client.send(r#"421["work",1]"#).await;
    held.saw("work").await;
    held.close().await;
    let mut ws = Ws::upgrade(held.server.addr, &client.sid).await.unwrap();
    ws.send("2probe").await;
    assert_eq!(ws.text().await, "3probe");
    held.release(1);
    // The handler has finished during the upgrade: the answer is sent over the next transport.
    ws.send("5").await;
    assert_eq!(ws.ended().await, ended(&["431[1]"]));
    within("the end", held.io.closed()).await;
}

#[tokio::test]
async fn a_second_signal_closes_at_once_who_was_to_follow_later() {
    let mut held = held(|namespace, io| {
        let hour = Duration::from_secs(3600);
        io.timeouts(Timeouts::new().drain_window(hour).drain_limit(hour))
            .namespace("/", namespace)
    })
    .await;
    let mut clients = [
        Ws::joined(held.server.addr).await,
        Ws::joined(held.server.addr).await,
    ];
    for client in &mut clients {
        client.send(r#"421["work",1]"#).await;
        held.saw("work").await;
    }
    let graceful = tokio::spawn(held.io.graceful(async {}));
    held.release(2);
    for client in &mut clients {
        assert_eq!(client.text().await, "431[1]");
    }
    held.io.close();
    for client in &mut clients {
        assert_eq!(client.ended().await, ended(&[]));
    }
    within("the end", graceful).await.unwrap();
}

#[tokio::test]
async fn a_handler_that_never_ends_is_dropped_at_the_limit() {
    let limit = Duration::from_secs(30);
    let mut held = held(|namespace, io| {
        io.timeouts(Timeouts::new().drain_limit(limit))
            .namespace("/", namespace)
    })
    .await;
    let mut socket = Ws::joined(held.server.addr).await;
    socket.send(r#"421["hang"]"#).await;
    held.saw("hang").await;
    let mut poll = Polling::joined(held.server.addr).await;
    poll.send(r#"421["hang"]"#).await;
    held.saw("hang").await;
    poll.begin_poll(&held.server).await;
    // The handler of this client continues after the client has left.
    let mut gone = Ws::joined(held.server.addr).await;
    gone.send(r#"421["hang"]"#).await;
    held.saw("hang").await;
    gone.close().await;
    gone.ended().await;
    held.saw("transport close").await;
    let clock = Clock::stop();
    held.close().await;
    clock.advance(limit - Duration::from_secs(1)).await;
    socket.send(r#"421["echo","x"]"#).await;
    assert!(held.seen.try_recv().is_err(), "all are still under way");
    clock.advance(Duration::from_secs(1)).await;
    assert_eq!(socket.ended().await, ended(&[]));
    assert_eq!(poll.end_poll().await.brief(), (200, "1"));
    for _ in 0..2 {
        held.saw("dropped").await;
        held.saw("server shutting down").await;
    }
    drop((socket, gone));
    clock.advance(Duration::from_secs(1)).await;
    held.saw("dropped").await;
    within("the end", held.io.closed()).await;
}

#[tokio::test]
async fn a_shutdown_awaits_connect_handlers_but_not_middleware() {
    let limit = Duration::from_secs(30);
    let gate = Arc::new(Semaphore::new(0));
    let (sender, mut seen) = mpsc::unbounded_channel();
    let (asked, open) = (sender.clone(), Arc::clone(&gate));
    let slow = Namespace::new().middleware(move || {
        asked.send("middleware").unwrap();
        std::future::pending::<Result<(), String>>()
    });
    let greets = Namespace::new().on_connect(move |socket: Socket| {
        let (sender, open) = (sender.clone(), Arc::clone(&open));
        async move {
            sender.send("connect").unwrap();
            open.acquire().await.unwrap().forget();
            socket.emit("welcome", ());
        }
    });
    let io = SocketIo::builder()
        .namespace("/slow", slow)
        .namespace("/", greets)
        .timeouts(Timeouts::new().drain_limit(limit))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let clock = Clock::stop();
    let mut waits = Ws::open(server.addr).await;
    waits.send("40/slow,").await;
    let mut joined = Ws::joined(server.addr).await;
    let mut started = [
        within("a handler", seen.recv()).await,
        within("a handler", seen.recv()).await,
    ];
    started.sort_unstable();
    assert_eq!(started, [Some("connect"), Some("middleware")]);
    io.close();
    assert_eq!(waits.ended().await, ended(&[]));
    gate.add_permits(1);
    assert_eq!(joined.ended().await, ended(&[r#"42["welcome"]"#]));
    // The middleware outlives its connection.
    clock.advance(limit).await;
    within("the end", io.closed()).await;
}

#[cfg(feature = "v3")]
#[tokio::test]
async fn clients_of_revision_3_get_their_acknowledgements_too() {
    let mut held = held(|namespace, io| io.allow_eio3().namespace("/", namespace)).await;
    let target = "/socket.io/?EIO=3&transport=websocket";
    let mut socket = Ws::raw(held.server.addr, target).await.unwrap();
    assert!(socket.text().await.starts_with('0'));
    assert_eq!(socket.text().await, "40");
    socket.send(r#"421["work",1]"#).await;
    held.saw("work").await;

    let target = "/socket.io/?EIO=3&transport=polling";
    let open = Http::once(held.server.addr, "GET", target).await;
    let (_, json) = open.text().split_once("0{").unwrap();
    let (json, _) = json.split_once('}').unwrap();
    let sid = crate::support::sid_in(&format!("{{{json}}}"));
    let target = format!("{target}&sid={sid}");
    let mut poll = Http::open(held.server.addr).await;
    let event = br#"13:421["work",1]"#;
    let taken = poll.ask("POST", &target, &[], &event[..]).await;
    assert_eq!(taken.brief(), (200, "ok"));
    held.saw("work").await;
    held.close().await;
    held.release(2);
    assert_eq!(socket.ended().await, ended(&["431[1]"]));
    let mut bodies = String::new();
    while !bodies.ends_with("1:1") {
        let answer = poll.ask("GET", &target, &[], b"").await;
        assert_eq!(answer.status, 200, "{bodies}");
        bodies.push_str(answer.text());
    }
    assert!(bodies.contains("6:431[1]"), "{bodies}");
    within("the end", held.io.closed()).await;
}

#[tokio::test]
async fn nobody_waits_for_sessions_that_nobody_polls() {
    let (server, io, mut reasons) = start(|io| io).await;
    let probe = Http::once(server.addr, "GET", POLLING).await;
    assert_eq!(probe.status, 200);
    let vanished = Polling::joined(server.addr).await;
    let clock = Clock::stop();
    // The last poll of the session was answered long ago.
    clock.advance(Duration::from_secs(1)).await;
    let fresh = Http::once(server.addr, "GET", POLLING).await;
    assert_eq!(fresh.status, 200);
    io.close();
    // The clock is stopped, so no deadline is reached.
    within("the end", io.closed()).await;
    assert_eq!(reasons.next().await, "server shutting down");
    vanished.gone().await;
}

#[tokio::test]
async fn a_shutdown_reaches_a_client_between_two_polls() {
    let (server, io, _reasons) = start(|io| io).await;
    let _clock = Clock::stop();
    let mut client = Polling::joined(server.addr).await;
    io.close();
    let refused = Http::once(server.addr, "GET", POLLING).await;
    assert_eq!(refused.status, 503);
    assert!(client.poll().await.ends_with('1'));
    within("the end", io.closed()).await;
}

#[tokio::test]
async fn packets_wait_five_seconds_for_a_poll_during_a_shutdown() {
    let (server, io, _reasons) = start(|io| io).await;
    let clock = Clock::stop();
    let vanished = Polling::joined(server.addr).await;
    let mut slow = Polling::joined(server.addr).await;
    clock.advance(Duration::from_secs(10)).await;
    io.emit("news", "for those who are slow");
    io.close();
    let refused = Http::once(server.addr, "GET", POLLING).await;
    assert_eq!(refused.status, 503);
    clock.advance(Duration::from_secs(4)).await;
    assert_eq!(slow.poll().await, r#"42["news","for those who are slow"]"#);
    assert!(slow.poll().await.ends_with('1'));
    let closed = tokio::spawn({
        let io = io.clone();
        async move { io.closed().await }
    });
    tokio::task::yield_now().await;
    assert!(!closed.is_finished());
    clock.advance(Duration::from_secs(1)).await;
    within("the end", closed).await.unwrap();
    vanished.gone().await;
}

#[tokio::test]
async fn a_session_that_was_closing_before_the_shutdown_does_not_delay_it() {
    let namespace = Namespace::new().on_connect(async |socket: Socket| {
        let _ = socket.close(4000, "go away");
    });
    let io = SocketIo::builder().namespace("/", namespace).build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut client = Polling::open(server.addr).await;
    client.send("40").await;
    assert!(client.poll().await.starts_with("40"));
    let clock = Clock::stop();
    clock.advance(Duration::from_secs(1)).await;
    assert_eq!(io.client_count(), 1, "it may still poll");
    io.close();
    within("the end", io.closed()).await;
}

#[tokio::test]
async fn a_post_under_way_ends_with_its_session() {
    for polls in [false, true] {
        let (server, io, _reasons) = start(|io| io).await;
        let clock = Clock::stop();
        let mut client = Polling::joined(server.addr).await;
        if polls {
            client.begin_poll(&server).await;
        }
        client.begin_post(&server, 1000, b"42[\"echo\",").await;
        clock.advance(Duration::from_secs(1)).await;
        io.close();
        assert_eq!(client.end_post().await.brief(), UNKNOWN);
        if polls {
            assert!(client.end_poll().await.text().ends_with('1'));
        }
        within("the end", io.closed()).await;
        drop(clock);
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_server_that_is_full_refuses_with_503_while_it_shuts_down() {
    let address = "192.0.2.1".parse().unwrap();
    let mut held = held(|namespace, io| {
        io.namespace("/", namespace)
            .max_connections_per_address(1, move |_| Some(address))
    })
    .await;
    let mut client = Ws::joined(held.server.addr).await;
    client.send(r#"421["work",1]"#).await;
    held.saw("work").await;
    let refused = Http::once(held.server.addr, "GET", POLLING).await;
    assert_eq!(refused.status, 429);
    // The client reconnects while the old connection drains: a proxy tries another server after 503, but not after 429.
    held.close().await;
    held.release(1);
    assert_eq!(client.ended().await, ended(&["431[1]"]));
}

#[test]
fn connections_that_are_dropped_with_the_runtime_are_logged_as_cut_off() {
    let logs = Logs::collect("info");
    let runtime = current_thread();
    let (mut held, clients) = runtime.block_on(async {
        let held = plain().await;
        let mut busy = Ws::joined(held.server.addr).await;
        busy.send(r#"421["hang"]"#).await;
        let idle = Ws::joined(held.server.addr).await;
        (held, [busy, idle])
    });
    runtime.block_on(held.saw("hang"));
    // These calls are made outside of the runtime.
    held.io.close();
    held.io.close();
    runtime.block_on(held.saw("server shutting down"));
    drop(clients);
    drop(runtime);
    let end = logs.with("shut down: ");
    assert_eq!(end.len(), 1, "{:?}", logs.records());
    assert!(end[0].contains("closed=1 cut_off=1"), "{end:?}");
}
