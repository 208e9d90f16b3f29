//! Handlers that are cancelled when their socket disconnects.

use std::pin::pin;

use futures_util::future::{Either, select};

use crate::adapter::BoxFuture;
use crate::socket::{AckBody, BoxHandler, ErasedHandler, EventContext};

struct Cancelled(BoxHandler<AckBody>);

impl ErasedHandler<AckBody> for Cancelled {
    fn call(&self, cx: EventContext) -> BoxFuture<AckBody> {
        let socket = cx.socket().clone();
        let answer = self.0.call(cx);
        Box::pin(async move {
            match select(answer, pin!(socket.closed())).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => AckBody::SILENT,
            }
        })
    }
}

/// Drops the handler's future when its socket disconnects.
pub(super) fn on_disconnect(handler: BoxHandler<AckBody>) -> BoxHandler<AckBody> {
    let options = handler.options;
    let mut cancelled = BoxHandler::new(Cancelled(handler));
    cancelled.options = options;
    cancelled
}
