//! A server that goes down in order: on ctrl-c it takes no new connections, closes those it has, spread over two seconds,
//! and waits for handlers that are still at work. Their clients are gone by then, so nobody hears what they answer.
//!
//! `cargo run --example graceful-shutdown`; `curl -i localhost:3000/readyz` says whether it takes new connections.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use axum_socketio::{DisconnectReason, Namespace, Socket, SocketIo};
use tracing_subscriber::EnvFilter;

/// Finishes even when its client has been disconnected: handlers are not cancelled.
async fn save() {
    tokio::time::sleep(Duration::from_secs(3)).await;
    eprintln!("saved");
}

async fn left(socket: Socket, reason: DisconnectReason) {
    eprintln!("{} left: {reason}", socket.id());
}

async fn readyz(io: SocketIo) -> StatusCode {
    if io.ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

async fn ctrl_c() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        eprintln!("no signals here: {error}");
        std::future::pending::<()>().await;
    }
}

pub(crate) fn app() -> (Router, SocketIo) {
    let io = SocketIo::builder()
        .drain_window(Duration::from_secs(2))
        .drain_limit(Duration::from_secs(20))
        .namespace("/", Namespace::new().on("save", save).on_disconnect(left))
        .build();
    let app = Router::new()
        .route("/readyz", get(readyz))
        .layer(io.layer());
    (app, io)
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    // `RUST_LOG` says what is logged, by default what is at `info` or above.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).init();
    let (app, io) = app();
    let listener = tokio::net::TcpListener::bind("0.0.0.0:3000").await?;
    axum::serve(listener, app)
        .with_graceful_shutdown(io.graceful(ctrl_c()))
        .await?;
    io.closed().await;
    Ok(())
}
