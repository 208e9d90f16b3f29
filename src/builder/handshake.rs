//! Options of the handshake: who may connect, and what is answered.

use std::net::IpAddr;
use std::sync::Arc;

use axum::handler::Handler;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

use super::SocketIoBuilder;
use crate::hub::{AllowRequest, ClientFiles, ConnectionError, OwnScheme, normalized};

impl<S: Send + Sync + 'static> SocketIoBuilder<S> {
    /// Asks before a client may open a connection, over either transport: an axum handler, with axum's extractors and the
    /// server's state, that sees the request of the handshake. Node's `allowRequest`.
    ///
    /// An answer with a status of success lets the client in, and what it returns as `Extension` is there for all sockets
    /// of the connection. Any other answer is what the client gets; a text becomes `{"code":4,"message":text}`. Requests of
    /// a session that is open, its upgrade included, are not asked about again.
    ///
    /// An answer of 5xx is logged at `warn` and counted. A text with the status 500 is for the log only, since axum's extractors
    /// name types of the application in it: the client gets `internal error`. JSON, and texts with other statuses, reach the
    /// client. If the handler panics, the answer is 500 and no session is opened.
    ///
    /// To admit or refuse sockets of one namespace, use [`Namespace::middleware`](crate::Namespace::middleware).
    ///
    /// ```
    /// use axum::Extension;
    /// use axum::http::{HeaderMap, StatusCode};
    /// use axum_socketio::SocketIo;
    ///
    /// #[derive(Clone)]
    /// struct Device(String);
    ///
    /// async fn known_devices(headers: HeaderMap) -> Result<Extension<Device>, (StatusCode, &'static str)> {
    ///     let device = headers.get("x-device").and_then(|device| device.to_str().ok());
    ///     let device = device.ok_or((StatusCode::UNAUTHORIZED, "which device?"))?;
    ///     Ok(Extension(Device(device.to_owned())))
    /// }
    ///
    /// let io = SocketIo::builder::<()>().allow_request(known_devices);
    /// ```
    pub fn allow_request<T, H>(mut self, handler: H) -> Self
    where
        T: 'static,
        H: Handler<T, S> + Sync,
        S: Clone,
    {
        self.allow = Some(Box::new(move |state: &Arc<S>| {
            let state = Arc::clone(state);
            AllowRequest {
                call: Arc::new(move |request| {
                    Box::pin(handler.clone().call(request, S::clone(&state)))
                }),
                handler: std::any::type_name::<H>,
            }
        }));
        self
    }

    /// Lets only pages of these origins speak to the server, and those of the server's own host: over polling, WebSocket and
    /// in upgrades alike. Others are refused with 403 `{"code":4,"message":"Forbidden"}`. Default: all.
    ///
    /// Browsers do not keep pages of other origins from opening WebSockets, and send cookies along: CORS alone, which is for
    /// what pages may read, does not protect them. Requests without `Origin` come from no browser, or from a page of the same
    /// origin, and pass.
    ///
    /// Listed origins are compared exactly: scheme, host and port, where the usual port of a scheme may be left out. Pages of
    /// the server's own host pass too, if host and port are those of `Host`, unless they came over `http` and the host is known
    /// to be [reached over TLS](Self::own_scheme). A proxy has to pass `Host` on with its port (nginx: `$http_host`, as `$host`
    /// leaves the port out); otherwise the server's own origin has to be listed. The log says at `debug` what was compared.
    ///
    /// ```
    /// # use axum_socketio::SocketIo;
    /// let io = SocketIo::builder::<()>().origins(["https://app.example.com"]);
    /// ```
    ///
    /// # Panics
    ///
    /// If one of them is no origin: a scheme and a host, with a port unless it is the usual one, or `null`. `"*"` is none; all
    /// are let in by leaving this out.
    pub fn origins<O: AsRef<str>>(mut self, origins: impl IntoIterator<Item = O>) -> Self {
        let origins = origins.into_iter();
        self.hooks.origins = Some(origins.map(|of| origin(of.as_ref())).collect());
        self
    }

    /// How the server knows that browsers reach it over TLS: then pages of its own host that came over `http` are refused where
    /// [`origins`](Self::origins) is set, since somebody in between may have written them. Default: [`OwnScheme::Seen`], which
    /// behind a proxy that terminates TLS is not enough.
    ///
    /// ```
    /// use axum_socketio::{OwnScheme, SocketIo};
    ///
    /// let io = SocketIo::builder::<()>()
    ///     .origins(["https://app.example.com"])
    ///     .own_scheme(OwnScheme::Https);
    /// ```
    pub const fn own_scheme(mut self, scheme: OwnScheme) -> Self {
        self.hooks.own_scheme = scheme;
        self
    }

    /// How many connections there may be. Default: no limit. One more is refused with 503 and `Retry-After`,
    /// `{"code":4,"message":"Too many connections"}`.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.settings.max_connections = connections;
        self
    }

    /// How many connections there may be of one client's address. Default: no limit. One more is refused with 429 and
    /// `Retry-After`, `{"code":4,"message":"Too many connections"}`.
    ///
    /// `address` says where a request comes from, which behind a proxy only you know. Requests of which it does not know are
    /// not counted. The addresses of one /64 network of IPv6 are one.
    ///
    /// ```
    /// use std::net::SocketAddr;
    /// use axum::extract::ConnectInfo;
    /// use axum_socketio::SocketIo;
    ///
    /// let io = SocketIo::builder::<()>().max_connections_per_address(20, |request| {
    ///     // As `into_make_service_with_connect_info` tells it.
    ///     let info = request.extensions.get::<ConnectInfo<SocketAddr>>();
    ///     info.map(|info| info.0.ip())
    /// });
    /// ```
    pub fn max_connections_per_address(
        mut self,
        connections: usize,
        address: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        self.settings.max_connections_per_address = connections;
        self.hooks.address = Some(Arc::new(address));
        self
    }

    /// Sets a cookie with the session's id when a session opens over polling, for load balancers that keep to it. Default:
    /// none. Node's `cookie: true` is `cookie("io", "Path=/; HttpOnly; SameSite=Lax")`.
    ///
    /// # Panics
    ///
    /// If it cannot be a header's value.
    pub fn cookie(mut self, name: &str, attributes: &str) -> Self {
        let attributes = match attributes {
            "" => String::new(),
            attributes => format!("; {attributes}"),
        };
        value(&format!("{name}{attributes}"));
        self.hooks.cookie = Some((name.to_owned(), attributes));
        self
    }

    /// A message that each client gets right after the handshake, in the same answer over polling: text of Engine.IO, which
    /// is for clients of Engine.IO or a packet of Socket.IO. Default: none. Node's `initialPacket`.
    pub fn initial_packet(mut self, text: impl AsRef<str>) -> Self {
        self.hooks.initial_packet = Some(format!("4{}", text.as_ref()));
        self
    }

    /// Serves the browser client's files beside the connections, as Node's `serveClient` does: `/socket.io/socket.io.js`. Default:
    /// none are. From a folder by [`ClientFiles::from_dir`](crate::ClientFiles::from_dir), or out of the program by
    /// [`embed_client!`](crate::embed_client).
    ///
    /// They are cached until the client's version changes. Forms that were compressed beforehand are sent to who takes them.
    pub fn serve_client(mut self, files: ClientFiles) -> Self {
        self.hooks.client_files = Some(files);
        self
    }

    /// Changes the headers of the first answer of each session. Node's `initial_headers` event.
    ///
    /// ```
    /// # use axum_socketio::SocketIo;
    /// # use axum::http::HeaderValue;
    /// let io = SocketIo::builder::<()>().on_initial_headers(|headers, _request| {
    ///     headers.insert("x-server", HeaderValue::from_static("one"));
    /// });
    /// ```
    pub fn on_initial_headers(
        mut self,
        hook: impl Fn(&mut HeaderMap, &Parts) + Send + Sync + 'static,
    ) -> Self {
        self.hooks.initial_headers = Some(Arc::new(hook));
        self
    }

    /// Changes the headers of every answer that is no error. Node's `headers` event.
    ///
    /// If the hook panics, the answer is 500, and the session that it belongs to ends. An upgrade fails, and its session goes
    /// on over polling.
    pub fn on_headers(
        mut self,
        hook: impl Fn(&mut HeaderMap, &Parts) + Send + Sync + 'static,
    ) -> Self {
        self.hooks.headers = Some(Arc::new(hook));
        self
    }

    /// Is told of every request that is refused, and why. Node's `connection_error` event.
    ///
    /// If the hook panics, the answer is 500.
    pub fn on_connection_error(
        mut self,
        hook: impl Fn(&ConnectionError<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.hooks.refused = Some(Arc::new(hook));
        self
    }
}

/// As browsers write it, or nobody's would ever be the same.
fn origin(text: &str) -> HeaderValue {
    let origin = normalized(text);
    let host = origin.split_once("://").map(|(_, host)| host);
    let is_host = |host: &str| !host.is_empty() && !host.contains(['/', '*']);
    assert!(
        origin == "null" || host.is_some_and(is_host),
        "{text:?} is no origin, as https://app.example.com is one"
    );
    value(&origin)
}

#[expect(clippy::expect_used, reason = "said in the documents")]
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("a header's value")
}
