//! The client for tests of users, over both transports, with a paused clock.

mod connect;
mod events;
mod expiry;
mod failures;
mod memory;
mod time;

use axum::Router;
use axum_socketio::config::Transport;
use axum_socketio::testing::{TestApp, TestClient};
use axum_socketio::{DisconnectReason, Namespace, SocketIo};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const BOTH: [Transport; 2] = [Transport::WebSocket, Transport::Polling];

/// Creates an application with one namespace, `/`, and the handle to it.
fn serve(namespace: Namespace) -> (TestApp, SocketIo) {
    let io = SocketIo::builder().namespace("/", namespace).build();
    (TestApp::new(Router::new().layer(io.layer())), io)
}

/// Connects one client over each transport.
async fn clients(app: &TestApp) -> [TestClient; 2] {
    let [websocket, polling] = BOTH.map(|transport| app.connect("/").transport(transport));
    [websocket.await.unwrap(), polling.await.unwrap()]
}

/// Creates a namespace that sends out the reasons with which its sockets leave.
pub(crate) fn leaving() -> (Namespace, UnboundedReceiver<DisconnectReason>) {
    let (sender, reasons) = unbounded_channel();
    let namespace = Namespace::new().on_disconnect(move |reason: DisconnectReason| {
        let _ = sender.send(reason);
        std::future::ready(())
    });
    (namespace, reasons)
}
