//! Tower layers for events, as for HTTP routes: a timeout and a limit for one event, load shedding for a namespace.
//!
//! `cargo run --example tower-layers`, then `await socket.emitWithAck("slow")` answers `{"error":"timed out"}`, and the
//! third search at a time `{"error":"overloaded"}`.

use std::time::Duration;

use axum::{Json, Router};
use axum_socketio::handler::Handler;
use axum_socketio::{Data, Namespace, SocketIo, shutdown_signal};
use tower::ServiceBuilder;
use tower::limit::ConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::timeout::TimeoutLayer;
use tracing_subscriber::EnvFilter;

async fn slow() -> Json<&'static str> {
    tokio::time::sleep(Duration::from_secs(60)).await;
    Json("at last")
}

async fn search(Data(query): Data<String>) -> Json<Vec<String>> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    Json(vec![format!("something about {query}")])
}

pub(crate) fn app() -> (Router, SocketIo) {
    // At most two searches at a time over all sockets; a third one is refused at once.
    let limited = ServiceBuilder::new()
        .layer(LoadShedLayer::new())
        .layer(ConcurrencyLimitLayer::new(2));
    let namespace = Namespace::new()
        .on("search", search.layer(limited))
        .on("slow", slow)
        .layer(TimeoutLayer::new(Duration::from_secs(2)));
    let io = SocketIo::builder().namespace("/", namespace).build();
    let app = Router::new().layer(io.layer());
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
