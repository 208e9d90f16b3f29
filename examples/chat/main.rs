//! A chat: rooms, nicknames, lists of members, typing notices, a history in shared state, and an HTTP route that posts
//! into a room. README.md in this folder describes its events and routes.
//!
//! `cargo run --example chat`, then open <http://127.0.0.1:3000> in two windows.
#![allow(
    unreachable_pub,
    missing_debug_implementations,
    reason = "the modules of a program"
)]

mod events;
mod http;
mod page;
mod state;

use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use axum_socketio::{Namespace, SocketIo, Timeouts, shutdown_signal};
use tracing_subscriber::EnvFilter;

use state::{AppState, Chat};

fn app() -> (Router, SocketIo) {
    // The handle is created first: the state holds it, and the server holds the state.
    let io = SocketIo::handle();
    let state = AppState {
        chat: Chat::default(),
        io: io.clone(),
    };
    let chat = Namespace::new()
        .middleware(events::choose_nick)
        .on_connect(events::welcome)
        .on("join", events::join)
        .on("leave", events::leave)
        .on("message", events::message)
        .on("typing", events::typing)
        .on_disconnect(events::left);
    let io = SocketIo::builder()
        .namespace("/", chat)
        .timeouts(
            Timeouts::new()
                .drain_window(Duration::from_millis(500))
                .drain_limit(Duration::from_secs(3)),
        )
        .with_state(state.clone())
        .build_into(io);
    let app = Router::new()
        .route("/rooms", get(http::rooms))
        .route("/rooms/{room}/messages", post(http::post_message))
        .merge(page::routes())
        .layer(io.layer())
        .with_state(state);
    (app, io)
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it tells people where to look")]
async fn main() -> std::io::Result<()> {
    // `RUST_LOG` sets the log level. The default is `info`.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).init();
    page::fetch_client().await;
    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let (app, io) = app();
    let listener = tokio::net::TcpListener::bind(format!("0.0.0.0:{port}")).await?;
    let port = listener.local_addr()?.port();
    println!("listening on {port}");
    println!("open http://127.0.0.1:{port} in two windows");
    let stop = {
        let io = io.clone();
        async move {
            shutdown_signal().await;
            io.emit("restarting", ()); // before the first connection is closed
        }
    };
    axum::serve(listener, app)
        .with_graceful_shutdown(io.graceful(stop))
        .await?;
    io.closed().await;
    Ok(())
}
