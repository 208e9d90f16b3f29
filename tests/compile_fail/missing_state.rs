//! A handler whose state the server does not have: `with_state` is forgotten.
//~ the handlers of this server need the state `Db`: call `.with_state(state)` before `.build()`
//~ `with_state` is missing
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
