//! A handler that returns `impl IntoResponse`.
//~ a Socket.IO handler cannot return `impl IntoResponse` here
use axum::response::IntoResponse;
use axum_socketio::{Namespace, check_handler};

async fn stats() -> impl IntoResponse {
    "some"
}

check_handler!((); stats());

fn main() {
    let _: Namespace = Namespace::new().on("stats", stats);
}
