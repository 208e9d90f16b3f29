//! The client for users' own tests: what it can do, over both transports, with a clock that stands still.

mod connect;
mod events;
mod failures;
mod time;

use axum::Router;
use axum_socketio::testing::{TestApp, TestClient};
use axum_socketio::{DisconnectReason, Namespace, SocketIo, Transport};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const BOTH: [Transport; 2] = [Transport::WebSocket, Transport::Polling];

/// An application with one namespace, `/`, and the handle to it.
fn serve(namespace: Namespace) -> (TestApp, SocketIo) {
    let io = SocketIo::builder().namespace("/", namespace).build();
    (TestApp::new(Router::new().layer(io.layer())), io)
}

/// A client of it over each transport.
async fn clients(app: &TestApp) -> [TestClient; 2] {
    let [websocket, polling] = BOTH.map(|transport| app.connect("/").transport(transport));
    [websocket.await.unwrap(), polling.await.unwrap()]
}

/// A namespace that tells why its sockets leave.
pub(crate) fn leaving() -> (Namespace, UnboundedReceiver<DisconnectReason>) {
    let (sender, reasons) = unbounded_channel();
    let namespace = Namespace::new().on_disconnect(move |reason: DisconnectReason| {
        let _ = sender.send(reason);
        std::future::ready(())
    });
    (namespace, reasons)
}
