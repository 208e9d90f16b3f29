//! A builder for a client that connects.

use std::future::IntoFuture;
use std::sync::Arc;

use bytestring::ByteString;
use http::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};

use super::app::TestApp;
use super::client::TestClient;
use super::connection::ClientConnection;
use super::error::ConnectError;
use super::expect::{Expect, Waiting};
use super::handshake_request::HandshakeRequest;
use super::http1::{add_cookie, add_header};
use super::state::Back;
use super::{polling, websocket};
use proto::engine_io::Transport;
use proto::socket_io::Kind;

type Connecting = Waiting<'static, Result<TestClient, ConnectError>>;

/// A builder for a client on a new connection, returned by [`TestApp::connect`]. It connects when it is awaited.
///
/// # Errors
///
/// Returns a [`ConnectError`] if the connection is refused.
///
/// ```
/// # use axum::Router;
/// # use axum_socketio::testing::{ConnectError, TestApp};
/// # use axum_socketio::{Auth, Namespace, Refused, SocketIo};
/// # use serde_json::{Value, json};
/// async fn authenticate(Auth(auth): Auth<Value>) -> Result<(), Refused> {
///     Err(Refused::new("not authorized").data(auth))
/// }
/// # async fn f() {
/// # let io = SocketIo::builder().namespace("/", Namespace::new().middleware(authenticate)).build();
/// # let app = Router::new().layer(io.layer());
///
/// let app = TestApp::new(app);
/// let refused = app.connect("/").auth(json!({ "token": "x" })).await.unwrap_err();
/// assert_eq!(refused.to_string(), "not authorized");
/// # }
/// ```
///
/// # Panics
///
/// Panics if there is neither a refusal nor a connection within the [limit](TestApp::limit), or if a header, a path or
/// a query is invalid.
#[derive(Debug)]
#[must_use = "it connects when it is awaited"]
pub struct Connect {
    app: TestApp,
    handshake: HandshakeRequest,
    transport: Transport,
    join: Joining,
}

impl Connect {
    #[track_caller]
    pub(super) fn new(app: TestApp, nsp: &str) -> Self {
        let join = Joining::new(nsp, &app);
        Self {
            app,
            handshake: HandshakeRequest {
                path: "/socket.io/".to_owned(),
                query: String::new(),
                headers: HeaderMap::new(),
            },
            transport: Transport::WebSocket,
            join,
        }
    }

    /// Sets the object that the server receives as [`Auth`](crate::Auth). Default: none.
    pub fn auth(mut self, auth: impl Serialize) -> Self {
        self.join.auth(&auth);
        self
    }

    /// Resumes the session of a client that was connected before. With the namespace's
    /// [`Recovery`](crate::config::Recovery), the client recovers its socket and receives the events that it has
    /// missed.
    ///
    /// ```
    /// # use axum_socketio::testing::{TestApp, TestClient};
    /// # async fn f(app: TestApp, alice: TestClient) {
    /// alice.cut().await;
    /// let again = app.connect("/").coming_back_as(&alice).await.unwrap();
    /// assert!(again.recovered());
    /// # }
    /// ```
    pub fn coming_back_as(mut self, client: &TestClient) -> Self {
        self.join.back = client.back();
        self
    }

    /// Adds a header to the handshake.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let (headers, expect) = (&mut self.handshake.headers, self.join.expect);
        add_header(headers, name.as_ref(), value.as_ref(), expect);
        self
    }

    /// Adds a cookie to the handshake.
    pub fn cookie(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let (headers, expect) = (&mut self.handshake.headers, self.join.expect);
        add_cookie(headers, name.as_ref(), value.as_ref(), expect);
        self
    }

    /// Appends to the query of the handshake. The text is used unchanged, for example `lang=en&beta=1`.
    pub fn query(mut self, query: impl AsRef<str>) -> Self {
        self.handshake.query.push('&');
        self.handshake.query.push_str(query.as_ref());
        self.check()
    }

    /// Sets the path at which Socket.IO is mounted. Default: `/socket.io/`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.handshake.path = path.into();
        self.check()
    }

    /// Sets the transport, which is used for the whole connection. Default: WebSocket.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    fn check(self) -> Self {
        let HandshakeRequest { path, query, .. } = &self.handshake;
        let target = format!("{path}?{query}");
        if let Err(error) = target.parse::<http::Uri>() {
            self.join.expect.fail(format_args!("{target:?}: {error}"));
        }
        self
    }

    async fn connect(self) -> Result<TestClient, ConnectError> {
        let Self {
            app,
            handshake,
            transport,
            join,
        } = self;
        let opening = async {
            if transport == Transport::Polling {
                polling::open(&app, handshake).await
            } else {
                websocket::open(&app, &handshake).await
            }
        };
        let nothing = || "nothing came".to_owned();
        let what = format!("an answer to the handshake over {transport}");
        let connection = join.expect.get(what, opening, nothing).await?;
        join.over(Arc::new(connection)).await
    }
}

impl IntoFuture for Connect {
    type Output = Result<TestClient, ConnectError>;
    type IntoFuture = Connecting;

    fn into_future(self) -> Connecting {
        Box::pin(self.connect())
    }
}

impl TestApp {
    /// Creates a client that joins a namespace over a new connection. The leading slash of `nsp` may be omitted.
    #[track_caller]
    pub fn connect(&self, nsp: &str) -> Connect {
        Connect::new(self.clone(), nsp)
    }
}

impl TestClient {
    /// Joins another namespace over the same connection. Each namespace can be joined once.
    #[track_caller]
    pub fn connect(&self, nsp: &str) -> Join {
        Join::new(Arc::clone(&self.connection), nsp, &self.app)
    }
}

/// A builder for a client in another namespace over the same connection, returned by [`TestClient::connect`]. It joins
/// when it is awaited.
///
/// # Errors
///
/// Returns a [`ConnectError`] if the namespace is refused.
///
/// # Panics
///
/// Panics if there is no response within the [limit](TestApp::limit), or if the connection has joined the namespace
/// before.
#[derive(Debug)]
#[must_use = "it joins when it is awaited"]
pub struct Join {
    connection: Arc<ClientConnection>,
    join: Joining,
}

impl Join {
    #[track_caller]
    pub(super) fn new(connection: Arc<ClientConnection>, nsp: &str, app: &TestApp) -> Self {
        let join = Joining::new(nsp, app);
        Self { connection, join }
    }

    /// Sets the object that the server receives as [`Auth`](crate::Auth). Default: none.
    pub fn auth(mut self, auth: impl Serialize) -> Self {
        self.join.auth(&auth);
        self
    }
}

impl IntoFuture for Join {
    type Output = Result<TestClient, ConnectError>;
    type IntoFuture = Connecting;

    fn into_future(self) -> Connecting {
        Box::pin(self.join.over(self.connection))
    }
}

/// Merges the client's own auth with the private id and offset that it resumes from.
fn with(auth: Option<String>, back: &Back, expect: Expect) -> String {
    let auth = auth.map(|auth| serde_json::from_str(&auth));
    let Ok(Value::Object(auth)) = auth.unwrap_or_else(|| Ok(json!({}))) else {
        expect.fail("auth is an object where a client comes back");
    };
    let mut all = json!(back);
    if let Value::Object(all) = &mut all {
        all.extend(auth);
    }
    all.to_string()
}

/// The state of a pending join.
#[derive(Debug)]
struct Joining {
    nsp: ByteString,
    auth: Option<String>,
    back: Back,
    app: TestApp,
    expect: Expect,
}

impl Joining {
    #[track_caller]
    fn new(nsp: &str, app: &TestApp) -> Self {
        let nsp = match nsp.strip_prefix('/') {
            Some(_) => nsp.into(),
            None => format!("/{nsp}").into(),
        };
        Self {
            nsp,
            auth: None,
            back: Back::default(),
            app: app.clone(),
            expect: Expect::within(app.limit),
        }
    }

    fn auth(&mut self, auth: &impl Serialize) {
        match serde_json::to_string(auth) {
            Ok(json) => self.auth = Some(json),
            Err(error) => self.expect.fail(format_args!("auth: {error}")),
        }
    }

    async fn over(self, connection: Arc<ClientConnection>) -> Result<TestClient, ConnectError> {
        let Self {
            nsp,
            auth,
            back,
            app,
            expect,
        } = self;
        let auth = match &back.pid {
            Some(_) => Some(with(auth, &back, expect)),
            None => auth,
        };
        let shared = &connection.shared;
        if !shared.with(|state| state.join(&nsp, back)) {
            expect.fail(format_args!("{nsp} has been joined over this connection"));
        }
        let auth = auth.as_deref();
        shared.send_packet(shared.codec.plain(Kind::Connect, &nsp, auth));
        let answer = shared.until(|state| {
            let socket = state.socket(&nsp);
            let ended = socket.ended.map(|reason| Err(ConnectError::Closed(reason)));
            socket.joined.clone().or(ended)
        });
        let instead = || shared.with(|state| state.socket(&nsp).describe());
        let what = format!("an answer to CONNECT for {nsp}");
        match expect.get(what, answer, instead).await {
            Ok(id) => Ok(TestClient::new(connection, nsp, id, app)),
            Err(error) => {
                shared.with(|state| state.refused(&nsp));
                Err(error)
            }
        }
    }
}
