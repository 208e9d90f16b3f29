//! The way from a packet to its handler, and from the end of a handler to its effects.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytestring::ByteString;

use super::account::{LITTLE, Share};
use super::before::before;
use super::detached::Detachment;
use super::failures::{failed, refused};
use super::handlers::{Completion, Finished, Handlers, Running, Work, span};
use super::pause::Pause;
use super::serial_queues::{QueueKey, SerialEvent, SerialQueues};
use crate::metrics::{Counted, Counters, Hook};
use crate::namespace::{Order, Unhandled};
use crate::panics::guarded;
use crate::server::Server;
use crate::socket::{
    AckBody, BoxHandler, Call, Client, EventCall, EventContext, EventName, Failure, HandlerAnswer,
    RequestedAck, Socket, reply,
};
use proto::DisconnectReason;
use proto::connection::{Route, Router, Starting, Violation, handshake_auth};
use proto::engine_io::Message;
use proto::socket_io::Event;

/// The number of waiting requests that start in one round of the loop. There may be thousands whose handlers return at
/// once and compute, and the loop reads the clock after each round.
const STARTS: usize = 16;

/// The Socket.IO side of a connection: its namespaces and its running handlers.
pub(super) struct Dispatch {
    pub(super) server: Arc<Server>,
    pub(super) client: Arc<Client>,
    pub(super) router: Router<Socket>,
    pub(super) serial_queues: SerialQueues,
    pub(super) handlers: Handlers,
    /// The sockets that have ended. Their disconnect handlers start when all earlier events have started.
    pub(super) ended: Vec<Socket>,
    /// The number of events that have been passed to a handler that must acknowledge them.
    ack_calls: u64,
    /// True if a namespace has ever been joined.
    pub(super) joined: bool,
    /// True if the server is shutting down, so that no event starts any more.
    pub(super) draining: bool,
    /// The number of waiting requests that may still start in this round of the loop.
    starts: usize,
    /// The part of the server's account that the connection holds.
    pub(super) share: Share,
    /// The size of messages and bodies that are incomplete or not taken yet, in bytes.
    pub(super) unfinished: usize,
    /// True if the connection holds too little to be measured. It is read several times for each packet. It becomes
    /// false when more input is held, until that has been measured.
    pub(super) holds_little: bool,
    /// True if something was not read in this round of the loop, because too much was held.
    pub(super) held_back: bool,
    /// The pause, while the reading is paused.
    pub(super) pause: Option<Box<Pause>>,
    /// True if a pause has been logged.
    pub(super) warned: bool,
    /// True if, since the last check, a waiting event has started, a handler has ended or an acknowledgement has
    /// arrived.
    pub(super) moved: bool,
    /// The entry among the closed connections whose handlers still run.
    pub(super) detachment: Option<Detachment>,
}

/// An event and the handler that is called for it.
struct Invocation<'a> {
    socket: &'a Socket,
    ack: Option<u64>,
    event: Event,
    handler: &'a BoxHandler<AckBody>,
}

impl Dispatch {
    pub(super) fn new(server: Arc<Server>, client: Arc<Client>, share: Share) -> Self {
        let settings = &server.settings;
        let decoding = settings.codec.decoding();
        let (limits, max) = (settings.limits, settings.max_namespaces);
        let router = Router::new(decoding, client.revision, limits, max);
        Self {
            server,
            client,
            router,
            serial_queues: SerialQueues::default(),
            handlers: Handlers::default(),
            ended: Vec::new(),
            ack_calls: 0,
            joined: false,
            draining: false,
            starts: STARTS,
            share,
            unfinished: 0,
            holds_little: true,
            held_back: false,
            pause: None,
            warned: false,
            moved: false,
            detachment: None,
        }
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.server.counters
    }

    /// Returns the permission to start events. They are held if the client has much to read, or if the running handlers
    /// are too many or hold too much.
    fn starting(&self) -> Starting {
        let is_held = self.client.outbox.is_half_full()
            || self.handlers.len() >= self.server.settings.max_handlers
            || self.runs_much();
        if is_held {
            Starting::Held
        } else {
            Starting::Allowed
        }
    }

    /// Returns true if something waits that can go on.
    pub(super) fn can_start_more(&self) -> bool {
        self.has_started_all() || (self.router.was_held() && self.starting() == Starting::Allowed)
    }

    /// Begins a round of the loop.
    pub(super) fn begin_round(&mut self) {
        self.starts = STARTS;
    }

    /// Returns true if requests wait only because enough have started in this round.
    pub(super) fn has_started_all(&self) -> bool {
        self.starts == 0 && self.has_waiting()
    }

    pub(super) fn message(
        &mut self,
        message: Message,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        let starting = self.starting();
        match self.router.feed(message, starting, Socket::is_ready)? {
            Some(route) => self.handle_route(route, cx)?,
            // The message waits, or is a part of a packet.
            None => {
                let little = self.router.backlog().0 == 0 && self.router.unfinished() < LITTLE;
                self.holds_little &= little;
            }
        }
        self.start_waiting(cx)
    }

    /// Joins `/` for a client that joins it by connecting, as those of revision 3 do.
    pub(super) fn join_root(&mut self, cx: &mut Context<'_>) -> Result<(), Violation> {
        let auth = handshake_auth(self.client.handshake.query());
        self.connect(&ByteString::from_static("/"), Some(auth), cx)
    }

    /// Polls the running handlers, and starts the events that have waited for them.
    pub(super) fn poll_handlers(&mut self, cx: &mut Context<'_>) -> Result<(), Violation> {
        while let Poll::Ready(Some((socket, finished))) = self.handlers.poll(cx) {
            self.moved = true;
            self.finished(&socket, finished, cx)?;
            self.start_waiting(cx)?;
        }
        self.start_waiting(cx)
    }

    /// Starts everything that can go on.
    pub(super) fn start_waiting(&mut self, cx: &mut Context<'_>) -> Result<(), Violation> {
        while self.starts > 0 && self.has_waiting() {
            self.starts -= 1;
            if !self.runs_much()
                && let Some(event) = self.serial_queues.next()
            {
                self.moved = true;
                if event.queue.socket.ended_by_server() {
                    self.serial_queues.drop_events_of(&event.queue.socket);
                    self.serial_queues.handler_ended(event.queue);
                } else {
                    self.start_serial(event, cx)?;
                }
                continue;
            }
            let starting = self.starting();
            if let Some(route) = self.router.next(starting, Socket::is_ready)? {
                self.moved = true;
                self.handle_route(route, cx)?;
            } else if let Some(socket) = self.next_ended() {
                self.forget(&socket);
                self.run_disconnect(&socket, cx);
            } else {
                self.starts += 1;
                break;
            }
        }
        Ok(())
    }

    /// Returns true if anything waits that may be able to go on. This is rare, and is checked first.
    fn has_waiting(&self) -> bool {
        self.serial_queues.any_ended() || self.router.backlog().0 > 0 || !self.ended.is_empty()
    }

    /// Does what a packet asks for.
    fn handle_route(
        &mut self,
        route: Route<Socket>,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        match route {
            Route::Connect { nsp, auth } => self.connect(&nsp, auth, cx),
            Route::Event { socket, id, event } => self.event(&socket, id, event, cx),
            Route::Ack { socket, id, args } => {
                args.check()?;
                self.server.counters.add(Counted::AcksReceived, 1);
                self.moved = true;
                // The code that awaits it may have a waker that panics.
                if let Err(panicked) = guarded(|| socket.member().answer(id, args)) {
                    socket.report_panic(Hook::Waker, &panicked);
                }
                Ok(())
            }
            Route::Leave { socket } => {
                if !socket.end(DisconnectReason::ClientNamespaceDisconnect) {
                    // The server has disconnected the socket first, and its command has not arrived yet.
                    Self::send_disconnect(&socket);
                }
                self.finish(&socket);
                // A CONNECT that replaces the socket may wait for its end.
                self.holds_little = false;
                Ok(())
            }
        }
    }

    fn event(
        &mut self,
        socket: &Socket,
        id: Option<u64>,
        event: Event,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        // An earlier handler may have disconnected the socket.
        if socket.ended_by_server() {
            return Ok(());
        }
        self.server.counters.add(Counted::EventsReceived, 1);
        let nsp = socket.namespace();
        tracing::trace!(socket = %socket.id(), event = event.name(), ack = id, "event");
        if self.call_any(socket, &event, cx)? && socket.ended_by_server() {
            return Ok(());
        }
        let own = socket.own_handler(event.name());
        let handler = own
            .as_ref()
            .or_else(|| nsp.handlers.events.get(event.name()))
            .or(nsp.handlers.fallback.as_ref());
        let Some(handler) = handler else {
            return self.unhandled(socket, id, &event);
        };
        let invocation = Invocation {
            socket,
            ack: id,
            event,
            handler,
        };
        self.invoke(invocation, cx)
    }

    /// Calls the handlers that are called for every event. Returns true if there are any.
    fn call_any(
        &mut self,
        socket: &Socket,
        event: &Event,
        cx: &mut Context<'_>,
    ) -> Result<bool, Violation> {
        let (shared, own) = (&socket.namespace().handlers.any, socket.own_any());
        for handler in shared.iter().chain(&own) {
            self.run(socket, observe(socket, event, handler), cx)?;
        }
        Ok(!(shared.is_empty() && own.is_empty()))
    }

    fn unhandled(&self, socket: &Socket, id: Option<u64>, event: &Event) -> Result<(), Violation> {
        event.args().check()?;
        self.server.counters.add(Counted::EventsUnhandled, 1);
        tracing::debug!(socket = %socket.id(), event = event.name(), "no handler for this event");
        if socket.namespace().options.unhandled == Unhandled::Error
            && let Some(id) = id
        {
            let error = format!("no handler for {:?}", event.name());
            reply(socket, id, AckBody::error(&error, Failure::Unhandled));
        }
        Ok(())
    }

    /// Starts the handler of an event, or queues the event until the handler before it has ended.
    fn invoke(
        &mut self,
        invocation: Invocation<'_>,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        let Invocation {
            socket, handler, ..
        } = invocation;
        let of_handler = match socket.namespace().options.order {
            Order::Completed => None,
            Order::Started if handler.options.one_at_a_time => Some(handler.clone()),
            Order::Started => return self.start(invocation, None, cx),
        };
        let queue = QueueKey {
            socket: socket.clone(),
            handler: of_handler,
        };
        let event = SerialEvent {
            ack: invocation.ack,
            event: invocation.event,
            handler: handler.clone(),
            queue,
        };
        match self.serial_queues.start_or_queue(event) {
            Some(event) => self.start_serial(event, cx),
            None => {
                self.holds_little = false;
                Ok(())
            }
        }
    }

    fn start_serial(&mut self, event: SerialEvent, cx: &mut Context<'_>) -> Result<(), Violation> {
        let socket = event.queue.socket.clone();
        let invocation = Invocation {
            socket: &socket,
            ack: event.ack,
            event: event.event,
            handler: &event.handler,
        };
        self.start(invocation, Some(event.queue), cx)
    }

    fn start(
        &mut self,
        invocation: Invocation<'_>,
        queue: Option<QueueKey>,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        let Invocation {
            socket,
            ack,
            event,
            handler,
        } = invocation;
        let span = span(socket, event.name());
        let completion = Completion {
            name: handler.name_of(event.name()),
            ack: ack.map(|id| self.requested_ack(id)),
            queue,
            size: event.args().footprint(),
        };
        let call = EventCall::new(event, completion.name.clone(), completion.ack);
        let work = Work::event(socket, completion, span, || before(socket, call, handler));
        self.run(socket, work, cx)
    }

    /// Identifies one call of a handler, whatever ids the client chooses.
    fn requested_ack(&mut self, id: u64) -> RequestedAck {
        self.ack_calls = self.ack_calls.wrapping_add(1);
        let call = self.ack_calls;
        RequestedAck { id, call }
    }

    /// Polls a handler for the first time, at once.
    pub(super) fn run(
        &mut self,
        socket: &Socket,
        mut work: Work,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        match work.poll(socket, cx) {
            Poll::Ready(finished) => self.finished(socket, finished, cx),
            Poll::Pending => {
                self.holds_little = false;
                self.handlers.push(Running::new(socket.clone(), work));
                Ok(())
            }
        }
    }

    /// Lets the next event of the queue start when the handler of an event has ended, and sends its acknowledgement.
    fn completed(
        &mut self,
        socket: &Socket,
        completion: Completion,
        answer: AckBody,
    ) -> Result<(), Violation> {
        let Completion {
            name, ack, queue, ..
        } = completion;
        if let AckBody(HandlerAnswer::Error(error, failure)) = &answer {
            failed(socket, &name, error, failure);
        }
        let taken = ack.and_then(|requested| socket.end_ack(requested));
        if let Some(queue) = queue {
            self.serial_queues.handler_ended(queue);
        }
        if let AckBody(HandlerAnswer::Malformed(error)) = answer {
            return Err(Violation::Malformed(error));
        }
        // Code that has taken the acknowledgement over sends it, unless the handler has failed before it could.
        if let Some(RequestedAck { id, .. }) = ack
            && taken.is_none_or(|answered| answer.is_error() && answered.claim())
        {
            reply(socket, id, answer);
        }
        Ok(())
    }

    fn finished(
        &mut self,
        socket: &Socket,
        finished: Finished,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        match finished {
            Finished::Searched(recovery) => self.searched(socket, recovery, cx),
            Finished::Admitted(result) => self.admitted(socket, result, cx),
            Finished::Connected(Ok(())) => {
                self.router.mark_joined(socket);
                Ok(())
            }
            Finished::Connected(Err(refusal)) => {
                refused(socket, "connect", &refusal);
                socket.end(DisconnectReason::ServerNamespaceDisconnect);
                // The client may have left meanwhile.
                self.router.drop_events(socket);
                // The caller starts the waiting events. A call from here would recurse once for each of them.
                self.end_by_server(socket);
                Ok(())
            }
            Finished::Event(completion, answer) => self.completed(socket, completion, answer),
            Finished::Disconnected(Ok(())) => Ok(()),
            Finished::Disconnected(Err(refusal)) => {
                refused(socket, "disconnect", &refusal);
                Ok(())
            }
        }
    }
}

/// Calls a handler that only sees an event.
fn observe(socket: &Socket, event: &Event, handler: &BoxHandler<AckBody>) -> Work {
    let name = EventName::copied(event.name());
    let call = EventCall::observed(event.clone(), name.clone());
    let context = EventContext::new(socket.clone(), Call::Event(call));
    let completion = Completion {
        name,
        ack: None,
        queue: None,
        size: event.args().footprint(),
    };
    let span = span(socket, event.name());
    Work::event(socket, completion, span, || handler.call(context))
}

impl std::fmt::Debug for Dispatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatch")
            .field("router", &self.router)
            .finish_non_exhaustive()
    }
}
