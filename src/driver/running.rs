//! Handlers that are under way.
//!
//! A handler is polled at once, on its connection's task; only one that has to wait is kept here.

use std::any::Any;
use std::future::{Future, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{FuturesUnordered, Stream};
use tracing::Span;

use super::lanes::Lane;
use crate::adapter::BoxFuture;
use crate::engine::DisconnectReason;
use crate::hub::{AckBody, BoxHandler, Call, Done, EventContext, Refusal, Socket};

/// The handlers of one connection.
#[derive(Default)]
pub(super) struct Handlers {
    /// Made when the first handler has to wait, and gone when none does.
    pending: Option<FuturesUnordered<Running>>,
}

/// One handler's future, and what to do when it ends.
pub(super) struct Running {
    socket: Socket,
    work: Work,
    span: Span,
}

enum Work {
    Admit(BoxFuture<Result<(), Refusal>>),
    Connect(BoxFuture<Done>),
    Event {
        future: BoxFuture<AckBody>,
        ack: Option<u64>,
        lane: Option<Lane>,
    },
    Disconnect(BoxFuture<Done>),
}

/// A handler has ended.
pub(super) enum Finished {
    Admitted(Socket, Result<(), Refusal>),
    Connected(Socket, Result<(), Refusal>),
    Event {
        socket: Socket,
        ack: Option<u64>,
        lane: Option<Lane>,
        answer: AckBody,
    },
    Disconnected,
}

impl Running {
    /// All middleware of the namespace, one after another.
    pub(super) fn admit(socket: Socket) -> Self {
        let span = span(&socket, "middleware");
        let work = Work::Admit(Box::pin(admit(socket.clone())));
        Self { socket, work, span }
    }

    pub(super) fn connect(socket: Socket, handler: &BoxHandler<Done>) -> Self {
        let span = span(&socket, "connect");
        let context = EventContext::new(socket.clone(), Call::Connect);
        let future = guarded(&span, || handler.call(context)).unwrap_or_else(|Panicked| failed());
        Self {
            socket,
            work: Work::Connect(future),
            span,
        }
    }

    pub(super) fn disconnect(
        socket: Socket,
        handler: &BoxHandler<Done>,
        reason: DisconnectReason,
    ) -> Self {
        let span = span(&socket, "disconnect");
        let context = EventContext::new(socket.clone(), Call::Disconnect(reason));
        let future = guarded(&span, || handler.call(context)).unwrap_or_else(|Panicked| failed());
        Self {
            socket,
            work: Work::Disconnect(future),
            span,
        }
    }

    /// `call` makes its future; what users have written may panic in it.
    pub(super) fn event(
        socket: &Socket,
        name: &str,
        ack: Option<u64>,
        lane: Option<Lane>,
        call: impl FnOnce() -> BoxFuture<AckBody>,
    ) -> Self {
        let span = span(socket, name);
        let future = guarded(&span, call)
            .unwrap_or_else(|Panicked| Box::pin(ready(AckBody::error("internal error"))));
        socket.add_pending();
        Self {
            socket: socket.clone(),
            work: Work::Event { future, ack, lane },
            span,
        }
    }

    /// Polls it; a panic is its end, and nobody else's.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Finished> {
        let Self { socket, work, span } = self;
        guarded(span, || work.poll(socket, cx))
            .unwrap_or_else(|Panicked| Poll::Ready(work.panicked(socket)))
    }
}

impl Work {
    fn poll(&mut self, socket: &Socket, cx: &mut Context<'_>) -> Poll<Finished> {
        let socket = || socket.clone();
        match self {
            Self::Admit(future) => future
                .as_mut()
                .poll(cx)
                .map(|result| Finished::Admitted(socket(), result)),
            Self::Connect(future) => future
                .as_mut()
                .poll(cx)
                .map(|Done(result)| Finished::Connected(socket(), result)),
            Self::Event { future, ack, lane } => {
                future.as_mut().poll(cx).map(|answer| Finished::Event {
                    socket: socket(),
                    ack: *ack,
                    lane: lane.take(),
                    answer,
                })
            }
            Self::Disconnect(future) => future.as_mut().poll(cx).map(|Done(result)| {
                if let Err(refusal) = result {
                    tracing::warn!(error = refusal.message, "disconnect handler failed");
                }
                Finished::Disconnected
            }),
        }
    }

    fn panicked(&mut self, socket: &Socket) -> Finished {
        let socket = socket.clone();
        match self {
            Self::Admit(_) => Finished::Admitted(socket, Err(Refusal::internal())),
            Self::Connect(_) => Finished::Connected(socket, Err(Refusal::internal())),
            Self::Event { ack, lane, .. } => {
                let answer = AckBody::error("internal error");
                Finished::Event {
                    socket,
                    ack: *ack,
                    lane: lane.take(),
                    answer,
                }
            }
            Self::Disconnect(_) => Finished::Disconnected,
        }
    }
}

impl Future for Running {
    type Output = Finished;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Finished> {
        Self::poll(&mut self, cx)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.work, Work::Event { .. }) {
            self.socket.remove_pending();
        }
    }
}

impl Handlers {
    pub(super) fn push(&mut self, running: Running) {
        self.pending.get_or_insert_default().push(running);
    }

    pub(super) fn len(&self) -> usize {
        self.pending.as_ref().map_or(0, FuturesUnordered::len)
    }

    /// The next handler that has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Finished>> {
        let Some(pending) = &mut self.pending else {
            return Poll::Ready(None);
        };
        let finished = Pin::new(pending).poll_next(cx);
        if matches!(finished, Poll::Ready(None)) {
            self.pending = None;
        }
        finished
    }
}

/// What users have written has panicked, and that is traced.
struct Panicked;

fn guarded<T>(span: &Span, work: impl FnOnce() -> T) -> Result<T, Panicked> {
    let _in_span = span.enter();
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        tracing::error!(panic = panic_message(&*panic), "handler panicked");
        Panicked
    })
}

fn failed() -> BoxFuture<Done> {
    Box::pin(ready(Done(Err(Refusal::internal()))))
}

async fn admit(socket: Socket) -> Result<(), Refusal> {
    let nsp = std::sync::Arc::clone(socket.namespace());
    for middleware in &nsp.handlers.middleware {
        let admission = middleware
            .call(EventContext::new(socket.clone(), Call::Middleware))
            .await;
        socket.grant(admission.0?);
    }
    Ok(())
}

fn span(socket: &Socket, event: &str) -> Span {
    tracing::debug_span!("event", socket = %socket.id(), nsp = socket.nsp(), event)
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("unknown")
}
