//! Two ways to authenticate: a token in the client's `auth`, checked by a middleware; and the session of an HTTP login,
//! which the socket shares by its cookie. A socket ends with its token or its session.
//!
//! Start it with `cargo run --example auth`, then connect a client to `/token` with
//! `{ auth: { token: "ann-secret" } }`; or log in with `curl -c jar -X POST localhost:3000/login/ann` and connect to
//! `/session` with that cookie.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Extension, Json, Router};
use axum_socketio::{Auth, Data, Namespace, Refused, Socket, SocketIo, shutdown_signal};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tower_sessions::{MemoryStore, Session, SessionManagerLayer};
use tracing_subscriber::EnvFilter;

/// The user whom a middleware has authenticated. Every handler of the socket may take it as `Extension<User>`.
#[derive(Clone, Serialize, Deserialize)]
struct User {
    name: String,
}

/// The keys that tokens are signed with; in this example, a secret.
#[derive(Clone)]
struct Keys {
    secret: String,
}

/// The time for which a token is valid. A real token, such as a JWT, contains the time at which it expires.
const VALID: Duration = Duration::from_secs(60 * 60);

#[derive(Deserialize)]
struct Token {
    token: String,
}

impl Keys {
    fn verify(&self, token: &str) -> Result<User, Refused> {
        let name = token
            .strip_suffix(&self.secret)
            .and_then(|name| name.strip_suffix('-'));
        // The client's connect_error event gets both: error.message and error.data.code.
        let refused = || Refused::new("not authorized").data(json!({ "code": "bad_token" }));
        let name = name.ok_or_else(refused)?.to_owned();
        Ok(User { name })
    }
}

async fn by_token(
    socket: Socket,
    State(keys): State<Keys>,
    Auth(auth): Auth<Token>,
) -> Result<Extension<User>, Refused> {
    let user = keys.verify(&auth.token)?;
    socket.expires_in(VALID);
    Ok(Extension(user))
}

/// Lets the client stay longer. It sends a new token before the old one expires.
async fn renew(
    socket: Socket,
    State(keys): State<Keys>,
    Data(token): Data<String>,
) -> Result<(), Refused> {
    keys.verify(&token)?;
    socket.expires_in(VALID);
    Ok(())
}

/// Authenticates by the session of the HTTP login. The session's layer is outside of ours, so the handshake has a
/// session.
async fn by_session(socket: Socket, session: Session) -> Result<Extension<User>, StatusCode> {
    socket.expires_at(session.expiry_date().into());
    let user = session
        .get::<User>("user")
        .await
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    user.map(Extension).ok_or(StatusCode::UNAUTHORIZED)
}

async fn whoami(Extension(user): Extension<User>) -> Json<User> {
    Json(user)
}

async fn login(session: Session, Path(name): Path<String>) -> Result<StatusCode, StatusCode> {
    session
        .insert("user", User { name })
        .await
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) fn app() -> (Router, SocketIo) {
    let keys = Keys {
        secret: "secret".to_owned(),
    };
    let io = SocketIo::builder()
        .namespace(
            "/token",
            Namespace::new()
                .middleware(by_token)
                .on("whoami", whoami)
                .on("renew", renew),
        )
        .namespace(
            "/session",
            Namespace::new().middleware(by_session).on("whoami", whoami),
        )
        .with_state(keys)
        .build();
    let app = Router::new()
        .route("/login/{name}", post(login))
        .layer(io.layer())
        // A layer that is added later is outside of the earlier ones.
        .layer(SessionManagerLayer::new(MemoryStore::default()).with_secure(false));
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
