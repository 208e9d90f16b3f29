//! A server on a loopback socket, and clients that send any bytes.
//!
//! No test sleeps: tests wait for events, with a limit that only a failure reaches.

mod http;
mod logs;
mod polling;
mod spans;
mod websocket;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum_socketio::extract::Rest;
use axum_socketio::{Data, DisconnectReason, Namespace, Reply, SocketIo, SocketIoBuilder};
use bytes::Bytes;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub(crate) use http::{Answer, Http};
pub(crate) use logs::Logs;
pub(crate) use polling::Polling;
pub(crate) use spans::Spans;
pub(crate) use websocket::{Ended, Ws, handshake};

/// The target of a handshake over polling.
pub(crate) const POLLING: &str = "/socket.io/?EIO=4&transport=polling";
/// The target of a handshake over WebSocket.
pub(crate) const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

/// The limit for an event: long enough for a slow machine, short enough to wait for a failing test.
const LIMIT: Duration = Duration::from_secs(20);

/// Waits for something that must happen.
#[track_caller]
pub(crate) fn within<F: Future>(what: &str, future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(LIMIT, future).await {
            Ok(output) => output,
            Err(_) => panic!("{what}: nothing in {LIMIT:?}, asked for at {caller}"),
        }
    }
}

/// The clock of the runtime, stopped: deadlines wait for [`Clock::advance`], while bytes are still transferred.
///
/// It is for tests on one thread, as `#[tokio::test]` creates them by default.
pub(crate) struct Clock {
    _stopped: std::sync::mpsc::Sender<()>,
}

impl Clock {
    pub(crate) fn stop() -> Self {
        tokio::time::pause();
        let (stopped, goes_on) = std::sync::mpsc::channel();
        // A paused clock advances to the next deadline whenever the runtime is idle, even while bytes are in flight,
        // but not while a blocking task runs. In a test that hangs it finally advances, so that `within` ends it.
        tokio::task::spawn_blocking(move || goes_on.recv_timeout(LIMIT));
        Self { _stopped: stopped }
    }

    /// Advances the clock by a duration, and by the millisecond that a timer may be late.
    pub(crate) async fn advance(&self, time: Duration) {
        tokio::time::advance(time + Duration::from_millis(1)).await;
    }
}

/// Lets a server on the thread of the test do all that it can do now, for tests in which nothing shows that it has.
pub(crate) async fn settle() {
    for _ in 0..2_000 {
        tokio::task::yield_now().await;
    }
}

/// Waits until a condition holds that no event announces. The clock of the runtime may stand still.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a limit that only a failure reaches"
    )]
    let begun = std::time::Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LIMIT, "{what}: did not happen");
        tokio::task::yield_now().await;
    }
}

/// The next item of a queue.
pub(crate) async fn next<T>(queue: &mut mpsc::UnboundedReceiver<T>) -> T {
    within("something", queue.recv()).await.unwrap()
}

/// A runtime of one thread, which is that of its caller.
pub(crate) fn current_thread() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// A runtime with so many threads of its own.
pub(crate) fn threads(count: usize) -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(count).enable_all().build().unwrap()
}

/// Blocks a thread of a runtime, and returns as soon as it is blocked.
pub(crate) fn block(runtime: &Handle, time: Duration) {
    let (begun, blocked) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        begun.send(()).unwrap();
        std::thread::sleep(time);
    });
    blocked.recv().unwrap();
}

/// An application on its own port, until the end of the test.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    /// The number of requests that the application has begun to answer.
    begun: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

/// Serves an application over HTTP/1.1, as `axum::serve` does.
pub(crate) async fn serve(app: Router) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (counter, begun) = watch::channel(0);
    let app = app.layer(from_fn_with_state(counter, count));
    let task = tokio::spawn(async move {
        axum::serve(listener, app).await.unwrap();
    });
    Server { addr, begun, task }
}

/// Serves an application over HTTP/2 with the extended CONNECT, as an application on hyper would.
pub(crate) async fn serve_http2(app: Router) -> Server {
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use hyper_util::server::conn::auto::Builder;
    use hyper_util::service::TowerToHyperService;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (counter, begun) = watch::channel(0);
    let app = app.layer(from_fn_with_state(counter, count));
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(app.clone());
            tokio::spawn(async move {
                let mut builder = Builder::new(TokioExecutor::new());
                builder.http2().enable_connect_protocol();
                // A client that disconnects ends it with an error.
                let _ = builder
                    .serve_connection_with_upgrades(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    Server { addr, begun, task }
}

/// Counts a request after the first poll of its response: it has then been handed to the connection's task, if it ever
/// is.
async fn count(
    State(begun): State<watch::Sender<usize>>,
    request: Request,
    next: Next,
) -> Response {
    let mut answer = pin!(next.run(request));
    let first = std::future::poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await;
    begun.send_modify(|count| *count += 1);
    match first {
        Poll::Ready(answer) => answer,
        Poll::Pending => answer.await,
    }
}

impl Server {
    /// Returns the number of requests that have arrived.
    pub(crate) fn begun(&self) -> usize {
        *self.begun.borrow()
    }

    /// Waits until more than `before` requests have arrived.
    pub(crate) async fn arrived(&self, before: usize) {
        let mut begun = self.begun.clone();
        within("a request", begun.wait_for(|&count| count > before))
            .await
            .unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The reasons with which the sockets of a namespace have left, in order.
pub(crate) struct Reasons(mpsc::UnboundedReceiver<DisconnectReason>);

impl Reasons {
    /// Returns the next reason with which a socket left.
    pub(crate) async fn next(&mut self) -> &'static str {
        within("a disconnect", self.0.recv())
            .await
            .unwrap()
            .as_str()
    }

    /// Asserts that all sockets that have left so far left with this reason.
    pub(crate) fn none_but(&mut self, expected: &str) {
        while let Ok(reason) = self.0.try_recv() {
            assert_eq!(reason.as_str(), expected);
        }
    }

    /// Asserts that no socket has left so far.
    pub(crate) fn none(&mut self) {
        let reason = self.0.try_recv();
        assert!(reason.is_err(), "a socket left with {reason:?}");
    }
}

/// Creates a namespace that answers `echo` with its arguments and `bytes` with its binary argument. Returns the reasons
/// of its disconnects as well.
pub(crate) fn echo() -> (Namespace, Reasons) {
    let (sender, reasons) = mpsc::unbounded_channel();
    let namespace = Namespace::new()
        .on("echo", async |Data(args): Data<Rest<Value>>| Reply(args))
        .on("bytes", async |Data(bytes): Data<Bytes>| Reply(bytes))
        .on_disconnect(move |reason: DisconnectReason| {
            let _ = sender.send(reason);
            std::future::ready(())
        });
    (namespace, Reasons(reasons))
}

/// A server with the options that `set` sets.
pub(crate) async fn with(
    set: impl FnOnce(SocketIoBuilder) -> SocketIoBuilder,
) -> (Server, SocketIo) {
    let io = set(SocketIo::builder()).build();
    (serve(Router::new().layer(io.layer())).await, io)
}

/// Starts a server with [`echo`] in `/` and with the options that `set` sets.
pub(crate) async fn start(
    set: impl FnOnce(SocketIoBuilder) -> SocketIoBuilder,
) -> (Server, SocketIo, Reasons) {
    let (namespace, reasons) = echo();
    let (server, io) = with(|io| set(io.namespace("/", namespace))).await;
    (server, io, reasons)
}

/// Returns the sid in `{"sid":"…"}`.
pub(crate) fn sid_in(json: &str) -> String {
    let value: Value = serde_json::from_str(json).unwrap();
    value["sid"].as_str().unwrap().to_owned()
}
