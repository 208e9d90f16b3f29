//! One function for an HTTP route and an event: `POST /todos` and `todo:create` share `create_todo`, with the same
//! state, arguments and errors.
//!
//! `cargo run --example todo-shared-handlers`, then
//! `curl -H 'content-type: application/json' -d '{"text":"milk"}' localhost:3000/todos`, or from a client:
//! `await socket.emitWithAck("todo:create", { text: "milk" })`.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use axum_socketio::{Namespace, SocketIo, shutdown_signal};
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

#[derive(Clone, FromRef)]
struct AppState {
    todos: Todos,
    io: SocketIo,
}

#[derive(Clone, Default)]
struct Todos(Arc<Mutex<Vec<Todo>>>);

#[derive(Clone, Serialize)]
struct Todo {
    id: usize,
    text: String,
}

#[derive(Deserialize)]
struct NewTodo {
    text: String,
}

enum AppError {
    EmptyText,
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let Self::EmptyText = self;
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            Json(serde_json::json!({ "error": "a todo needs a text" })),
        )
            .into_response()
    }
}

async fn create_todo(
    State(todos): State<Todos>,
    State(io): State<SocketIo>,
    Json(new): Json<NewTodo>,
) -> Result<(StatusCode, Json<Todo>), AppError> {
    if new.text.trim().is_empty() {
        return Err(AppError::EmptyText);
    }
    let todo = {
        let mut todos = todos.0.lock().unwrap_or_else(PoisonError::into_inner);
        let todo = Todo {
            id: todos.len() + 1,
            text: new.text,
        };
        todos.push(todo.clone());
        todo
    };
    io.emit("todo:created", &todo);
    Ok((StatusCode::CREATED, Json(todo)))
}

async fn list_todos(State(todos): State<Todos>) -> Json<Vec<Todo>> {
    Json(
        todos
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone(),
    )
}

pub(crate) fn app() -> (Router, SocketIo) {
    // The handle is created first: the state holds it, and the server holds the state.
    let io = SocketIo::handle();
    let state = AppState {
        todos: Todos::default(),
        io: io.clone(),
    };
    let todos = Namespace::new()
        .on("todo:create", create_todo)
        .on("todo:list", list_todos);
    let io = SocketIo::builder()
        .namespace("/", todos)
        .with_state(state.clone())
        .build_into(io);
    let app = Router::new()
        .route("/todos", get(list_todos).post(create_todo))
        .layer(io.layer())
        .with_state(state);
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
