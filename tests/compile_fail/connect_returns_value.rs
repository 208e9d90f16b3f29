//! A connect handler that returns an acknowledgement.
//~ a Socket.IO handler cannot return `axum::Json<u8>` here
use axum::Json;
use axum_socketio::{Namespace, Socket, check_handler};

async fn welcome(_: Socket) -> Json<u8> {
    Json(1)
}

check_handler!(connect (); welcome(Socket));

fn main() {
    let _: Namespace = Namespace::new().on_connect(welcome);
}
