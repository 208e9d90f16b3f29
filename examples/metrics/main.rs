//! The counters of a server in the format of Prometheus, and a page that draws them.
//!
//! ```console
//! cargo run --features metrics --example metrics      # then open http://localhost:3000
//! ```
//!
//! The page opens clients of its own, which send events, so that there is something to draw. `prometheus.yml` and
//! `grafana.json` in this folder show the same numbers in Grafana.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use axum::{Json, Router};
use axum_socketio::handler::Failed;
use axum_socketio::handler::{Handler, HandlerTime, RateLimit};
use axum_socketio::{Data, Namespace, Socket, SocketIo, shutdown_signal};
use metrics::counter;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// Sends a message to all other clients.
async fn message(socket: Socket, Data(text): Data<String>) -> Json<usize> {
    // A counter of the application, in addition to those of the server.
    counter!("chat_characters_total").increment(text.chars().count() as u64);
    socket.broadcast().emit("message", &text);
    Json(text.len())
}

/// Waits, as for a database.
async fn work(Data(millis): Data<u16>) {
    tokio::time::sleep(Duration::from_millis(millis.into())).await;
}

async fn save() -> Result<(), (StatusCode, &'static str)> {
    Err((StatusCode::INSUFFICIENT_STORAGE, "disk full"))
}

#[expect(clippy::panic, reason = "to see it counted")]
async fn crash() {
    if true {
        panic!("on purpose");
    }
}

/// Asks the client, which may not answer.
async fn ask(socket: Socket) -> Result<Json<bool>, axum_socketio::emit::AckError> {
    let asking = socket.timeout(Duration::from_millis(500));
    asking.emit_with_ack("sure?", ()).await.map(Json)
}

fn log(failed: &Failed<'_>) {
    tracing::debug!(failed.event, failed.message, "handler failed");
}

/// Answers the request of Prometheus.
async fn scrape(io: SocketIo, State(prometheus): State<PrometheusHandle>) -> impl IntoResponse {
    io.publish_metrics();
    let text = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, text)], prometheus.render())
}

pub(crate) fn app(prometheus: PrometheusHandle) -> (Router, SocketIo) {
    let limit = RateLimit::new(5, Duration::from_secs(1));
    let namespace = Namespace::new()
        .on("message", message)
        .on("work", work)
        .on("save", save)
        .on("crash", crash)
        .on("ask", ask)
        .on("like", (async || {}).layer(limit))
        .on_error(log)
        .layer(HandlerTime::new());
    let io = SocketIo::builder().namespace("/", namespace).build();
    let app = Router::new()
        .route("/", get(async || Html(include_str!("index.html"))))
        .route("/metrics", get(scrape))
        .with_state(prometheus)
        .layer(io.layer());
    (app, io)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `RUST_LOG` sets the log level. The default is `info`.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).init();
    let time = Matcher::Full("socketio_handler_seconds".to_owned());
    let prometheus = PrometheusBuilder::new()
        .set_buckets_for_metric(time, &[0.001, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0])?
        .install_recorder()?;
    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("0.0.0.0:{port}")).await?;
    tracing::info!("http://localhost:{port}");
    let (app, io) = app(prometheus);
    axum::serve(listener, app)
        .with_graceful_shutdown(io.graceful(shutdown_signal()))
        .await?;
    io.closed().await;
    Ok(())
}
