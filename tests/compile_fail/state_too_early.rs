//! `with_state` before the namespaces that need the state.
//~ 1.95: expected `Namespace`, found `Namespace<Db>`
use axum::extract::State;
use axum_socketio::{Namespace, SocketIo};

#[derive(Clone)]
struct Db;

async fn message(_: State<Db>) {}

fn main() {
    let _ = SocketIo::builder()
        .with_state(Db)
        .namespace("/", Namespace::new().on("message", message))
        .build();
}
