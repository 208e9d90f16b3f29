//! The data and the values of a socket, and questions of code that runs in no runtime.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};
use std::time::Duration;

use axum::{Extension, Json};
use axum_socketio::cluster::LocalCluster;
use axum_socketio::config::Recovery;
use axum_socketio::emit::AckError;
use axum_socketio::testing::TestApp;
use axum_socketio::{Data, Namespace, Socket, SocketIo};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::with;
use crate::support::{Ws, within};

#[derive(Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
struct User {
    name: String,
}

fn named() -> Namespace {
    Namespace::new()
        .on("name", async |socket: Socket, Data(name): Data<String>| {
            socket.set_data(User { name })
        })
        .on("who", async |socket: Socket| {
            socket.data::<Value>().map(Json)
        })
}

#[tokio::test(start_paused = true)]
async fn other_servers_see_the_data_of_a_socket_and_may_ask_it() {
    let cluster = LocalCluster::new();
    let [one, two] = [0, 1].map(|_| {
        let builder = SocketIo::builder().cluster(cluster.clone());
        builder.namespace("/", named()).build()
    });
    let ann = TestApp::new(two.service()).connect("/").await.unwrap();
    let found = one.fetch_sockets().await.unwrap();
    assert_eq!(found[0].data::<User>().unwrap(), User::default());
    ann.emit_with_ack::<()>("name", "Ann").await;
    assert_eq!(
        ann.emit_with_ack::<Value>("who", ()).await,
        json!({ "name": "Ann" })
    );
    let found = one.fetch_sockets().await.unwrap();
    assert_eq!(found[0].data::<User>().unwrap().name, "Ann");
    assert!(found[0].data::<u8>().is_err());
    assert!(found[0].socket().is_none());
    assert_eq!(one.of("/").local_sockets().len(), 0);
    assert_eq!(two.of("/").local_sockets()[0].id(), ann.id());

    let asking = found[0].emit_with_ack::<u8>("age", ());
    ann.next_with_ack::<()>("age").await.ack(7).await;
    assert_eq!(asking.await.unwrap(), 7);
    let asking = found[0].emit_with_ack::<u8>("age", ());
    ann.next_with_ack::<()>("age").await.ack("old").await;
    assert!(matches!(asking.await, Err(AckError::Decode(_))));
    let asking = found[0].timeout(Duration::from_secs(1));
    let asking = asking.emit_with_ack::<u8>("age", ());
    assert!(matches!(asking.await, Err(AckError::Timeout)));
    let asking = found[0].emit_with_ack::<u8>("connect", ());
    assert!(matches!(asking.await, Err(AckError::Emit(_))));
    ann.disconnect().await;
    let asking = found[0].emit_with_ack::<u8>("age", ());
    assert!(matches!(asking.await, Err(AckError::Closed)));
}

#[tokio::test(start_paused = true)]
async fn a_session_keeps_the_data_of_its_socket() {
    let builder = SocketIo::builder().recovery(Recovery::new());
    let app = TestApp::new(builder.namespace("/", named()).build().service());
    let first = app.connect("/").await.unwrap();
    first.emit("name", "Ann").await;
    first.emit_with_ack::<Value>("who", ()).await;
    first.cut().await;
    let again = app.connect("/").coming_back_as(&first).await.unwrap();
    assert_eq!(
        again.emit_with_ack::<Value>("who", ()).await,
        json!({ "name": "Ann" })
    );
}

#[tokio::test]
async fn a_removed_value_is_gone_from_the_next_event_on() {
    #[derive(Clone, Debug, PartialEq)]
    struct Cart(u8);

    let namespace = Namespace::new()
        .on_connect(async |socket: Socket| socket.insert(Cart(7)))
        .on("cart", async |cart: Option<Extension<Cart>>| {
            Json(cart.map(|Extension(Cart(n))| n))
        })
        .on("buy", async |socket: Socket| {
            assert_eq!(socket.remove::<u64>(), None);
            let removed = socket.remove::<Cart>();
            assert_eq!(socket.get::<Cart>(), None);
            Json(removed.map(|Cart(n)| n))
        });
    super::answers(
        namespace,
        &[
            (r#"["cart"]"#, "[7]"),
            (r#"["buy"]"#, "[7]"),
            (r#"["cart"]"#, "[null]"),
            (r#"["buy"]"#, "[null]"),
        ],
    )
    .await;
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread, without a runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Arc::new(Unpark(thread::current())).into();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

#[tokio::test]
async fn a_thread_without_a_runtime_may_ask_clients() {
    let (sender, mut sockets) = mpsc::unbounded_channel();
    let (server, io) = with(Namespace::new().on_connect(async move |socket: Socket| {
        let _ = sender.send(socket);
    }))
    .await;
    let mut client = Ws::joined(server.addr).await;
    let socket = within("a socket", sockets.recv()).await.unwrap();
    let asking = thread::spawn(move || {
        let short = Duration::from_millis(20);
        let late = block_on(socket.timeout(short).emit_with_ack::<u8>("q", 1));
        assert!(matches!(late, Err(AckError::Timeout)));
        let (_, late) = block_on(io.timeout(short).emit_with_ack::<u8>("q", 2).all());
        assert_eq!(late.missing, [socket.id()]);
        block_on(socket.timeout(short).emit_when_writable("q", 3)).unwrap();
        block_on(socket.emit_with_ack::<u8>("q", 4))
    });
    for text in [
        r#"420["q",1]"#,
        r#"421["q",2]"#,
        r#"42["q",3]"#,
        r#"422["q",4]"#,
    ] {
        assert_eq!(client.text().await, text);
    }
    client.send("432[7]").await;
    while !asking.is_finished() {
        tokio::task::yield_now().await;
    }
    assert_eq!(asking.join().unwrap().unwrap(), 7);
}
