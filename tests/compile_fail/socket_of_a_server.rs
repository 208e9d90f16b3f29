//! A handler of events of other servers that takes a socket.
//~ `Socket` is not an argument that a handler of `on_server` can take
//~ such an event has no socket and no request
use axum_socketio::extract::FromServerSideEvent;
use axum_socketio::{Namespace, Socket};

async fn forget(_: Socket) {}

fn takes<T: FromServerSideEvent<()>>() {}

fn main() {
    takes::<Socket>();
    let _: Namespace = Namespace::new().on_server("forget", forget);
}
