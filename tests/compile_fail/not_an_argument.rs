//! A function with an argument that no handler can take.
//~ `NotAnArgument` is not an argument that this kind of Socket.IO handler can take
use axum_socketio::{Namespace, Socket, check_handler};

struct NotAnArgument;

async fn message(_: Socket, _: NotAnArgument) {}

check_handler!((); Socket, NotAnArgument);

fn main() {
    let _: Namespace = Namespace::new().on("message", message);
}
