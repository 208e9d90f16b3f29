//! The functions that may refuse an event before its handler is called.

use crate::adapter::BoxFuture;
use crate::socket::{AckBody, BoxHandler, Call, EventCall, EventContext, Socket};

/// Calls the functions that may refuse an event, and then its handler if none of them does.
pub(super) fn before(
    socket: &Socket,
    event: EventCall,
    handler: &BoxHandler<AckBody>,
) -> BoxFuture<AckBody> {
    let (shared, own) = (&socket.namespace().handlers.before, socket.own_before());
    if shared.is_empty() && own.is_empty() {
        return call(socket, event, handler);
    }
    let all = shared.iter().cloned().chain(own).collect();
    Box::pin(ask_before(socket.clone(), event, all, handler.clone()))
}

fn call(socket: &Socket, event: EventCall, handler: &BoxHandler<AckBody>) -> BoxFuture<AckBody> {
    let context = EventContext::new(socket.clone(), Call::Event(event));
    match &socket.namespace().handlers.layered {
        Some(layers) => layers.dispatch(context, handler.clone()),
        None => handler.call(context),
    }
}

async fn ask_before(
    socket: Socket,
    mut event: EventCall,
    all: Vec<BoxHandler<AckBody>>,
    handler: BoxHandler<AckBody>,
) -> AckBody {
    // Later events must not overtake this one while it may still be refused.
    let hold = socket.hold();
    for before in all {
        let mut asked = EventCall::new(event.event.clone(), event.name.clone(), None);
        asked.checked = event.checked;
        let context = EventContext::new(socket.clone(), Call::Event(asked));
        let answer = before.call(context).await;
        if answer.is_error() {
            return answer;
        }
        if socket.ended_by_server() {
            return AckBody::SILENT;
        }
        event.checked = true;
    }
    // The handler has begun to take its arguments, and holds back later events itself.
    let answer = call(&socket, event, &handler);
    hold.release();
    answer.await
}
