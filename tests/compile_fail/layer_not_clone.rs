//! A layer whose service cannot be cloned.
//~ 1.95: the trait bound `Counted: Clone` is not satisfied
use std::task::{Context, Poll};

use axum_socketio::Namespace;
use axum_socketio::handler::{EventRequest, EventService};
use tower::Service;
use tower::layer::layer_fn;

struct Counted(EventService);

impl Service<EventRequest> for Counted {
    type Response = <EventService as Service<EventRequest>>::Response;
    type Error = <EventService as Service<EventRequest>>::Error;
    type Future = <EventService as Service<EventRequest>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, event: EventRequest) -> Self::Future {
        self.0.call(event)
    }
}

fn main() {
    let _: Namespace = Namespace::new().layer(layer_fn(Counted));
}
