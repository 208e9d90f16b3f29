//! `with_state` is forgotten, where the handle was made first.
//~ call `.with_state(state)` before `.build()`
use axum::extract::State;
use axum_socketio::{Namespace, SocketIo};

#[derive(Clone)]
struct Db;

async fn message(_: State<Db>) {}

fn main() {
    let io = SocketIo::handle();
    let namespace = Namespace::new().on("message", message);
    let _ = SocketIo::builder().namespace("/", namespace).build_into(io);
}
