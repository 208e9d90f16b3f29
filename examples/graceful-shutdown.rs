//! A graceful shutdown: on ctrl-c or SIGTERM the server refuses new connections and closes the existing ones, spread
//! over two seconds. A connection whose handlers are running is closed when they have finished, so that the client
//! still receives their acknowledgements; handlers that run for more than 20 seconds are dropped.
//!
//! Start it with `cargo run --example graceful-shutdown`; `curl -i localhost:3000/readyz` shows if it accepts
//! connections.

use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use axum_socketio::{DisconnectReason, Namespace, Socket, SocketIo, Timeouts, shutdown_signal};
use tracing_subscriber::EnvFilter;

/// Saves. The client receives the acknowledgement even if the shutdown begins meanwhile.
async fn save() -> Json<&'static str> {
    tokio::time::sleep(Duration::from_secs(3)).await;
    eprintln!("saved");
    Json("saved")
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

pub(crate) fn app() -> (Router, SocketIo) {
    let io = SocketIo::builder()
        .timeouts(
            Timeouts::new()
                .drain_window(Duration::from_secs(2))
                .drain_limit(Duration::from_secs(20)),
        )
        .namespace("/", Namespace::new().on("save", save).on_disconnect(left))
        .build();
    let app = Router::new()
        .route("/readyz", get(readyz))
        .layer(io.layer());
    (app, io)
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
