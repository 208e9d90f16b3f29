//! The future of the response, which is the server's or the inner service's.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum_core::body::Body;
use bytes::Bytes;
use http::Response;
use pin_project_lite::pin_project;
use tower::BoxError;

type Ours = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

pin_project! {
    /// The future of [`SocketIoMiddleware`](super::SocketIoMiddleware) and [`SocketIoService`](super::SocketIoService).
    pub struct ResponseFuture<F> {
        #[pin]
        kind: Kind<F>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<F> {
        Ours { future: Ours },
        Inner { #[pin] future: F },
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn ours(future: impl Future<Output = Response<Body>> + Send + 'static) -> Self {
        Self {
            kind: Kind::Ours {
                future: Box::pin(future),
            },
        }
    }

    pub(super) fn inner(future: F) -> Self {
        Self {
            kind: Kind::Inner { future },
        }
    }
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProjection::Ours { future } => future.as_mut().poll(cx).map(Ok),
            KindProjection::Inner { future } => {
                Poll::Ready(ready!(future.poll(cx)).map(|answer| answer.map(Body::new)))
            }
        }
    }
}

impl<F> std::fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
