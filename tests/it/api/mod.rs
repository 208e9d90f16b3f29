//! Handlers: their arguments and results, their order, and the sockets that their events reach.

mod arguments;
mod before;
mod data;
#[cfg(feature = "macros")]
mod derived_events;
mod dynamic;
mod early;
mod leaving;
mod listeners;
mod merge;
mod missing;
mod namespaces;
mod order;
mod outgoing;
mod rate_limit;
mod results;
mod rooms;
mod shutdown;
mod spread;
mod typed_events;

use axum::Router;
use axum_socketio::{Namespace, SocketIo};

use crate::support::{Server, Ws, serve};

/// Starts a server with this namespace as `/`.
async fn with(namespace: Namespace) -> (Server, SocketIo) {
    let io = SocketIo::builder().namespace("/", namespace).build();
    (serve(Router::new().layer(io.layer())).await, io)
}

/// Sends each event and compares its answer.
async fn answers(namespace: Namespace, expected: &[(&str, &str)]) {
    let (server, _io) = with(namespace).await;
    let mut client = Ws::joined(server.addr).await;
    for (event, answer) in expected {
        assert_eq!(client.ask(event).await, *answer, "{event}");
    }
}
