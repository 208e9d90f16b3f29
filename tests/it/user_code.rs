//! Values of users that can do harm: they panic when they are dropped, or access the socket that holds them.

use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Json, Router};
use axum_socketio::{Data, Namespace, Socket, SocketIo};
use tokio::sync::mpsc;

use crate::support::{Reasons, Server, Ws, current_thread, echo, serve};

/// A value that panics when it is dropped, unless it is dropped because of a panic.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "on purpose");
    }
}

async fn with(set: impl FnOnce(Namespace) -> Namespace) -> (Server, Reasons) {
    let (namespace, reasons) = echo();
    let io = SocketIo::builder().namespace("/", set(namespace)).build();
    (serve(Router::new().layer(io.layer())).await, reasons)
}

/// Lets the client leave its namespace, and join it anew over the same connection.
async fn leave_and_join(ws: &mut Ws, reasons: &mut Reasons) {
    ws.send("41").await;
    assert_eq!(reasons.next().await, "client namespace disconnect");
    ws.join("/").await;
    ws.alive().await;
}

#[tokio::test]
async fn a_handler_of_a_socket_alone_may_panic_when_its_socket_lets_go_of_it() {
    let (server, mut reasons) = with(|namespace| {
        namespace.on_connect(async |socket: Socket| {
            let bomb = Arc::new(Bomb);
            socket.on("x", move || {
                let _held = &bomb;
                ready(())
            });
        })
    })
    .await;
    let mut ws = Ws::joined(server.addr).await;
    leave_and_join(&mut ws, &mut reasons).await;
}

#[tokio::test]
async fn a_handler_for_one_event_may_panic_when_it_is_dropped_behind_it() {
    let (server, mut reasons) = with(|namespace| {
        namespace.on_connect(async |socket: Socket| {
            let bomb = Arc::new(Bomb);
            socket.once("x", move |Data(n): Data<u32>| {
                let _held = &bomb;
                ready(Json(n))
            });
        })
    })
    .await;
    let mut ws = Ws::joined(server.addr).await;
    assert_eq!(ws.ask(r#"["x",1]"#).await, "[1]");
    ws.alive().await;
    leave_and_join(&mut ws, &mut reasons).await;
}

#[tokio::test]
async fn a_value_that_a_socket_keeps_may_panic_when_it_is_dropped_with_it() {
    let (server, mut reasons) = with(|namespace| {
        namespace.on_connect(async |socket: Socket| socket.insert(Arc::new(Bomb)))
    })
    .await;
    let mut ws = Ws::joined(server.addr).await;
    leave_and_join(&mut ws, &mut reasons).await;
}

#[test]
fn handlers_that_are_under_way_may_panic_when_their_runtime_is_shut_down() {
    /// A value that reports its drop.
    struct Told(mpsc::UnboundedSender<()>, Bomb);

    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    let (told, mut dropped) = mpsc::unbounded_channel();
    let runtime = current_thread();
    let client = runtime.block_on(async {
        let (server, _) = with(|namespace| {
            namespace.on("wait", move || {
                let told = Told(told.clone(), Bomb);
                async move {
                    let _held = told;
                    pending::<()>().await;
                }
            })
        })
        .await;
        let mut ws = Ws::joined(server.addr).await;
        ws.send_all(&[r#"42["wait"]"#; 3]).await;
        ws.alive().await;
        ws
    });
    drop(runtime);
    drop(client);
    for _ in 0..3 {
        assert_eq!(dropped.try_recv(), Ok(()));
    }
}

/// A value that holds its socket, and accesses another value of the socket when it is cloned.
struct Looks(Socket);

impl Clone for Looks {
    fn clone(&self) -> Self {
        self.0.insert(1_u8);
        assert_eq!(self.0.get::<u8>(), Some(1));
        Self(self.0.clone())
    }
}

#[test]
fn a_value_may_look_at_its_socket_when_it_is_cloned() {
    // The test runs on a thread of its own, which a deadlock would block for ever.
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        current_thread().block_on(async {
            let (server, _) = with(|namespace| {
                namespace
                    .on("get", async |socket: Socket| {
                        socket.insert(Looks(socket.clone()));
                        Json(socket.get::<Looks>().is_some())
                    })
                    .on("extract", async |Extension(looks): Extension<Looks>| {
                        Json(looks.0.connected())
                    })
            })
            .await;
            let mut ws = Ws::joined(server.addr).await;
            assert_eq!(ws.ask(r#"["get"]"#).await, "[true]");
            assert_eq!(ws.ask(r#"["extract"]"#).await, "[true]");
        });
        done.send(()).unwrap();
    });
    assert_eq!(wait.recv_timeout(Duration::from_secs(60)), Ok(()));
}
