//! A closure that borrows what it captures.
//~ 1.95: `greeting` does not live long enough
//~ 1.95: argument requires that `greeting` is borrowed for `'static`
use axum_socketio::{Namespace, Socket};

fn main() {
    let greeting = String::from("hello");
    let _: Namespace = Namespace::new().on_connect(async |socket: Socket| {
        socket.emit("greeting", &greeting);
    });
}
