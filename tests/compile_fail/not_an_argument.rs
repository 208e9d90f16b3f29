//! A function with an argument that no handler can take.
//~ `NotAnArgument` is not an argument that this kind of Socket.IO handler can take
//~ handlers take axum's extractors that need no body, `Socket` and `Auth<T>`
//~ this function cannot be such a handler in a Socket.IO namespace
//~ `check_handler!(State; A, B => Result)` names the argument, or the result, that is wrong
use axum_socketio::{Namespace, Socket, check_handler};

struct NotAnArgument;

async fn message(_: Socket, _: NotAnArgument) {}

check_handler!((); Socket, NotAnArgument);

fn main() {
    let _: Namespace = Namespace::new().on("message", message);
}
