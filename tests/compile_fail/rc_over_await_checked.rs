//! An `Rc`, held over an `.await` of a handler, found by `check_handler!`.
//~ 1.95: future cannot be sent between threads safely
//~ 1.95: std::future::ready(()).await;
use std::rc::Rc;

use axum_socketio::{Socket, check_handler};

async fn count(_: Socket) {
    let count = Rc::new(1);
    std::future::ready(()).await;
    drop(count);
}

check_handler!((); count(Socket));

fn main() {}
