//! An acknowledgement whose type is not declared.
//~ 1.95: type annotations needed
//~ 1.95: emit_with_ack
use axum_socketio::Socket;

pub async fn ask(socket: &Socket) {
    let _ = socket.emit_with_ack("sure?", ()).await;
}

fn main() {}
