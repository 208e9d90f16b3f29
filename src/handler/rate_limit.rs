//! A layer that limits the rate of a client's events.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tower::BoxError;
use tower_layer::Layer;
use tower_service::Service;

use super::event_request::EventRequest;
use crate::clock::now;
use crate::socket::{AckBody, Rate};

/// A layer that limits the number of events, or of bytes, that each connection may send to the handlers behind it.
/// Events over the limit do not reach the handlers; the client's callback gets `{"error":"too many events"}`.
///
/// The whole number may arrive at once, and the same number again in each period. If one layer is added to several
/// namespaces, it counts their events together. For handlers that are added to one socket, create the layer once and
/// clone it: a new layer for each socket starts a new count.
///
/// Messages that pass no layer are not counted: `on_any` and `before` run first, and events without a handler, joins
/// and leaves of namespaces are answered without layers. These cost little, are limited for each connection, and are
/// slowed down if the client does not read the answers.
///
/// ```
/// use std::time::Duration;
/// use axum_socketio::Namespace;
/// use axum_socketio::handler::RateLimit;
///
/// let second = Duration::from_secs(1);
/// let namespace: Namespace = Namespace::new()
///     .on("message", async || {})
///     .layer(RateLimit::new(20, second).bytes(64 * 1024));
/// ```
#[derive(Clone, Debug)]
pub struct RateLimit {
    events: Rate,
    bytes: Option<Rate>,
    disconnects: bool,
    /// The identity of this layer, for which connections store their counts.
    id: Arc<()>,
}

impl RateLimit {
    /// Creates a limit of this number of events in a period.
    #[must_use]
    pub fn new(events: u32, period: Duration) -> Self {
        Self {
            events: Rate {
                amount: f64::from(events),
                per: period,
            },
            bytes: None,
            disconnects: false,
            id: Arc::default(),
        }
    }

    /// Sets the limit of bytes in a period, including attachments. An event that alone is larger never passes.
    #[must_use]
    pub fn bytes(mut self, bytes: u32) -> Self {
        self.bytes = Some(Rate {
            amount: f64::from(bytes),
            per: self.events.per,
        });
        self
    }

    /// Disconnects a socket from its namespace if it exceeds the limit.
    #[must_use]
    pub fn disconnect(mut self) -> Self {
        self.disconnects = true;
        self
    }

    fn allows(&self, event: &EventRequest) -> bool {
        let socket = event.context().socket();
        let now = now();
        let size = u32::try_from(event.context().size()).unwrap_or(u32::MAX);
        let allowed = socket.client().pace(&self.id, |[events, bytes]| {
            let events = events.with(1.0, self.events, now)?;
            let bytes = match self.bytes {
                Some(rate) => bytes.with(f64::from(size), rate, now)?,
                None => bytes,
            };
            Some([events, bytes])
        });
        if !allowed && self.disconnects {
            socket.disconnect();
        }
        allowed
    }
}

impl<S> Layer<S> for RateLimit {
    type Service = RateLimited<S>;

    fn layer(&self, inner: S) -> RateLimited<S> {
        RateLimited {
            limit: self.clone(),
            inner,
        }
    }
}

/// The service of [`RateLimit`].
#[derive(Clone, Debug)]
pub struct RateLimited<S> {
    limit: RateLimit,
    inner: S,
}

impl<S> Service<EventRequest> for RateLimited<S>
where
    S: Service<EventRequest, Response = AckBody, Error: Into<BoxError>>,
{
    type Response = AckBody;
    type Error = BoxError;
    type Future = RateLimitedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, event: EventRequest) -> Self::Future {
        let inner = self.limit.allows(&event).then(|| self.inner.call(event));
        RateLimitedFuture { inner }
    }
}

pin_project! {
    /// The future of [`RateLimited`].
    #[derive(Debug)]
    pub struct RateLimitedFuture<F> {
        // The inner service is not called for an event over the limit.
        #[pin]
        inner: Option<F>,
    }
}

impl<F, E> Future for RateLimitedFuture<F>
where
    F: Future<Output = Result<AckBody, E>>,
    E: Into<BoxError>,
{
    type Output = Result<AckBody, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().inner.as_pin_mut() {
            Some(inner) => inner.poll(cx).map_err(Into::into),
            None => Poll::Ready(Err(TooFast.into())),
        }
    }
}

/// The error for an event over the limit.
#[derive(Debug)]
pub(super) struct TooFast;

impl fmt::Display for TooFast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many events")
    }
}

impl std::error::Error for TooFast {}
