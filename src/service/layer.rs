//! The layer that answers the Socket.IO path of an application, and passes other requests on.

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::Router;
use axum_core::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use tower::BoxError;
use tower_layer::Layer;
use tower_service::Service;

use super::{ResponseFuture, SocketIoService};
use crate::http::ClientFiles;
use crate::server::SocketIo;

impl SocketIo {
    /// Returns a layer for an axum router, or any tower stack. It answers the Socket.IO path, passes other requests on,
    /// and lets their handlers take [`SocketIo`] as an argument.
    ///
    /// In axum, `.layer` covers what was added to the router *before* it, and answers only if some route or fallback of
    /// that router, or the lack of one, is reached. Beside a fallback that is added later, in a nested router and with
    /// `.merge`, use [`router`](Self::router).
    ///
    /// ```
    /// # use axum::Router;
    /// # use axum_socketio::SocketIo;
    /// # let io = SocketIo::builder().build();
    /// let app: Router = Router::new().layer(io.layer());
    /// ```
    #[must_use]
    pub fn layer(&self) -> SocketIoLayer {
        SocketIoLayer { io: self.clone() }
    }

    /// Returns a router to `.merge` or `.nest`, which is independent of order, fallbacks and nesting.
    ///
    /// HTTP handlers that take [`SocketIo`] as an argument need `.layer(Extension(io.clone()))`; those that take
    /// `State<SocketIo>` need it in the state.
    ///
    /// ```
    /// # use axum::{Extension, Router};
    /// # use axum_socketio::SocketIo;
    /// # let io = SocketIo::builder().build();
    /// let app: Router = Router::new().nest("/api", Router::new().merge(io.router())).layer(Extension(io.clone()));
    /// ```
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let path = self.path();
        let router = Router::new().route_service(&path, self.service());
        let files = self.client_files();
        let names = files.iter().flat_map(ClientFiles::names);
        let base = path.trim_end_matches('/');
        let router = names.fold(router, |router, name| {
            router.route_service(&format!("{base}/{name}"), self.service())
        });
        match path.as_str() {
            "/" => router,
            _ => router.route_service(&format!("{path}/"), self.service()),
        }
    }

    fn client_files(&self) -> Option<ClientFiles> {
        self.server()?.hooks.client_files.clone()
    }

    /// Returns the service itself, for hyper and other frameworks. It does not look at the path, and answers every
    /// request that it receives.
    #[must_use]
    pub fn service(&self) -> SocketIoService {
        SocketIoService::new(self.clone())
    }

    fn path(&self) -> String {
        self.server().map_or_else(
            || "/socket.io".to_owned(),
            |server| server.settings.path.clone(),
        )
    }
}

/// The layer of [`SocketIo::layer`].
#[derive(Clone, Debug)]
pub struct SocketIoLayer {
    io: SocketIo,
}

/// The service that [`SocketIoLayer`] makes of an inner one.
#[derive(Clone, Debug)]
pub struct SocketIoMiddleware<S> {
    path: String,
    files: Option<ClientFiles>,
    io: SocketIo,
    ours: SocketIoService,
    inner: S,
}

impl<S> Layer<S> for SocketIoLayer {
    type Service = SocketIoMiddleware<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SocketIoMiddleware {
            path: self.io.path(),
            files: self.io.client_files(),
            io: self.io.clone(),
            ours: self.io.service(),
            inner,
        }
    }
}

impl<S> SocketIoMiddleware<S> {
    fn is_ours(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix(self.path.trim_end_matches('/')) else {
            return false;
        };
        matches!(rest, "" | "/") || self.is_file(rest)
    }

    fn is_file(&self, rest: &str) -> bool {
        let Some(files) = &self.files else {
            return false;
        };
        let name = rest.strip_prefix('/');
        name.is_some_and(|name| files.get(name).is_some())
    }
}

impl<S, B, R> Service<Request<B>> for SocketIoMiddleware<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    R: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if self.is_ours(request.uri().path()) {
            return ResponseFuture::ours(self.ours.respond(request));
        }
        request.extensions_mut().insert(self.io.clone());
        ResponseFuture::inner(self.inner.call(request))
    }
}

impl<B> Service<Request<B>> for SocketIoService
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture<std::future::Pending<Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ResponseFuture::ours(self.respond(request))
    }
}
