//! An argument that is a reference.
//~ this function cannot be such a handler
use axum_socketio::{Namespace, Socket};

async fn welcome(_: &Socket) {}

fn main() {
    let _: Namespace = Namespace::new().on_connect(welcome);
}
