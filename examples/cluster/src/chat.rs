//! One server of the cluster: the chat and its page.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use axum_socketio::{
    Auth, Data, Namespace, Refused, Sid, Socket, SocketIo, Timeouts, shutdown_signal,
};
use axum_socketio_redis::Redis;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;

use crate::page;

/// The settings of this server.
#[derive(Clone)]
struct AppState {
    /// The name of this server.
    server: Arc<str>,
    /// The transports that the page uses.
    transports: Arc<[String]>,
}

#[derive(Deserialize)]
struct Login {
    name: String,
}

/// The data of a socket, which all servers can read.
#[derive(Clone, Serialize, Deserialize)]
struct Person {
    name: String,
    server: String,
}

/// A socket anywhere in the cluster.
#[derive(Serialize)]
struct Online {
    id: Sid,
    #[serde(flatten)]
    person: Person,
}

#[derive(Serialize)]
struct Message<'a> {
    from: &'a Person,
    text: &'a str,
}

/// Serves the chat until the process is told to stop.
pub async fn serve() -> Result<(), Box<dyn Error>> {
    let transports = std::env::var("TRANSPORTS")?;
    let state = AppState {
        server: std::env::var("NAME")?.into(),
        transports: transports.split(',').map(str::to_owned).collect(),
    };
    // This line makes the server a part of the cluster. Nothing else here depends on it.
    let redis = Redis::connect(&std::env::var("REDIS_URL")?).await?;
    let mut io = SocketIo::builder()
        .cluster(redis)
        .namespace(
            "/",
            Namespace::new()
                .middleware(enter)
                .on_connect(entered)
                .on("say", say)
                .on("people", people)
                .on_disconnect(left),
        )
        .timeouts(Timeouts::new().drain_window(Duration::from_millis(500)));
    if let Some(files) = page::client_files()? {
        io = io.serve_client(files);
    }
    let io = io.with_state(state.clone()).build();
    let app = Router::new()
        .route("/config", get(config))
        .merge(page::routes())
        .layer(io.layer())
        .with_state(state);
    let address = format!("127.0.0.1:{}", std::env::var("PORT")?);
    let listener = tokio::net::TcpListener::bind(address).await?;
    axum::serve(listener, app)
        .with_graceful_shutdown(io.graceful(stop()))
        .await?;
    io.closed().await;
    Ok(())
}

/// Waits for a signal, or until the program that has started this server closes its input or has ended.
async fn stop() {
    let closed = async {
        let mut input = [0; 64];
        while tokio::io::stdin()
            .read(&mut input)
            .await
            .is_ok_and(|read| read > 0)
        {}
    };
    tokio::select! {
        () = shutdown_signal() => {}
        () = closed => {}
    }
}

/// The settings of the page.
#[derive(Serialize)]
struct Config {
    transports: Arc<[String]>,
}

async fn config(State(app): State<AppState>) -> Json<Config> {
    Json(Config {
        transports: app.transports,
    })
}

async fn enter(
    socket: Socket,
    State(app): State<AppState>,
    Auth(login): Auth<Login>,
) -> Result<(), Refused> {
    let name = login.name.trim();
    if name.is_empty() || name.chars().count() > 24 || name.chars().any(char::is_control) {
        return Err(Refused::new("a name has 1 to 24 characters"));
    }
    let person = Person {
        name: name.to_owned(),
        server: app.server.to_string(),
    };
    let set = socket.set_data(person);
    set.map_err(|error| Refused::new(error.to_string()))
}

async fn entered(socket: Socket, State(app): State<AppState>) {
    socket.emit("server", &*app.server);
    if let Ok(person) = socket.data::<Person>() {
        let online = Online {
            id: socket.id(),
            person,
        };
        socket.broadcast().emit("entered", online);
    }
}

/// Sends a message to everybody, on all servers.
async fn say(io: SocketIo, socket: Socket, Data(text): Data<String>) {
    let text = text.trim();
    if let Ok(from) = socket.data::<Person>()
        && !text.is_empty()
        && text.chars().count() <= 500
    {
        io.emit("said", Message { from: &from, text });
    }
}

/// Returns everybody, on all servers.
async fn people(io: SocketIo) -> Result<Json<Vec<Online>>, String> {
    let sockets = io
        .fetch_sockets()
        .await
        .map_err(|error| error.to_string())?;
    let online = sockets.iter().filter_map(|socket| {
        let person = socket.data().ok()?;
        let id = socket.id();
        Some(Online { id, person })
    });
    Ok(Json(online.collect()))
}

async fn left(io: SocketIo, socket: Socket) {
    io.emit("left", socket.id());
}
