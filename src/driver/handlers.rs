//! The running handlers of a connection.
//!
//! A handler is polled at once, on the task of its connection. It is stored here only if it has to wait.

use std::future::{Future, pending, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream::{FuturesUnordered, Stream};
use tracing::Span;

use super::serial_queues::QueueKey;
use crate::adapter::BoxFuture;
use crate::metrics::Counted;
use crate::panics::{DROP, Panicked, guarded, log_panic};
use crate::socket::{
    AckBody, BoxHandler, Call, Done, EventContext, EventName, RecoveryState, Refusal, RequestedAck,
    SessionSearch, Socket,
};
use proto::DisconnectReason;

/// The handlers of one connection.
#[derive(Default)]
pub(super) struct Handlers {
    /// Made when the first handler has to wait, and dropped when none is left.
    pending: Option<FuturesUnordered<Running>>,
    /// The size of the events whose handlers run, in bytes.
    bytes: usize,
}

/// The future of a handler that had to wait, and its socket.
pub(super) struct Running {
    socket: Socket,
    work: Work,
    is_event: bool,
}

/// The future of a handler, and its effects when it ends.
pub(super) struct Work {
    future: Pending,
    span: Span,
}

/// The parts of a call of an event's handler that its end completes.
pub(super) struct Completion {
    pub(super) name: EventName,
    pub(super) ack: Option<RequestedAck>,
    /// The queue whose next event may then start, if its handlers run one at a time.
    pub(super) queue: Option<QueueKey>,
    /// The size of the event, in bytes.
    pub(super) size: usize,
}

enum Pending {
    Search(BoxFuture<Option<Box<RecoveryState>>>),
    Admit(BoxFuture<Result<(), Refusal>>),
    Connect(BoxFuture<Done>),
    Event {
        future: BoxFuture<AckBody>,
        completion: Completion,
    },
    Disconnect(BoxFuture<Done>),
}

/// The result of a handler that has ended.
pub(super) enum Finished {
    Searched(Option<Box<RecoveryState>>),
    Admitted(Result<(), Refusal>),
    Connected(Result<(), Refusal>),
    Event(Completion, AckBody),
    Disconnected(Result<(), Refusal>),
}

impl Work {
    /// Searches for the session that the client of a socket asks for.
    pub(super) fn search(socket: &Socket, search: SessionSearch) -> Self {
        let future = Pending::Search(Box::pin(search.find(socket.clone())));
        let span = span(socket, "recovery");
        Self { future, span }
    }

    /// Calls all middleware of the namespace one after another, and claims the session to resume.
    pub(super) fn admit(socket: &Socket) -> Self {
        let future = Pending::Admit(Box::pin(admit(socket.clone())));
        let span = span(socket, "middleware");
        Self { future, span }
    }

    /// Claims the session to resume. Middleware are not called.
    pub(super) fn claim(socket: &Socket) -> Self {
        let future = Pending::Admit(Box::pin(claim(socket.clone())));
        let span = span(socket, "middleware");
        Self { future, span }
    }

    pub(super) fn connect(socket: &Socket, handler: &BoxHandler<Done>) -> Self {
        let span = span(socket, "connect");
        let future = Pending::Connect(call(socket, &span, handler, Call::Connect));
        Self { future, span }
    }

    pub(super) fn disconnect(
        socket: &Socket,
        handler: &BoxHandler<Done>,
        reason: DisconnectReason,
    ) -> Self {
        let span = span(socket, "disconnect");
        let future = Pending::Disconnect(call(socket, &span, handler, Call::Disconnect(reason)));
        Self { future, span }
    }

    /// Calls the handler of an event. `call` makes its future, and may panic.
    pub(super) fn event(
        socket: &Socket,
        completion: Completion,
        span: Span,
        call: impl FnOnce() -> BoxFuture<AckBody>,
    ) -> Self {
        let future = in_span(&span, socket, || socket.event_name(&completion.name), call)
            .unwrap_or_else(|_| Box::pin(ready(AckBody::panicked())));
        let future = Pending::Event { future, completion };
        Self { future, span }
    }

    /// Returns the size of the event, in bytes. It is 0 if the handler is for something else or has ended.
    const fn size(&self) -> usize {
        match &self.future {
            Pending::Event { completion, .. } => completion.size,
            Pending::Search(_)
            | Pending::Admit(_)
            | Pending::Connect(_)
            | Pending::Disconnect(_) => 0,
        }
    }

    /// Polls the future, and drops it when it is ready. A panic ends this handler and no other one.
    pub(super) fn poll(&mut self, socket: &Socket, cx: &mut Context<'_>) -> Poll<Finished> {
        let Self { future, span, .. } = self;
        let _in_span = span.enter();
        let mut finished = None;
        let polled = guarded(|| {
            if let Poll::Ready(result) = future.poll(cx) {
                finished = Some(result);
                *future = Pending::nothing();
            }
        });
        match (polled, finished) {
            (Ok(()), None) => Poll::Pending,
            (Ok(()), Some(finished)) => Poll::Ready(finished),
            (Err(panicked), Some(finished)) => {
                log_panic(DROP, &panicked);
                Poll::Ready(finished)
            }
            (Err(panicked), None) => {
                socket.report_handler_panic(|| future.name(socket), &panicked);
                let finished = future.panicked();
                future.drop_guarded();
                Poll::Ready(finished)
            }
        }
    }
}

impl Pending {
    /// Stands for a future that has been dropped. Makes no allocation.
    fn nothing() -> Self {
        Self::Disconnect(Box::pin(pending()))
    }

    /// Drops the future, which owns values of users.
    fn drop_guarded(&mut self) {
        if let Err(panicked) = guarded(|| *self = Self::nothing()) {
            log_panic(DROP, &panicked);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Finished> {
        match self {
            Self::Search(future) => future.as_mut().poll(cx).map(Finished::Searched),
            Self::Admit(future) => future.as_mut().poll(cx).map(Finished::Admitted),
            Self::Connect(future) => future
                .as_mut()
                .poll(cx)
                .map(|Done(result)| Finished::Connected(result)),
            Self::Event { future, completion } => future
                .as_mut()
                .poll(cx)
                .map(|answer| Finished::Event(completion.take(), answer)),
            Self::Disconnect(future) => future
                .as_mut()
                .poll(cx)
                .map(|Done(result)| Finished::Disconnected(result)),
        }
    }

    /// Returns the name of the event, or the kind of the handler, for the log.
    fn name<'a>(&'a self, socket: &'a Socket) -> &'a str {
        match self {
            Self::Search(_) => "recovery",
            Self::Admit(_) => "middleware",
            Self::Connect(_) => "connect",
            Self::Event { completion, .. } => socket.event_name(&completion.name),
            Self::Disconnect(_) => "disconnect",
        }
    }

    fn panicked(&mut self) -> Finished {
        match self {
            Self::Search(_) | Self::Admit(_) => Finished::Admitted(Err(Refusal::panicked())),
            Self::Connect(_) => Finished::Connected(Err(Refusal::panicked())),
            Self::Event { completion, .. } => {
                Finished::Event(completion.take(), AckBody::panicked())
            }
            Self::Disconnect(_) => Finished::Disconnected(Err(Refusal::panicked())),
        }
    }
}

impl Completion {
    /// Takes the key of the queue, and copies the rest.
    fn take(&mut self) -> Self {
        Self {
            name: self.name.clone(),
            queue: self.queue.take(),
            ..*self
        }
    }
}

impl Finished {
    /// Returns the size of the event, in bytes.
    const fn size(&self) -> usize {
        match self {
            Self::Event(completion, _) => completion.size,
            Self::Searched(_) | Self::Admitted(_) | Self::Connected(_) | Self::Disconnected(_) => 0,
        }
    }
}

impl Running {
    pub(super) fn new(socket: Socket, work: Work) -> Self {
        let is_event = matches!(work.future, Pending::Event { .. });
        if is_event {
            socket.add_pending();
            socket.counters().add(Counted::HandlersWaiting, 1);
        }
        Self {
            socket,
            work,
            is_event,
        }
    }
}

impl Future for Running {
    type Output = (Socket, Finished);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { socket, work, .. } = &mut *self;
        let finished = work.poll(socket, cx);
        finished.map(|finished| (socket.clone(), finished))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_event {
            self.socket.remove_pending();
            self.socket.counters().sub(Counted::HandlersWaiting, 1);
        }
        // Others must be dropped as well, even if the drop of this one panics.
        let _in_span = self.work.span.enter();
        self.work.future.drop_guarded();
    }
}

impl Handlers {
    pub(super) fn push(&mut self, running: Running) {
        self.bytes += running.work.size();
        self.pending.get_or_insert_default().push(running);
    }

    /// Returns the size of the events whose handlers run, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Drops all handlers. Disconnect handlers are dropped only if there are no others. Returns the number of handlers
    /// that were dropped.
    pub(super) fn cancel(&mut self) -> usize {
        let pending = self.pending.take().unwrap_or_default();
        let (last, others): (Vec<_>, Vec<_>) = pending
            .into_iter()
            .partition(|running| matches!(running.work.future, Pending::Disconnect(_)));
        self.bytes = 0;
        if others.is_empty() {
            return last.len();
        }
        last.into_iter().for_each(|running| self.push(running));
        others.len()
    }

    pub(super) fn len(&self) -> usize {
        self.pending.as_ref().map_or(0, FuturesUnordered::len)
    }

    /// Returns true if any handler of an event or of a new socket is running, which may still answer its client.
    pub(super) fn any_may_answer(&self) -> bool {
        self.pending.iter().flatten().any(|running| {
            matches!(
                running.work.future,
                Pending::Event { .. } | Pending::Connect(_)
            )
        })
    }

    /// Drops all running handlers. Returns the number of them.
    pub(super) fn cut_off(&mut self) -> usize {
        self.bytes = 0;
        let pending = self.pending.take();
        pending.map_or(0, |pending| pending.len())
    }

    /// Returns the next handler that has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<(Socket, Finished)>> {
        let Some(pending) = &mut self.pending else {
            return Poll::Ready(None);
        };
        let finished = Pin::new(pending).poll_next(cx);
        if matches!(finished, Poll::Ready(None)) {
            self.pending = None;
        }
        if let Poll::Ready(Some((_, finished))) = &finished {
            self.bytes -= finished.size();
        }
        finished
    }
}

fn in_span<'a, T>(
    span: &Span,
    socket: &Socket,
    handler: impl FnOnce() -> &'a str,
    work: impl FnOnce() -> T,
) -> Result<T, Panicked> {
    let _in_span = span.enter();
    let result = guarded(work);
    if let Err(panicked) = &result {
        socket.report_handler_panic(handler, panicked);
    }
    result
}

/// Calls a handler that is not for an event.
fn call(socket: &Socket, span: &Span, handler: &BoxHandler<Done>, call: Call) -> BoxFuture<Done> {
    let name = match call {
        Call::Disconnect(_) => "disconnect",
        _ => "connect",
    };
    let context = EventContext::new(socket.clone(), call);
    in_span(span, socket, || name, || handler.call(context))
        .unwrap_or_else(|_| Box::pin(ready(Done(Err(Refusal::panicked())))))
}

async fn admit(socket: Socket) -> Result<(), Refusal> {
    let nsp = Arc::clone(socket.namespace());
    for middleware in &nsp.handlers.middleware {
        let admission = middleware
            .call(EventContext::new(socket.clone(), Call::Middleware))
            .await;
        socket.add_values(admission.0?);
    }
    socket.await_turn().await;
    claim(socket).await
}

async fn claim(socket: Socket) -> Result<(), Refusal> {
    socket.claim_at_store().await;
    socket.hold_rooms().await;
    Ok(())
}

pub(super) fn span(socket: &Socket, event: &str) -> Span {
    tracing::debug_span!("event", socket = %socket.id(), nsp = socket.nsp(), event)
}
