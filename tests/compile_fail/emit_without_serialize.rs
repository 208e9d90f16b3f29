//! An emit of a value that cannot be serialized.
//~ 1.95: the trait bound `Message: serde::Serialize` is not satisfied
use axum_socketio::Socket;

struct Message;

pub fn say(socket: &Socket) {
    socket.emit("message", Message);
}

fn main() {}
