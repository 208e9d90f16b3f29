//! Sessions that HTTP and sockets share: log in over HTTP, read and write the session in events, and log out over HTTP,
//! which disconnects every socket of the session.
//!
//! ```console
//! cargo run --example sessions
//! curl -c jar -b jar -X POST localhost:3000/login/ann
//! curl -c jar -b jar localhost:3000/cart
//! curl -c jar -b jar -X POST localhost:3000/logout
//! ```
//!
//! In between, connect a client that sends the cookie, and emit `add` with a text.
//!
//! A socket lives longer than a request, which has two consequences:
//!
//! - A `Session` caches the data that it has read. A handler calls `load` first. Otherwise it would use the data of the
//!   time at which the socket connected, and a `save` would restore a session that has ended meanwhile.
//! - The code that ends a session disconnects its sockets. Each of them is in a room that is named after the session.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use axum_socketio::config::Order;
use axum_socketio::{Data, Namespace, Socket, SocketIo, shutdown_signal};
use tower_sessions::session_store::SessionStore;
use tower_sessions::{MemoryStore, Session, SessionManagerLayer, session};
use tracing_subscriber::EnvFilter;

/// An error of the store is a 500, as over HTTP; a missing login is a 401.
struct Failed(StatusCode);

impl From<session::Error> for Failed {
    fn from(error: session::Error) -> Self {
        tracing::warn!(%error, "session store failed");
        Self(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl axum::response::IntoResponse for Failed {
    fn into_response(self) -> axum::response::Response {
        let text = self.0.canonical_reason().unwrap_or_default();
        (self.0, text).into_response()
    }
}

/// Returns the name of the user in the current session of the store.
async fn user(session: &Session) -> Result<String, Failed> {
    session.load().await?;
    let user = session.get("user").await?;
    user.ok_or(Failed(StatusCode::UNAUTHORIZED))
}

fn room(session: &Session) -> Option<String> {
    session.id().map(|id| format!("session:{id}"))
}

// --- HTTP ---

async fn login(session: Session, Path(name): Path<String>) -> Result<StatusCode, Failed> {
    session.cycle_id().await?; // a new id, so that nobody can prepare one for somebody else
    session.insert("user", name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn cart(session: Session) -> Result<Json<Vec<String>>, Failed> {
    user(&session).await?;
    Ok(Json(session.get("cart").await?.unwrap_or_default()))
}

/// Disconnects the sockets before and after the end of the session: a handler that saves after the first time notices
/// it, and the second time finds the sockets that have connected meanwhile.
async fn logout(session: Session, io: SocketIo) -> Result<StatusCode, Failed> {
    let sockets = room(&session).map(|room| io.to(room));
    if let Some(sockets) = &sockets {
        sockets.disconnect_all();
    }
    session.flush().await?;
    if let Some(sockets) = &sockets {
        sockets.disconnect_all();
    }
    Ok(StatusCode::NO_CONTENT)
}

// --- Events ---

/// Admits clients that are logged in.
async fn authenticate(session: Session) -> Result<(), Failed> {
    user(&session).await.map(drop)
}

/// Joins the session's room and checks the session again: a logout since `authenticate` has not found this socket in
/// the room. An error disconnects the socket.
async fn connected(socket: Socket, session: Session) -> Result<(), Failed> {
    if let Some(room) = room(&session) {
        socket.join(room);
    }
    user(&session).await.map(drop)
}

async fn add(
    socket: Socket,
    session: Session,
    Data(item): Data<String>,
) -> Result<Json<usize>, Failed> {
    user(&session).await?;
    let mut cart: Vec<String> = session.get("cart").await?.unwrap_or_default();
    cart.push(item);
    session.insert("cart", &cart).await?;
    save(&socket, &session).await?;
    Ok(Json(cart.len()))
}

/// Saves the changes of an event. The layer saves with a response, which an event does not have.
async fn save(socket: &Socket, session: &Session) -> Result<(), Failed> {
    session.save().await?;
    if socket.connected() {
        return Ok(());
    }
    // A logout happened between `load` and `save`, and `save` has undone it.
    session.delete().await?;
    Err(Failed(StatusCode::UNAUTHORIZED))
}

pub(crate) fn app<S: SessionStore + Clone>(store: S) -> (Router, SocketIo) {
    let namespace = Namespace::new()
        .middleware(authenticate)
        .on_connect(connected)
        .on("add", add)
        .order(Order::Completed); // the handlers of a socket share its `Session`
    let io = SocketIo::builder().namespace("/", namespace).build();
    let app = Router::new()
        .route("/login/{name}", post(login))
        .route("/logout", post(logout))
        .route("/cart", get(cart))
        .layer(io.layer())
        // A layer that is added later is outside of the earlier ones, so the handshake has a session.
        .layer(SessionManagerLayer::new(store).with_secure(false));
    (app, io)
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    // `RUST_LOG` sets the log level. The default is `info`.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).init();
    let (app, io) = app(MemoryStore::default());
    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("0.0.0.0:{port}")).await?;
    axum::serve(listener, app)
        .with_graceful_shutdown(io.graceful(shutdown_signal()))
        .await?;
    io.closed().await;
    Ok(())
}
