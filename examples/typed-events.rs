//! A chat whose events are types: their names, arguments and acknowledgements are written once, and the compiler checks
//! each handler and each emit.
//!
//! `cargo run --features macros --example typed-events`, then connect a client to `http://localhost:3000/chat`:
//!
//! ```js
//! const socket = io("http://localhost:3000/chat");
//! socket.on("said", ({ from, text }) => console.log(from, text));
//! await socket.emitWithAck("enter", "lobby");              // the number of people in the room
//! socket.emit("say", "lobby", "hello", ({ length }) => console.log(length));
//! ```

use axum::{Json, Router};
use axum_socketio::contract::{ClientEvent, ServerEvent, Sid, contract};
use axum_socketio::emit::Typed;
use axum_socketio::{Namespace, SocketIo, shutdown_signal};
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// Enters a room. One field is one argument.
#[derive(Deserialize, ClientEvent)]
#[event("enter", ack = usize)]
struct Enter(String);

/// Says a text in a room. Two fields are two arguments.
#[derive(Deserialize, ClientEvent)]
#[event("say", ack = Receipt)]
struct Say(String, String);

/// The acknowledgement of [`Say`].
#[derive(Serialize)]
struct Receipt {
    length: usize,
}

/// Reports what somebody has said. A struct with names is one argument, an object.
#[derive(Serialize, ServerEvent)]
#[event("said")]
struct Said<'a> {
    from: Sid,
    text: &'a str,
}

/// Welcomes a client; without arguments.
#[derive(Serialize, ServerEvent)]
#[event("welcome")]
struct Welcome;

contract! {
    /// The events of the chat.
    Chat = "/chat";
    client: Enter, Say;
    server: Said<'_>, Welcome;
}

async fn welcome(socket: Typed<Chat>) {
    socket.send_event(&Welcome);
}

/// Its result must be what `Enter` declares.
async fn enter(socket: Typed<Chat>, Enter(room): Enter) -> Result<Json<usize>, &'static str> {
    let joined = socket.untyped().join(&room).await;
    let present = socket.untyped().to(&room).count().await;
    match (joined.is_ok(), present) {
        (true, Ok(others)) => Ok(Json(others + 1)),
        _ => Err("the room cannot be entered"),
    }
}

async fn say(socket: Typed<Chat>, Say(room, text): Say) -> Json<Receipt> {
    let from = socket.untyped().id();
    socket.to(&room).send_event(&Said { from, text: &text });
    Json(Receipt { length: text.len() })
}

pub(crate) fn app() -> (Router, SocketIo) {
    let chat = Namespace::new()
        .on_connect(welcome)
        .of::<Chat>()
        .on_event(Enter::EVENT, enter)
        .on_event(Say::EVENT, say);
    let io = SocketIo::builder().contract(chat).build();
    (Router::new().layer(io.layer()), io)
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
