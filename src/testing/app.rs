//! An application without a port.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum_core::body::Body;
use bytes::Bytes;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tower::util::{BoxCloneSyncService, ServiceExt};
use tower::{BoxError, Service};

use super::{Connect, TestRequest};
use crate::protocol::socket_io::{Codec, Parser};

/// How much either side may write before the other reads, in bytes.
const BUFFER: usize = 64 * 1024;

/// An application under test: what `axum::serve` would get, without the listener.
///
/// Cloning it is cheap, and gives the same application. See the [module](super) for an example.
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
    /// `ConnectInfo` is what the listener knows, and there is none: give the router a layer of axum's `MockConnectInfo`.
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

    /// The clients' [`Parser`]: that of the server, if it has one.
    #[must_use]
    pub fn parser(mut self, parser: impl Parser) -> Self {
        self.codec = Codec::Other(Arc::new(parser));
        self
    }

    /// How long anything that must happen may take, in tokio's time. Default: 5 s.
    #[must_use]
    pub const fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// For how long nothing must have happened, in tokio's time; see [`TestClient::expect_no`](super::TestClient::expect_no).
    /// Default: 100 ms.
    #[must_use]
    pub const fn quiet(mut self, quiet: Duration) -> Self {
        self.quiet = quiet;
        self
    }

    /// A new client, on a connection of its own, that joins a namespace. The slash in front may be left out.
    #[track_caller]
    pub fn connect(&self, nsp: &str) -> Connect {
        Connect::new(self.clone(), nsp)
    }

    /// A GET of a path.
    #[track_caller]
    pub fn get(&self, path: &str) -> TestRequest {
        self.request(Method::GET, path)
    }

    /// A POST to a path.
    #[track_caller]
    pub fn post(&self, path: &str) -> TestRequest {
        self.request(Method::POST, path)
    }

    /// Any other request, for a path with its query.
    #[track_caller]
    pub fn request(&self, method: Method, path: &str) -> TestRequest {
        TestRequest::new(self.clone(), method, path)
    }

    /// The client's end of a new connection.
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
