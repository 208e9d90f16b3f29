//! The options of the handshake: which clients may connect, and the answers that they get.

use std::net::IpAddr;
use std::sync::Arc;

use axum::handler::Handler;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

use super::SocketIoBuilder;
use crate::http::{AllowRequest, ClientFiles, ConnectionError, OwnScheme, normalized};
use proto::Sid;

impl<S: Send + Sync + 'static> SocketIoBuilder<S> {
    /// Sets a handler that admits or refuses each new connection, over either transport. It is an axum handler, with
    /// axum's extractors and the server's state, and gets the request of the handshake. Node's `allowRequest`.
    ///
    /// An answer with a status of success admits the client, and an `Extension` in it is available to all sockets of
    /// the connection. Any other answer is sent to the client; a text becomes `{"code":4,"message":text}`. The handler
    /// is not called for further requests of an open session, its upgrade included.
    ///
    /// An answer of 5xx is logged at `warn` and counted. A text with the status 500 is only logged, since axum's
    /// extractors name types of the application in it: the client gets `internal error`. JSON, and texts with other
    /// statuses, are sent to the client. If the handler panics, the answer is 500 and no session is opened.
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
    pub fn allow_request<H, T>(mut self, handler: H) -> Self
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

    /// Lets only pages of these origins, and of the server's own host, connect: over polling, WebSocket and in upgrades
    /// alike. Others are refused with 403 `{"code":4,"message":"Forbidden"}`. Default: all origins may connect.
    ///
    /// Browsers do not prevent pages of other origins from opening WebSockets, and send cookies along. CORS alone does
    /// not protect WebSockets, since it only governs what pages may read. Requests without `Origin` come from no
    /// browser, or from a page of the same origin, and pass.
    ///
    /// Listed origins are compared exactly: scheme, host and port. The default port of a scheme may be left out. Pages
    /// of the server's own host pass too if their host and port are those of `Host`, unless they were loaded over
    /// `http` and the host is known to be [reached over TLS](Self::own_scheme). A proxy has to forward `Host` with its
    /// port (nginx: `$http_host`, as `$host` leaves the port out); otherwise the server's own origin has to be listed.
    /// The compared values are logged at `debug`.
    ///
    /// ```
    /// # use axum_socketio::SocketIo;
    /// let io = SocketIo::builder::<()>().origins(["https://app.example.com"]);
    /// ```
    ///
    /// # Panics
    ///
    /// If one of them is no origin: a scheme and a host, with a port unless it is the default one, or `null`. `"*"` is
    /// no origin; leave this option out to admit all.
    pub fn origins<O: AsRef<str>>(mut self, origins: impl IntoIterator<Item = O>) -> Self {
        let origins = origins.into_iter();
        self.hooks.origins.listed = Some(origins.map(|of| origin(of.as_ref())).collect());
        self
    }

    /// Sets how the server detects that browsers reach it over TLS. If they do, and [`origins`](Self::origins) is set,
    /// pages of its own host that were loaded over `http` are refused, since they may have been modified on the way.
    /// Default: [`OwnScheme::Seen`], which is not enough behind a proxy that terminates TLS.
    ///
    /// ```
    /// use axum_socketio::config::OwnScheme;
    /// use axum_socketio::SocketIo;
    ///
    /// let io = SocketIo::builder::<()>()
    ///     .origins(["https://app.example.com"])
    ///     .own_scheme(OwnScheme::Https);
    /// ```
    pub const fn own_scheme(mut self, scheme: OwnScheme) -> Self {
        self.hooks.origins.own_scheme = scheme;
        self
    }

    /// Sets the maximum number of connections of one client address. Default: no limit. One more is refused with 429
    /// and `Retry-After`, `{"code":4,"message":"Too many connections"}`.
    ///
    /// `address` returns the client's address of a request, since the server cannot determine it behind a proxy.
    /// Requests for which it returns `None` are not counted. All addresses of one IPv6 /64 network count as one.
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

    /// Sets a cookie with the session's id when a session opens over polling, for load balancers with sticky sessions.
    /// Default: no cookie. Node's `cookie: true` is `cookie("io", "Path=/; HttpOnly; SameSite=Lax")`.
    ///
    /// # Panics
    ///
    /// If the cookie is not a valid header value.
    pub fn cookie(mut self, name: &str, attributes: &str) -> Self {
        let attributes = match attributes {
            "" => String::new(),
            attributes => format!("; {attributes}"),
        };
        value(&format!("{name}{attributes}"));
        self.hooks.cookie = Some((name.to_owned(), attributes));
        self
    }

    /// Sets a message that each client gets right after the handshake, in the same response over polling. It is an
    /// Engine.IO message: any text for clients of Engine.IO, or a packet of Socket.IO. Default: none. Node's
    /// `initialPacket`.
    pub fn initial_packet(mut self, text: impl AsRef<str>) -> Self {
        self.hooks.initial_packet = Some(format!("4{}", text.as_ref()));
        self
    }

    /// Serves the files of the browser client next to the connections, as Node's `serveClient` does:
    /// `/socket.io/socket.io.js`. Default: none. The files come from a directory
    /// ([`ClientFiles::from_dir`](crate::config::ClientFiles::from_dir)) or are embedded in the program
    /// ([`embed_client!`](crate::embed_client)).
    ///
    /// Browsers cache them until the client's version changes. Precompressed files are sent to clients that accept
    /// them.
    pub fn serve_client(mut self, files: ClientFiles) -> Self {
        self.hooks.client_files = Some(files);
        self
    }

    /// Sets a function that returns the id of each new session, after `allow_request` has admitted it. Default: 120
    /// random bits. Node's `generateId`.
    ///
    /// Whoever knows the id of a session can read and send on behalf of its client, so ids must be unguessable, and
    /// unique among all servers behind a load balancer. The ids of sockets are not affected, except for clients of
    /// [revision 3](crate::Socket::protocol).
    ///
    /// If the function panics, or returns `None`, or an id that another connection of this server has, the client is
    /// refused with 500, and an error is logged. An id can be used again when its connection and the handlers of that
    /// have ended.
    ///
    /// ```
    /// use axum_socketio::{Sid, SocketIo};
    ///
    /// const SERVER: u8 = 7;
    ///
    /// // The first byte names the server, so that a proxy can route requests by the id.
    /// let io = SocketIo::builder::<()>().generate_id(|_request| {
    ///     let mut bytes = [SERVER; 15];
    ///     getrandom::fill(&mut bytes[1..]).ok()?;
    ///     Some(Sid::from_random(bytes))
    /// });
    /// ```
    pub fn generate_id<F, I>(mut self, generate: F) -> Self
    where
        F: Fn(&Parts) -> I + Send + Sync + 'static,
        I: Into<Option<Sid>>,
    {
        self.hooks.generate_id = Some(Arc::new(move |request| generate(request).into()));
        self
    }

    /// Sets a hook that changes the headers of the first response of each session. Node's `initial_headers` event.
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

    /// Sets a hook that changes the headers of every response that is not an error. Node's `headers` event.
    ///
    /// If the hook panics, the answer is 500, and the session of the request ends. An upgrade fails, and its session
    /// continues over polling.
    pub fn on_headers(
        mut self,
        hook: impl Fn(&mut HeaderMap, &Parts) + Send + Sync + 'static,
    ) -> Self {
        self.hooks.headers = Some(Arc::new(hook));
        self
    }

    /// Sets a hook that is called for every refused request, with the reason. Node's `connection_error` event.
    ///
    /// The reasons are listed in [operations](crate::guide::operations#why-requests-are-refused). A POST whose body is
    /// over [`max_payload`](crate::Limits::max_payload), or later than
    /// [`body_timeout`](crate::Timeouts::body_timeout), is only counted.
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

/// Normalizes an origin as browsers send it, so that the two can be compared.
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
