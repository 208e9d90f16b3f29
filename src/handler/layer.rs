//! Tower layers around events.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower::util::{BoxCloneSyncService, ServiceExt};
use tower::{BoxError, load_shed, timeout};
use tower_layer::Layer;
use tower_service::Service;

use super::event_request::EventRequest;
use super::rate_limit::TooFast;
use super::{Handler, Layered};
use crate::adapter::BoxFuture;
use crate::extract::{EventContext, phase};
use crate::metrics::StopCause;
use crate::socket::{AckBody, BoxHandler, ErasedHandler, Failure, HandlerLayers};

/// The innermost service of a layer, which calls the event's handler.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventService(());

impl Service<EventRequest> for EventService {
    type Response = AckBody;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<AckBody, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: EventRequest) -> Self::Future {
        request.context.attach();
        let answer = request.handler.call(request.context);
        Box::pin(async { Ok(answer.await) })
    }
}

/// A stack of layers. It is built once, so the state of its layers (limits, caches) is shared by all events.
#[derive(Clone)]
pub(crate) struct Dispatcher(BoxCloneSyncService<EventRequest, AckBody, BoxError>);

impl Dispatcher {
    pub(crate) fn new<L>(layer: &L) -> Self
    where
        L: Layer<EventService>,
        L::Service: Service<EventRequest, Response = AckBody> + Clone + Send + Sync + 'static,
        <L::Service as Service<EventRequest>>::Error: Into<BoxError>,
        <L::Service as Service<EventRequest>>::Future: Send,
    {
        Self(BoxCloneSyncService::new(
            layer.layer(EventService(())).map_err(Into::into),
        ))
    }
}

impl Dispatcher {
    /// Wraps these layers around `inner`.
    pub(crate) fn around(self, inner: Self) -> Self {
        let outer = self.0;
        Self(BoxCloneSyncService::new(tower::service_fn(
            move |request: EventRequest| {
                let EventRequest { context, handler } = request;
                let handler = layered(inner.clone(), handler);
                outer.clone().oneshot(EventRequest { context, handler })
            },
        )))
    }
}

impl HandlerLayers for Dispatcher {
    fn dispatch(
        &self,
        mut context: EventContext,
        handler: BoxHandler<AckBody>,
    ) -> BoxFuture<AckBody> {
        // A layer may wait for any time: the socket's next events start until the event has passed the layers.
        context.detach();
        let service = self.0.clone();
        Box::pin(async move {
            match service.oneshot(EventRequest { context, handler }).await {
                Ok(answer) => answer,
                Err(error) => failed(&error),
            }
        })
    }
}

/// Makes the client's answer from an error of a layer.
fn failed(error: &BoxError) -> AckBody {
    tracing::debug!(error = error.to_string(), "event stopped by a layer");
    if error.is::<timeout::error::Elapsed>() {
        AckBody::error("timed out", Failure::Stopped(StopCause::Timeout))
    } else if error.is::<load_shed::error::Overloaded>() {
        AckBody::error("overloaded", Failure::Stopped(StopCause::Overload))
    } else if error.is::<TooFast>() {
        AckBody::error("too many events", Failure::Stopped(StopCause::RateLimit))
    } else {
        AckBody::error(&error.to_string(), Failure::Stopped(StopCause::Other))
    }
}

struct LayeredHandler<D> {
    dispatcher: D,
    handler: BoxHandler<AckBody>,
}

impl<D: HandlerLayers> ErasedHandler<AckBody> for LayeredHandler<D> {
    fn call(&self, cx: EventContext) -> BoxFuture<AckBody> {
        self.dispatcher.dispatch(cx, self.handler.clone())
    }
}

/// Wraps layers around one handler.
pub(crate) fn layered(
    dispatcher: impl HandlerLayers + 'static,
    handler: BoxHandler<AckBody>,
) -> BoxHandler<AckBody> {
    let options = handler.options;
    let mut layered = BoxHandler::new(LayeredHandler {
        dispatcher,
        handler,
    });
    layered.options = options;
    layered
}

#[diagnostic::do_not_recommend]
impl<L, H, S, M> Handler<S, phase::Event, M> for Layered<L, H, S, phase::Event, M>
where
    H: Handler<S, phase::Event, M>,
    S: 'static,
    M: 'static,
    L: Layer<EventService> + Clone + Send + Sync + 'static,
    L::Service: Service<EventRequest, Response = AckBody> + Clone + Send + Sync + 'static,
    <L::Service as Service<EventRequest>>::Error: Into<BoxError>,
    <L::Service as Service<EventRequest>>::Future: Send,
{
    type Future = H::Future;

    fn into_boxed(self, state: &Arc<S>) -> BoxHandler<AckBody>
    where
        H::Future: Send,
    {
        layered(Dispatcher::new(&self.layer), self.handler.into_boxed(state))
    }
}
