//! Races: concurrent events, and events in an unusual order.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::middleware::{Next, from_fn};
use axum::{Extension, Json, Router};
use axum_socketio::handler::Handler;
use axum_socketio::{
    Data, DisconnectReason, Limits, Namespace, Refused, Socket, SocketIo, SocketIoBuilder, Timeouts,
};
use serde_json::Value;
use tokio::sync::{Notify, Semaphore, mpsc};

use crate::support::{
    Ended, Http, POLLING, Polling, Reasons, Server, WEBSOCKET, Ws, current_thread, echo, serve,
    within,
};

async fn with(
    namespace: Namespace,
    set: impl FnOnce(SocketIoBuilder) -> SocketIoBuilder,
) -> (Server, SocketIo) {
    let io = set(SocketIo::builder().namespace("/", namespace)).build();
    (serve(Router::new().layer(io.layer())).await, io)
}

#[tokio::test]
async fn a_handshake_that_a_shutdown_overtakes_is_closed_and_waited_for() {
    let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let io = SocketIo::builder().namespace("/", echo().0).build();
    let (reached, gate) = (Arc::clone(&arrived), Arc::clone(&go));
    // A layer that delays the response of the server.
    let app =
        Router::new()
            .layer(io.layer())
            .layer(from_fn(move |request: Request, next: Next| {
                let (reached, gate) = (Arc::clone(&reached), Arc::clone(&gate));
                async move {
                    let answer = next.run(request).await;
                    reached.notify_one();
                    gate.notified().await;
                    answer
                }
            }));
    let server = serve(app).await;
    let addr = server.addr;
    let client = tokio::spawn(Ws::raw(addr, WEBSOCKET));
    within("a handshake", arrived.notified()).await;
    io.close();
    let closed = tokio::spawn({
        let io = io.clone();
        async move { io.closed().await }
    });
    tokio::task::yield_now().await;
    assert!(!closed.is_finished(), "a handshake is under way");
    go.notify_one();
    let mut client = within("an answer", client).await.unwrap().unwrap();
    assert_eq!(client.ended().await.close, Some(None));
    within("the end", closed).await.unwrap();
}

#[tokio::test]
async fn a_client_that_reads_gets_all_acknowledgements_of_a_flood() {
    const EVENTS: usize = 20_000;

    let (server, _io) = with(Namespace::new().on("e", async || {}), |io| io).await;
    let mut ws = Ws::joined(server.addr).await;
    let events: Vec<_> = (0..EVENTS).map(|id| format!(r#"42{id}["e"]"#)).collect();
    let events: Vec<_> = events.iter().map(String::as_str).collect();
    ws.send_all(&events).await;
    for id in 0..EVENTS {
        assert_eq!(ws.text().await, format!("43{id}[]"));
    }

    let mut polling = Polling::joined(server.addr).await;
    let body = events[..1000].join("\x1e");
    polling
        .begin_post(&server, body.len(), body.as_bytes())
        .await;
    let mut expected = 0;
    while expected < 1000 {
        for ack in polling.poll().await.split('\x1e') {
            assert_eq!(ack, format!("43{expected}[]"));
            expected += 1;
        }
    }
    assert_eq!(polling.end_post().await.brief(), (200, "ok"));
}

#[tokio::test]
async fn protocol_packets_are_sent_though_the_outbox_is_full() {
    let fill = |socket: &Socket| {
        for n in 0..10 {
            socket.emit("x", n);
        }
        assert!(!socket.emit("x", 10).ok(), "full");
    };
    let namespace = Namespace::new()
        .on("ack", async move |socket: Socket| {
            fill(&socket);
            Json(1)
        })
        .on("bye", async move |socket: Socket| {
            fill(&socket);
            socket.disconnect();
        });
    let (server, _io) = with(namespace, |io| {
        io.limits(Limits::new().max_outbox_packets(10))
    })
    .await;
    let mut ws = Ws::joined(server.addr).await;
    for (event, owed) in [(r#"421["ack"]"#, "431[1]"), (r#"42["bye"]"#, "41")] {
        ws.send(event).await;
        for n in 0..10 {
            assert_eq!(ws.text().await, format!(r#"42["x",{n}]"#));
        }
        assert_eq!(ws.text().await, owed);
    }
}

#[tokio::test]
async fn leaving_and_joining_anew_starts_no_more_handlers_than_the_limit() {
    let running = Arc::new(AtomicUsize::new(0));
    let (events, middleware) = (Arc::clone(&running), Arc::clone(&running));
    let start = |running: &Arc<AtomicUsize>| {
        running.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<()>()
    };
    let io = SocketIo::builder()
        .namespace("/", Namespace::new().on("wait", move || start(&events)))
        .namespace(
            "/mw",
            Namespace::new().middleware(move || start(&middleware)),
        )
        .limits(Limits::new().max_handlers(10))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut ws = Ws::open(server.addr).await;
    for _ in 0..6 {
        ws.send_all(&["40", r#"42["wait"]"#, r#"42["wait"]"#, "41"])
            .await;
    }
    for _ in 0..6 {
        ws.send_all(&["40/mw,", "41/mw,"]).await;
    }
    // Five clients could join. A POST of the same connection shows that everything sent before it has been read.
    for _ in 0..5 {
        assert!(ws.text().await.starts_with("40{"));
    }
    ws.is_read().await;
    assert_eq!(running.load(Ordering::SeqCst), 10);
}

#[tokio::test]
async fn many_joins_that_fail_at_once_need_no_deeper_stack_than_one() {
    const JOINS: usize = 1000;

    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let wait = async move || gate.acquire().await.unwrap().forget();
    let io = SocketIo::builder()
        .namespace("/", Namespace::new().on("wait", wait))
        .namespace(
            "/bad",
            Namespace::new().on_connect(async || Err::<(), _>(Refused::new("no"))),
        )
        .limits(Limits::new().max_handlers(1))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send(r#"42["wait"]"#).await;
    ws.send_all(&["40/bad,", "41/bad,"].repeat(JOINS)).await;
    ws.is_read().await;
    go.add_permits(1);
    for _ in 0..JOINS {
        assert!(ws.text().await.starts_with("40/bad,{"));
        assert_eq!(ws.text().await, "41/bad,");
    }
}

#[tokio::test]
async fn a_room_joined_in_a_middleware_is_entered_on_admission() {
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let namespace = Namespace::new()
        .middleware(async |socket: Socket| socket.join("secret"))
        .middleware(move || async move {
            gate.acquire().await.unwrap().forget();
        });
    let (server, io) = with(namespace, |io| io).await;
    let mut ws = Ws::open(server.addr).await;
    ws.send("40").await;
    // A ping shows that the CONNECT before it has been read.
    ws.is_read().await;
    io.to("secret").emit("early", ());
    go.add_permits(1);
    assert!(ws.text().await.starts_with("40{"));
    io.to("secret").emit("late", ());
    assert_eq!(ws.text().await, r#"42["late"]"#);
}

/// An extractor that waits for a permit.
struct Gate;

impl<S: Sync> FromRequestParts<S> for Gate {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let permits = parts.extensions.get::<Arc<Semaphore>>().cloned().unwrap();
        permits.acquire().await.unwrap().forget();
        Ok(Self)
    }
}

fn reasons(namespace: Namespace) -> (Namespace, mpsc::UnboundedReceiver<DisconnectReason>) {
    let (sender, reasons) = mpsc::unbounded_channel();
    let namespace = namespace.on_disconnect(move |why: DisconnectReason| {
        let _ = sender.send(why);
        std::future::ready(())
    });
    (namespace, reasons)
}

#[tokio::test]
async fn malformed_arguments_do_not_block_ordered_events() {
    let permits = Arc::new(Semaphore::new(0));
    let given = Arc::clone(&permits);
    let handle = async |_: Gate, Data(_): Data<Value>| {};
    let namespace = Namespace::new()
        .middleware(move || std::future::ready(Extension(Arc::clone(&given))))
        .on("e", handle.one_at_a_time());
    let (namespace, mut reasons) = reasons(namespace);
    let (server, _io) = with(namespace, |io| io).await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send_all(&[r#"42["e",{bad}]"#, r#"42["e",1]"#, "41"])
        .await;
    permits.add_permits(10);
    within("a disconnect", reasons.recv()).await.unwrap();
    assert_eq!(ws.ended().await.close, Some(None));
}

#[tokio::test]
async fn a_poll_that_overlaps_at_the_end_is_answered_though_a_handler_runs() {
    let namespace = Namespace::new().on("wait", std::future::pending::<()>);
    let (server, _io) = with(namespace, |io| io).await;
    let mut client = Polling::joined(server.addr).await;
    client.send(r#"42["wait"]"#).await;
    client.begin_poll(&server).await;
    let target = client.target();
    for status in [400, 400] {
        let mut late = Http::open(server.addr).await;
        assert_eq!(late.ask("GET", &target, &[], b"").await.status, status);
    }
}

#[tokio::test]
async fn a_refusal_is_not_sent_to_the_next_socket_of_a_client() {
    let permits = Arc::new(Semaphore::new(0));
    let (gate, attempts) = (Arc::clone(&permits), Arc::new(AtomicUsize::new(0)));
    let (done, mut refused) = mpsc::unbounded_channel();
    let namespace = Namespace::new()
        .middleware(move || {
            let first = attempts.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if first {
                    gate.acquire().await.unwrap().forget();
                    done.send(()).unwrap();
                    return Err(Refused::new("first"));
                }
                Ok(())
            }
        })
        .on("echo", async |Data(text): Data<String>| Json(text));
    let (server, _io) = with(namespace, |io| io).await;
    let mut ws = Ws::open(server.addr).await;
    ws.send_all(&["40", "41", "40"]).await;
    assert!(ws.text().await.starts_with("40{"));
    permits.add_permits(1);
    within("the refusal", refused.recv()).await.unwrap();
    ws.alive().await;
}

/// A value that panics when it is cloned after it has been armed.
struct Bomb(Arc<AtomicBool>);

impl Clone for Bomb {
    fn clone(&self) -> Self {
        assert!(!self.0.load(Ordering::SeqCst), "on purpose");
        Self(Arc::clone(&self.0))
    }
}

#[tokio::test]
async fn a_panic_before_the_handler_has_begun_loses_that_event_only() {
    let armed = Arc::new(AtomicBool::new(false));
    let bomb = Bomb(Arc::clone(&armed));
    let namespace = Namespace::new()
        .on("bomb", move || {
            let _held = &bomb;
            std::future::ready(())
        })
        .on("echo", async |Data(text): Data<String>| Json(text));
    let (namespace, mut reasons) = reasons(namespace);
    let (server, _io) = with(namespace, |io| io).await;
    let mut ws = Ws::joined(server.addr).await;
    armed.store(true, Ordering::SeqCst);
    assert_eq!(
        ws.ask(r#"["bomb"]"#).await,
        r#"[{"error":"internal error"}]"#
    );
    ws.alive().await;
    ws.send("41").await;
    within("a disconnect", reasons.recv()).await.unwrap();
}

/// A test in which each of many sockets is disconnected by another thread while its connection ends: its handler runs
/// once, whichever is first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disconnect_that_crosses_the_end_of_the_connection_is_handled_once() {
    const TIMES: usize = 500;

    let (sender, mut sockets) = mpsc::unbounded_channel();
    let namespace = Namespace::new().on_connect(move |socket: Socket| {
        let _ = sender.send(socket);
        std::future::ready(())
    });
    let (namespace, mut left) = reasons(namespace);
    let (server, _io) = with(namespace, |io| io).await;
    let (orders, received) = std::sync::mpsc::channel::<(Socket, usize)>();
    let thread = std::thread::spawn(move || {
        for (socket, spin) in received {
            (0..spin).for_each(|_| std::hint::spin_loop());
            socket.disconnect();
        }
    });
    for n in 0..TIMES {
        let mut ws = Ws::joined(server.addr).await;
        let socket = within("a socket", sockets.recv()).await.unwrap();
        orders.send((socket, n % 60 * 20)).unwrap();
        ws.send("1").await;
        within("a disconnect", left.recv()).await.unwrap();
    }
    drop(orders);
    thread.join().unwrap();
    assert!(left.try_recv().is_err(), "handled once each");
}

#[tokio::test]
async fn an_upgrade_may_end_while_the_session_is_closing() {
    let (sender, mut sockets) = mpsc::unbounded_channel();
    let namespace = Namespace::new().on_connect(move |socket: Socket| {
        let _ = sender.send(socket);
        std::future::ready(())
    });
    let (server, _io) = with(namespace, |io| io).await;
    let client = Polling::joined(server.addr).await;
    let socket = within("a socket", sockets.recv()).await.unwrap();
    let mut ws = Ws::upgrade(server.addr, &client.sid).await.unwrap();
    ws.send("2probe").await;
    assert_eq!(ws.text().await, "3probe");
    // The client no longer polls: further packets are sent over the WebSocket.
    socket.disconnect_all();
    ws.send("5").await;
    assert_eq!(
        ws.ended().await,
        Ended {
            texts: vec!["41".to_owned()],
            close: Some(None),
        }
    );
}

#[tokio::test]
async fn a_long_queue_does_not_keep_the_ping_from_a_polling_client() {
    let (namespace, mut reasons): (Namespace, Reasons) = echo();
    let (sender, mut sockets) = mpsc::unbounded_channel();
    let namespace = namespace.on_connect(move |socket: Socket| {
        let _ = sender.send(socket);
        std::future::ready(())
    });
    let (server, _io) = with(namespace, |io| {
        io.timeouts(Timeouts::new().ping_interval(Duration::from_millis(50)))
    })
    .await;
    let mut client = Polling::joined(server.addr).await;
    let socket = within("a socket", sockets.recv()).await.unwrap();
    for n in 0..9000 {
        assert!(socket.emit("n", n).ok());
    }
    // The ping arrives long before the queue is empty.
    let mut polls = 0;
    while !client
        .poll()
        .await
        .split('\x1e')
        .any(|packet| packet == "2")
    {
        polls += 1;
        assert!(polls < 500, "no ping among {polls} polls");
    }
    reasons.none();
}

/// An extractor that increments a number in the request's extensions.
struct Raised(u32);

impl<S: Sync> FromRequestParts<S> for Raised {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let raised = parts.extensions.get::<u32>().map_or(0, |number| number + 1);
        parts.extensions.insert(raised);
        Ok(Self(raised))
    }
}

#[tokio::test]
async fn an_extension_that_an_extractor_replaced_is_put_back() {
    let namespace = Namespace::new()
        .middleware(async || Extension(7_u32))
        .on("raise", async |Raised(one): Raised, Raised(two): Raised| {
            Json([one, two])
        })
        .on("read", async |Extension(number): Extension<u32>| {
            Json(number)
        });
    let (server, _io) = with(namespace, |io| io).await;
    let mut ws = Ws::joined(server.addr).await;
    for _ in 0..2 {
        assert_eq!(ws.ask(r#"["raise"]"#).await, "[[8,9]]");
        assert_eq!(ws.ask(r#"["read"]"#).await, "[7]");
    }
}

#[test]
fn a_value_that_is_replaced_may_look_at_its_socket_when_it_is_dropped() {
    struct Looks(Socket);

    impl Drop for Looks {
        fn drop(&mut self) {
            assert!(self.0.get::<u8>().is_none());
        }
    }

    // The test runs on a thread of its own, which a deadlock would block for ever.
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        current_thread().block_on(async {
            let namespace = Namespace::new().on("twice", async |socket: Socket| {
                for _ in 0..2 {
                    socket.insert(Arc::new(Looks(socket.clone())));
                }
                Json("done")
            });
            let (server, _io) = with(namespace, |io| io).await;
            let mut ws = Ws::joined(server.addr).await;
            ws.send(r#"421["twice"]"#).await;
            assert_eq!(ws.text().await, r#"431["done"]"#);
        });
        done.send(()).unwrap();
    });
    assert_eq!(wait.recv_timeout(Duration::from_secs(60)), Ok(()));
}

#[test]
fn a_post_whose_connection_is_gone_with_its_runtime_is_answered() {
    use axum::body::Body;
    use axum::http::StatusCode;
    use tower::ServiceExt;

    let (one, other) = (current_thread(), current_thread());
    let io = SocketIo::builder().namespace("/", echo().0).build();
    let ask = |method: &str, target: &str, body: Body| {
        let request = Request::builder().method(method).uri(target);
        io.service().oneshot(request.body(body).unwrap())
    };
    let open = one.block_on(async {
        let open = ask("GET", POLLING, Body::empty()).await.unwrap();
        let open = axum::body::to_bytes(open.into_body(), 1000).await.unwrap();
        String::from_utf8(open.to_vec()).unwrap()
    });
    let sid = open.split('"').nth(3).unwrap();
    let target = format!("{POLLING}&sid={sid}");
    other.block_on(async {
        let (rest, body) = tokio::sync::oneshot::channel::<Result<&str, Infallible>>();
        let body = futures_util::stream::once(async { body.await.unwrap() });
        let mut post = Box::pin(ask("POST", &target, Body::from_stream(body)));
        assert!(futures_util::poll!(post.as_mut()).is_pending());
        let dropped = tokio::task::spawn_blocking(move || drop(one));
        dropped.await.unwrap();
        rest.send(Ok("40")).unwrap();
        let answer = within("an answer", post).await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    });
}
