//! A function with an argument that no handler can take, found at the registration of the handler.
//~ this function cannot be such a handler in a Socket.IO namespace
//~ `check_handler!(State; function(A, B))` names the argument, or the result, that is wrong
use axum_socketio::{Namespace, Socket};

struct NotAnArgument;

async fn message(_: Socket, _: NotAnArgument) {}

fn main() {
    let _: Namespace = Namespace::new().on("message", message);
}
