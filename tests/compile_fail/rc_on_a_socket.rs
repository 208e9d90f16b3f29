//! An `Rc`, held over an `.await` of a handler of one socket.
//~ 1.95: future cannot be sent between threads safely
//~ 1.95: std::future::ready(()).await;
use std::rc::Rc;

use axum_socketio::Socket;

pub fn welcome(socket: Socket) {
    socket.on("count", async || {
        let count = Rc::new(1);
        std::future::ready(()).await;
        drop(count);
    });
}

fn main() {}
