//! A handler whose state the server does not have.
//~ no method named `build` found for struct `SocketIoBuilder<Db>`
use axum::extract::State;
use axum_socketio::{Namespace, SocketIo};

#[derive(Clone)]
struct Db;

async fn message(_: State<Db>) {}

fn main() {
    let _ = SocketIo::builder()
        .namespace("/", Namespace::new().on("message", message))
        .build();
}
