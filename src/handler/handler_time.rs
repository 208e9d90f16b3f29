//! A layer that measures the run time of handlers.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use metrics::{Histogram, describe_histogram, histogram};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use super::event_request::EventRequest;
use crate::socket::EventContext;

const NAME: &str = "socketio_handler_seconds";

/// A layer for events that measures the run time of their handlers, including the time that they wait. It records the
/// histogram `socketio_handler_seconds` of the `metrics` facade, in seconds, with the label `event`.
///
/// It reads the clock twice and looks up the recorder once for each event, so it is only active where it is added: in a
/// namespace, or on [one handler](super::Handler::layer). Events without a handler of their own name in the namespace,
/// those of [`fallback`](crate::Namespace::fallback) and of [`Socket::on`](crate::Socket::on), all have the label
/// `other`, since clients choose their names. A handler that is dropped before its end is not measured.
///
/// ```
/// use axum_socketio::Namespace;
/// use axum_socketio::handler::HandlerTime;
///
/// let namespace: Namespace = Namespace::new().on("message", async || {}).layer(HandlerTime::new());
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub struct HandlerTime(());

impl HandlerTime {
    /// Creates the layer.
    #[must_use]
    pub fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for HandlerTime {
    type Service = Timed<S>;

    fn layer(&self, inner: S) -> Timed<S> {
        let words = "How long handlers of events take, waiting included.";
        describe_histogram!(NAME, metrics::Unit::Seconds, words);
        Timed { inner }
    }
}

/// The service of [`HandlerTime`].
#[derive(Clone, Debug)]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub struct Timed<S> {
    inner: S,
}

impl<S: Service<EventRequest>> Service<EventRequest> for Timed<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = TimedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, event: EventRequest) -> Self::Future {
        let histogram = histogram!(NAME, "event" => label(event.context()));
        TimedFuture {
            started: Instant::now(),
            histogram,
            inner: self.inner.call(event),
        }
    }
}

/// Returns the event's name, if the namespace has a handler for it.
fn label(context: &EventContext) -> String {
    let events = &context.socket().namespace().handlers.events;
    let known = context.event().filter(|name| events.contains_key(*name));
    known.unwrap_or("other").to_owned()
}

pin_project! {
    /// The future of [`Timed`].
    #[derive(Debug)]
    pub struct TimedFuture<F> {
        started: Instant,
        histogram: Histogram,
        #[pin]
        inner: F,
    }
}

impl<F: Future> Future for TimedFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let output = ready!(this.inner.poll(cx));
        this.histogram.record(this.started.elapsed());
        Poll::Ready(output)
    }
}
