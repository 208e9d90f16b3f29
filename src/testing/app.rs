//! An application that is served without a port.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum_core::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tower::util::{BoxCloneSyncService, ServiceExt};
use tower::{BoxError, Service};

use proto::socket_io::{Codec, Parser};

/// The size of the buffer between client and server in each direction, in bytes.
const BUFFER: usize = 64 * 1024;

/// An application under test: the service that would be passed to `axum::serve`, without a listener.
///
/// Cloning is cheap, and clones share the same application. See the [module](super) for an example.
#[derive(Clone)]
pub struct TestApp {
    service: BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>,
    pub(super) codec: Codec,
    pub(super) limit: Duration,
    pub(super) quiet: Duration,
}

impl TestApp {
    /// Serves an axum `Router`, or any other tower service such as [`SocketIo::service`](crate::SocketIo::service).
    ///
    /// There is no listener, so `ConnectInfo` is not set: add axum's `MockConnectInfo` layer to the router instead.
    #[must_use]
    pub fn new<S, B>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let service = service.map_response(|response: Response<B>| response.map(Body::new));
        Self {
            service: BoxCloneSyncService::new(service),
            codec: Codec::Default,
            limit: Duration::from_secs(5),
            quiet: Duration::from_millis(100),
        }
    }

    /// Sets the clients' [`Parser`], which must match that of the server.
    #[must_use]
    pub fn parser(mut self, parser: impl Parser) -> Self {
        self.codec = Codec::Other(Arc::new(parser));
        self
    }

    /// Sets the maximum time to wait for an expected event or response, in tokio's time. Default: 5 s.
    #[must_use]
    pub const fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Sets the time for which [`TestClient::expect_no`](super::TestClient::expect_no) waits, in tokio's time. Default:
    /// 100 ms.
    #[must_use]
    pub const fn quiet(mut self, quiet: Duration) -> Self {
        self.quiet = quiet;
        self
    }

    /// Opens a new connection and returns the client's end of it.
    pub(super) fn open(&self) -> DuplexStream {
        let (client, server) = tokio::io::duplex(BUFFER);
        let app = self.service.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            app.clone().oneshot(request.map(Body::new))
        });
        tokio::spawn(async move {
            let served = http1::Builder::new()
                .serve_connection(TokioIo::new(server), service)
                .with_upgrades();
            if let Err(error) = served.await {
                tracing::debug!(error = error.to_string(), "connection lost");
            }
        });
        client
    }
}

impl fmt::Debug for TestApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestApp")
            .field("limit", &self.limit)
            .field("quiet", &self.quiet)
            .finish_non_exhaustive()
    }
}
