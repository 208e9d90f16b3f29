//! An application and its tests: clients in the same process, no port, no real time.
//!
//! `cargo test --features testing --example testing`

use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::post;
use axum::{Extension, Json, Router};
use axum_socketio::{Auth, Data, Namespace, Refused, Socket, SocketIo, shutdown_signal};
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

#[derive(Deserialize)]
struct Token {
    token: String,
}

#[derive(Clone)]
struct User(String);

async fn authenticate(Auth(auth): Auth<Token>) -> Result<Extension<User>, Refused> {
    match auth.token.strip_prefix("secret-") {
        Some(name) => Ok(Extension(User(name.to_owned()))),
        None => Err(Refused::new("not authorized")),
    }
}

async fn message(
    socket: Socket,
    Extension(User(name)): Extension<User>,
    Data(text): Data<String>,
) -> Json<usize> {
    socket.broadcast().emit("message", (name, &text));
    Json(text.len())
}

async fn remind(socket: Socket, Data((text, seconds)): Data<(String, u64)>) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    socket.emit("reminder", text);
}

async fn announce(io: SocketIo, Json(text): Json<String>) -> StatusCode {
    io.emit("announcement", text);
    StatusCode::ACCEPTED
}

/// The application, for `main` and for the tests.
fn app() -> (Router, SocketIo) {
    let chat = Namespace::new()
        .middleware(authenticate)
        .on("message", message)
        .on("remind", remind);
    let io = SocketIo::builder().namespace("/", chat).build();
    let app = Router::new()
        .route("/announce", post(announce))
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

#[cfg(test)]
mod tests {
    use axum_socketio::config::Transport;
    use axum_socketio::testing::{TestApp, TestClient};
    use serde_json::json;

    use super::*;

    async fn connect(app: &TestApp, name: &str) -> TestClient {
        let auth = json!({ "token": format!("secret-{name}") });
        app.connect("/").auth(auth).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn everybody_else_gets_a_message() {
        let app = TestApp::new(app().0);
        let (ann, bob) = (connect(&app, "ann").await, connect(&app, "bob").await);
        assert_eq!(ann.emit_with_ack::<usize>("message", "hi").await, 2);
        let (from, text): (String, String) = bob.next("message").await;
        assert_eq!((from.as_str(), text.as_str()), ("ann", "hi"));
        ann.expect_no("message").await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_is_refused() {
        let connect = TestApp::new(app().0).connect("/");
        let connect = connect.transport(Transport::Polling);
        let refused = connect.auth(json!({ "token": "x" })).await.unwrap_err();
        assert_eq!(refused.to_string(), "not authorized");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reminder_comes_in_its_time() {
        // The simulated time advances by an hour at once.
        let app = TestApp::new(app().0).limit(Duration::from_secs(3601));
        let ann = connect(&app, "ann").await;
        ann.emit("remind", ("tea", 3600)).await;
        ann.expect_no("reminder").await;
        assert_eq!(ann.next::<String>("reminder").await, "tea");
    }

    #[tokio::test(start_paused = true)]
    async fn an_announcement_reaches_everybody() {
        let app = TestApp::new(app().0);
        let ann = connect(&app, "ann").await;
        let answer = app.post("/announce").json("down at six").await;
        answer.assert_status(202);
        assert_eq!(ann.next::<String>("announcement").await, "down at six");
    }
}
