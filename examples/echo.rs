//! The smallest program: answers every `echo` with what it was sent.
//!
//! `cargo run --example echo`, then connect a client to `http://localhost:3000`.

use axum::Router;
use axum_socketio::{Namespace, RawArgs, Reply, SocketIo};
use serde_json::Value;

fn app() -> Router {
    let io = SocketIo::builder()
        .namespace("/", Namespace::new().on("echo", echo))
        .build();
    Router::new().layer(io.layer())
}

async fn echo(args: RawArgs) -> Reply<Value> {
    Reply(args.deserialize().unwrap_or_default())
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("0.0.0.0:3000").await?;
    axum::serve(listener, app()).await
}
