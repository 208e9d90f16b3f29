//! The smallest program: it answers every `echo` with the arguments of the event.
//!
//! `cargo run --example echo`, then connect a client to `http://localhost:3000`.

use axum::Router;
use axum_socketio::extract::Rest;
use axum_socketio::{Data, Namespace, Reply, SocketIo, shutdown_signal};
use serde_json::Value;
use tracing_subscriber::EnvFilter;

pub(crate) fn app() -> (Router, SocketIo) {
    let io = SocketIo::builder()
        .namespace("/", Namespace::new().on("echo", echo))
        .build();
    (Router::new().layer(io.layer()), io)
}

async fn echo(Data(args): Data<Rest<Value>>) -> Reply<Rest<Value>> {
    Reply(args)
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    // `RUST_LOG` sets the log level. The default is `info`.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).init();
    let (app, io) = app();
    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("0.0.0.0:{port}")).await?;
    axum::serve(listener, app)
        .with_graceful_shutdown(io.graceful(shutdown_signal()))
        .await?;
    io.closed().await;
    Ok(())
}
