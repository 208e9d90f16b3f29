//! Panics in code of users, at each point where the server calls or drops it. The payload of each panic panics when it
//! is dropped. `tests/it/user_code.rs` has values that panic when they are dropped.

use std::convert::Infallible;
use std::future::{Future, Ready, pending, ready};
use std::panic::panic_any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use axum::http::request::Parts;
use axum::http::{Request, StatusCode};
use axum::{Json, Router};
use axum_socketio::config::Order;
use axum_socketio::handler::EventRequest;
use axum_socketio::handler::Handler;
use axum_socketio::{Data, Limits, Namespace, Socket, SocketIo, SocketIoBuilder};
use bytes::Bytes;
use tokio::sync::mpsc;
use tower::{Layer, Service};

use crate::support::{
    Http, Logs, POLLING, Polling, Reasons, Server, WEBSOCKET, Ws, echo, handshake, serve, within,
};

/// A value that panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic_any(Payload(1));
        }
    }
}

/// The payload of a panic, which panics when it is dropped, with another payload.
struct Payload(u8);

impl Drop for Payload {
    fn drop(&mut self) {
        if self.0 > 0 {
            panic_any(Self(self.0 - 1));
        }
    }
}

fn boom() -> ! {
    panic_any(Payload(2))
}

const INTERNAL: &str = r#"{"code":4,"message":"Internal server error"}"#;

async fn start(
    set: impl FnOnce(SocketIoBuilder) -> SocketIoBuilder,
    with: impl FnOnce(Namespace) -> Namespace,
) -> (Server, SocketIo, Reasons) {
    let (namespace, reasons) = echo();
    let io = set(SocketIo::builder().namespace("/", with(namespace))).build();
    (serve(Router::new().layer(io.layer())).await, io, reasons)
}

/// Returns true if the query of a request makes a hook panic.
fn wants_boom(parts: &Parts) -> bool {
    parts
        .uri
        .query()
        .is_some_and(|query| query.contains("boom"))
}

/// Opens a connection with a hook that panics, over both transports, and asserts that nothing remains of it.
async fn refuses_to_open(server: &Server, io: &SocketIo, hook: &str) {
    let logs = Logs::collect("error");
    let before = io.metrics();
    let answer = Http::once(server.addr, "GET", &format!("{POLLING}&boom")).await;
    assert_eq!(answer.brief(), (500, INTERNAL), "{hook}");
    let (answer, open) = handshake(server.addr, &format!("{WEBSOCKET}&boom"), &[]).await;
    assert_eq!(answer.brief(), (500, INTERNAL), "{hook}");
    assert_eq!(io.client_count(), 0);
    let metrics = io.metrics();
    assert_eq!(metrics.hook_panics[hook], before.hook_panics[hook] + 2);
    assert_eq!(metrics.connections.values().sum::<u64>(), 0);
    assert_eq!(metrics.requests_refused["INTERNAL_ERROR"], 2);
    let hook = format!("hook={hook:?}");
    assert_eq!(logs.with(&hook).len(), 2, "{:?}", logs.records());
    // There is room for one connection: those above, which may still be open, do not count.
    let mut ws = Ws::joined(server.addr).await;
    ws.alive().await;
    drop(open);
}

#[tokio::test]
async fn a_panic_in_allow_request_is_answered_with_500() {
    async fn allow(request: Request<axum::body::Body>) {
        if request
            .uri()
            .query()
            .is_some_and(|query| query.contains("boom"))
        {
            boom();
        }
    }

    let (server, io, _) = start(
        |io| {
            io.limits(Limits::new().max_connections(1))
                .allow_request(allow)
        },
        |n| n,
    )
    .await;
    refuses_to_open(&server, &io, "allow_request").await;
}

#[tokio::test]
async fn a_panic_in_a_header_hook_is_a_500_and_ends_the_session() {
    for initial in [true, false] {
        let hook = |_: &mut axum::http::HeaderMap, parts: &Parts| {
            if wants_boom(parts) {
                boom();
            }
        };
        let set = |io: SocketIoBuilder| {
            let io = io.limits(Limits::new().max_connections(1));
            if initial {
                io.on_initial_headers(hook)
            } else {
                io.on_headers(hook)
            }
        };
        let (server, io, _) = start(set, |n| n).await;
        let name = if initial {
            "on_initial_headers"
        } else {
            "on_headers"
        };
        refuses_to_open(&server, &io, name).await;
    }
}

#[tokio::test]
async fn a_panic_in_on_headers_ends_the_session_whose_answer_is_lost() {
    let hook = |_: &mut axum::http::HeaderMap, parts: &Parts| {
        if wants_boom(parts) {
            boom();
        }
    };
    for method in ["GET", "POST"] {
        let (server, _io, mut reasons) = start(|io| io.on_headers(hook), |n| n).await;
        let mut client = Polling::joined(server.addr).await;
        let target = format!("{}&boom", client.target());
        let mut http = Http::open(server.addr).await;
        if method == "GET" {
            // The poll needs something to answer.
            client.send(r#"421["echo",1]"#).await;
        }
        let answer = http.ask(method, &target, &[], br#"421["echo",1]"#).await;
        assert_eq!(answer.brief(), (500, INTERNAL), "{method}");
        assert_eq!(reasons.next().await, "transport error");
        client.gone().await;
    }
}

#[tokio::test]
async fn a_panic_in_on_headers_during_an_upgrade_leaves_polling_alone() {
    let hook = |_: &mut axum::http::HeaderMap, parts: &Parts| {
        if wants_boom(parts) {
            boom();
        }
    };
    let (server, _io, mut reasons) = start(|io| io.on_headers(hook), |n| n).await;
    let mut client = Polling::joined(server.addr).await;
    let target = format!("{WEBSOCKET}&sid={}", client.sid);
    let (answer, http) = handshake(server.addr, &format!("{target}&boom"), &[]).await;
    assert_eq!(answer.brief(), (500, INTERNAL));
    client.send(r#"421["echo",1]"#).await;
    client.expect(&["431[1]"]).await;
    // The client may try again.
    let mut ws = Ws::upgrade(server.addr, &client.sid).await.unwrap();
    ws.send("2probe").await;
    assert_eq!(ws.text().await, "3probe");
    reasons.none();
    drop(http);
}

#[tokio::test]
async fn a_panic_in_on_connection_error_is_answered_with_500() {
    let logs = Logs::collect("error");
    let (server, io, _) = start(|io| io.on_connection_error(|_| boom()), |n| n).await;
    let answer = Http::once(server.addr, "GET", "/socket.io/?EIO=4&transport=x").await;
    assert_eq!(answer.brief(), (500, INTERNAL));
    assert_eq!(io.metrics().hook_panics["on_connection_error"], 1);
    assert_eq!(logs.with("on_connection_error").len(), 1);
    // A refusal by the application behaves the same.
    async fn refuse() -> axum::http::StatusCode {
        axum::http::StatusCode::UNAUTHORIZED
    }
    let (server, ..) = start(
        |io| io.on_connection_error(|_| boom()).allow_request(refuse),
        |n| n,
    )
    .await;
    let answer = Http::once(server.addr, "GET", POLLING).await;
    assert_eq!(answer.brief(), (500, INTERNAL));
}

#[tokio::test]
async fn a_panic_in_the_address_of_a_client_is_answered_with_500() {
    let address = |parts: &Parts| {
        if wants_boom(parts) {
            boom();
        }
        None
    };
    let set = |io: SocketIoBuilder| {
        io.limits(Limits::new().max_connections(1))
            .max_connections_per_address(1, address)
    };
    let (server, io, _) = start(set, |n| n).await;
    refuses_to_open(&server, &io, "max_connections_per_address").await;
}

/// A value of the request that panics when it is cloned, once it is armed.
struct Uncloned(Arc<AtomicBool>);

impl Clone for Uncloned {
    fn clone(&self) -> Self {
        if self.0.load(Ordering::Relaxed) {
            boom();
        }
        Self(Arc::clone(&self.0))
    }
}

#[tokio::test]
async fn a_value_of_the_request_may_panic_when_it_is_cloned() {
    let (namespace, _) = echo();
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .namespace("/room-{id}", Namespace::new())
        .on_headers(|_, _| {})
        .build();
    let armed = Arc::new(AtomicBool::new(false));
    let value = Arc::clone(&armed);
    let add = move |mut request: Request<axum::body::Body>| {
        request
            .extensions_mut()
            .insert(Uncloned(Arc::clone(&value)));
        request
    };
    let app = Router::new()
        .layer(io.layer())
        .layer(tower::util::MapRequestLayer::new(add));
    let server = serve(app).await;
    let mut ws = Ws::joined(server.addr).await;
    armed.store(true, Ordering::Relaxed);
    // A dynamic namespace adds its parameters to a clone.
    ws.send("40/room-1,").await;
    assert_eq!(ws.text().await, r#"44/room-1,{"message":"internal error"}"#);
    ws.alive().await;
    // A hook receives a clone of the request.
    let answer = Http::once(server.addr, "GET", POLLING).await;
    assert_eq!(answer.brief(), (500, INTERNAL));
    assert_eq!(io.metrics().requests_refused["INTERNAL_ERROR"], 1);
}

#[tokio::test]
async fn a_request_is_cloned_only_for_hooks_that_see_it() {
    let (namespace, mut reasons) = echo();
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .on_initial_headers(|_, _| {})
        .build();
    let armed = Arc::new(AtomicBool::new(false));
    let value = Arc::clone(&armed);
    let add = move |mut request: Request<axum::body::Body>| {
        let value = Uncloned(Arc::clone(&value));
        request.extensions_mut().insert(value);
        request
    };
    let app = Router::new()
        .layer(io.layer())
        .layer(tower::util::MapRequestLayer::new(add));
    let server = serve(app).await;
    let mut client = Polling::joined(server.addr).await;
    armed.store(true, Ordering::Relaxed);
    client.send(r#"421["echo"]"#).await;
    client.expect(&["431[]"]).await;
    reasons.none();
}

#[tokio::test]
async fn a_panic_payload_may_panic_when_it_is_dropped() {
    let logs = Logs::collect("error");
    let with = |namespace: Namespace| {
        namespace
            .on("at once", || -> Ready<()> { boom() })
            .on("polled", async || -> () { boom() })
            .on("later", async || -> () {
                tokio::task::yield_now().await;
                boom()
            })
            .on("extracted", async |_: Data<Explodes>| {})
            .on("answered", async || Json(Explodes))
    };
    let (server, io, mut reasons) = start(|io| io, with).await;
    let mut ws = Ws::joined(server.addr).await;
    let events = ["at once", "polled", "later", "extracted", "answered"];
    for event in events {
        let answer = ws.ask(&format!("[{event:?},1]")).await;
        assert_eq!(answer, r#"[{"error":"internal error"}]"#, "{event}");
    }
    ws.alive().await;
    assert_eq!(io.metrics().handler_panics, events.len() as u64);
    assert_eq!(logs.with("handler panicked").len(), events.len());
    ws.close().await;
    assert_eq!(reasons.next().await, "transport close");
}

async fn panics_later() {
    tokio::task::yield_now().await;
    panic!("on purpose");
}

async fn fails() -> Result<(), StatusCode> {
    Err(StatusCode::BAD_GATEWAY)
}

#[tokio::test]
async fn the_log_names_the_event_of_a_handler_that_fails() {
    let logs = Logs::collect("warn");
    let namespace = Namespace::new()
        .on_connect(async |socket: Socket| {
            socket.on("own", panics_later);
            socket.once("once", panics_later);
            socket.once("once fails", fails);
            socket.on("leaves", async |socket: Socket| {
                socket.disconnect();
                panics_later().await;
            });
        })
        .on("shared", panics_later)
        .on(
            "layered",
            panics_later.layer(tower::layer::util::Identity::new()),
        )
        .fallback(panics_later);
    let any = Namespace::new()
        .on_any(panics_later)
        .on("seen", async || {});
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .namespace("/any", any)
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut ws = Ws::joined(server.addr).await;
    for event in ["shared", "layered", "own", "once", "other", "once fails"] {
        ws.ask(&format!("[{event:?}]")).await;
        let named = [format!("handler={event:?}"), format!("event={event:?}")];
        let named = |record: &String| named.iter().any(|name| record.contains(name));
        assert!(
            logs.records().iter().any(named),
            "{event} in {:?}",
            logs.records()
        );
    }
    ws.join("/any").await;
    ws.send(r#"42/any,0["seen"]"#).await;
    ws.text().await;
    ws.send(r#"42["leaves"]"#).await;
    ws.text().await;
    ws.send(r#"42/any,1["seen"]"#).await;
    ws.text().await;
    for event in ["seen", "leaves"] {
        let named = format!("handler={event:?}");
        assert!(!logs.with(&named).is_empty(), "{:?}", logs.records());
    }
}

/// A value that panics when it is serialized or deserialized.
struct Explodes;

impl<'de> serde::Deserialize<'de> for Explodes {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        boom()
    }
}

impl serde::Serialize for Explodes {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        boom()
    }
}

#[tokio::test]
async fn middleware_and_the_handlers_of_connects_and_disconnects_may_panic() {
    let middleware = Namespace::new().middleware(async || -> () { boom() });
    let connect = Namespace::new().on_connect(async || -> () { boom() });
    let (told, mut left) = mpsc::unbounded_channel();
    let disconnect = Namespace::new().on_disconnect(move || -> Ready<()> {
        told.send(()).unwrap();
        boom()
    });
    let (namespace, _) = echo();
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .namespace("/middleware", middleware)
        .namespace("/connect", connect)
        .namespace("/disconnect", disconnect)
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send("40/middleware,").await;
    assert_eq!(
        ws.text().await,
        r#"44/middleware,{"message":"internal error"}"#
    );
    ws.join("/connect").await;
    assert_eq!(ws.text().await, "41/connect,");
    ws.join("/disconnect").await;
    ws.send("41/disconnect,").await;
    within("a disconnect", left.recv()).await.unwrap();
    ws.alive().await;
    assert_eq!(io.metrics().handler_panics, 3);
}

#[tokio::test]
async fn hooks_of_a_namespace_may_panic_and_the_client_gets_its_answer() {
    let logs = Logs::collect("error");
    let with = |namespace: Namespace| {
        namespace
            .on("fail", async || {
                let refused: Result<(), _> = Err(axum::http::StatusCode::IM_A_TEAPOT);
                refused
            })
            .on("emit", async |socket: Socket| {
                socket.emit("news", 1);
            })
            .on("number", async |_: Data<u8>| {})
            .on_any(|| -> Ready<()> { boom() })
            .on_error(|_| boom())
            .on_rejection(|_| boom())
            .on_any_outgoing(|_| boom())
    };
    let (server, io, mut reasons) = start(
        |io| io.limits(Limits::new().max_log_records_per_connection(100)),
        with,
    )
    .await;
    let mut ws = Ws::joined(server.addr).await;
    assert_eq!(ws.ask(r#"["fail"]"#).await, r#"[{"error":"I'm a teapot"}]"#);
    let rejected = ws.ask(r#"["number","x"]"#).await;
    assert!(rejected.contains("invalid type"), "{rejected}");
    ws.send(r#"42["emit"]"#).await;
    assert_eq!(ws.text().await, r#"42["news",1]"#);
    ws.alive().await;
    let metrics = io.metrics();
    // `on_any` is called for each of the four events, among them that of `alive`; `on_error` for its panics, too.
    assert_eq!(metrics.handler_panics, 4);
    for (hook, calls) in [("on_error", 5), ("on_rejection", 1), ("on_any_outgoing", 1)] {
        assert_eq!(metrics.hook_panics[hook], calls, "{hook}");
        let hook = format!("hook={hook:?}");
        assert_eq!(logs.with(&hook).len() as u64, calls, "{:?}", logs.records());
    }
    reasons.none();
}

/// A layer whose service panics.
#[derive(Clone, Copy)]
enum Broken {
    WhenReady,
    Called,
    Polled,
}

impl<S> Layer<S> for Broken {
    type Service = Self;

    fn layer(&self, _: S) -> Self {
        *self
    }
}

impl Service<EventRequest> for Broken {
    type Response = axum_socketio::handler::AckBody;
    type Error = Infallible;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if let Self::WhenReady = self {
            boom();
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: EventRequest) -> Self::Future {
        if let Self::Called = self {
            boom();
        }
        Box::pin(async move {
            let _request = request;
            boom()
        })
    }
}

#[tokio::test]
async fn layers_may_panic_wherever_they_are_called() {
    for broken in [Broken::WhenReady, Broken::Called, Broken::Polled] {
        let layered = Namespace::new().on("x", async || {}).layer(broken);
        let (namespace, _) = echo();
        let io = SocketIo::builder()
            .namespace("/", namespace)
            .namespace("/layered", layered)
            .build();
        let server = serve(Router::new().layer(io.layer())).await;
        let mut ws = Ws::joined(server.addr).await;
        ws.join("/layered").await;
        // The second event shows that the first one does not block the socket.
        for id in [1, 2] {
            ws.send(&format!(r#"42/layered,{id}["x"]"#)).await;
            let answer = format!(r#"43/layered,{id}[{{"error":"internal error"}}]"#);
            assert_eq!(ws.text().await, answer);
        }
        ws.alive().await;
    }
}

#[tokio::test]
async fn a_waker_may_panic_when_an_acknowledgement_comes_or_its_client_leaves() {
    struct Wakes;

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            boom();
        }
    }

    let (sender, futures) = mpsc::unbounded_channel();
    let with = |namespace: Namespace| {
        namespace.on("ask", move |socket: Socket| {
            let waker = Waker::from(Arc::new(Wakes));
            let mut cx = Context::from_waker(&waker);
            let mut asked = Box::pin(socket.emit_with_ack::<()>("question", ()));
            assert!(asked.as_mut().poll(&mut cx).is_pending());
            let mut closed = Box::pin({
                let socket = socket.clone();
                async move { socket.closed().await }
            });
            assert!(closed.as_mut().poll(&mut cx).is_pending());
            // They stay alive for a while.
            let _ = sender.send((asked, closed));
            std::future::ready(())
        })
    };
    let (server, _io, mut reasons) = start(|io| io, with).await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send(r#"42["ask"]"#).await;
    assert_eq!(ws.text().await, r#"420["question"]"#);
    ws.send("430[]").await;
    ws.alive().await;
    ws.send(r#"42["ask"]"#).await;
    assert_eq!(ws.text().await, r#"421["question"]"#);
    ws.send("41").await;
    assert_eq!(reasons.next().await, "client namespace disconnect");
    ws.join("/").await;
    ws.alive().await;
    drop(futures);
}

#[tokio::test]
async fn bytes_that_panic_when_they_have_been_sent_end_no_connection() {
    struct Owner(Bomb, Arc<AtomicUsize>);

    impl Drop for Owner {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            let _ = &self.0;
            b"bytes"
        }
    }

    let dropped = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&dropped);
    let with = |namespace: Namespace| {
        namespace.on("send", move |socket: Socket| {
            let owner = Owner(Bomb, Arc::clone(&count));
            socket.emit("binary", Bytes::from_owner(owner));
            std::future::ready(())
        })
    };
    let (server, io, mut reasons) = start(|io| io, with).await;
    let event = r#"451-["binary",{"_placeholder":true,"num":0}]"#;
    let mut ws = Ws::joined(server.addr).await;
    ws.send(r#"42["send"]"#).await;
    assert_eq!(ws.text().await, event);
    assert_eq!(ws.binary().await, "bytes");
    ws.alive().await;
    let mut client = Polling::joined(server.addr).await;
    client.send(r#"42["send"]"#).await;
    client.expect(&[event, "bYnl0ZXM="]).await;
    client.send(r#"421["echo",1]"#).await;
    client.expect(&["431[1]"]).await;
    assert_eq!(dropped.load(Ordering::Relaxed), 2);
    // The handlers that have emitted them fail.
    assert_eq!(io.metrics().handler_panics, 2);
    reasons.none();
}

#[tokio::test]
async fn an_event_that_is_cancelled_may_panic_when_its_handler_is_dropped() {
    let left = Arc::new(AtomicUsize::new(0));
    let leaving = Arc::clone(&left);
    let namespace = Namespace::new()
        .order(Order::Completed)
        .on_connect(|socket: Socket| {
            let bomb = Arc::new(Bomb);
            // The event takes the handler along.
            socket.once("once", move || {
                let _bomb = &bomb;
                ready(())
            });
            ready(())
        })
        .on("wait", pending::<()>)
        .on_disconnect(move || {
            leaving.fetch_add(1, Ordering::SeqCst);
            ready(())
        });
    let io = SocketIo::builder()
        .namespace("/", namespace)
        .limits(Limits::new().max_detached_handlers(0))
        .build();
    let server = serve(Router::new().layer(io.layer())).await;
    let mut ws = Ws::joined(server.addr).await;
    ws.send_all(&[r#"42["wait"]"#, r#"42["once"]"#]).await;
    within("both", async {
        while io.metrics().events_received < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(ws);
    within("its end", async {
        while left.load(Ordering::SeqCst) == 0 || io.metrics().detached_handlers > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(io.metrics().detached_handlers_cancelled, 1);
}
