//! From a packet to its handler, and from a handler's end to what follows.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytestring::ByteString;

use super::lanes::{Lane, Lanes, Task};
use super::running::{Ended, Handlers, Running};
use crate::connection::{Route, Router, Violation};
use crate::engine::DisconnectReason;
use crate::hub::{
    AckBody, Answer, Call, Client, EventCall, EventContext, Order, Refusal, Server, Socket,
    Unhandled, new_sid, reply,
};
use crate::protocol::engine_io::Message;
use crate::protocol::socket_io::{EncodedPacket, Event, Kind};

/// The Socket.IO side of a connection: its namespaces, and the handlers that are under way.
pub(super) struct Dispatch {
    server: Arc<Server>,
    client: Arc<Client>,
    router: Router<Socket>,
    lanes: Lanes,
    handlers: Handlers,
    /// Sockets that have ended; their disconnect handlers start when all that came before has started.
    ended: Vec<(Socket, DisconnectReason)>,
    /// A namespace has been joined at some time.
    pub(super) joined: bool,
}

impl Dispatch {
    pub(super) fn new(server: Arc<Server>, client: Arc<Client>) -> Self {
        let router = Router::new(server.settings.limits, server.settings.max_namespaces);
        Self {
            server,
            client,
            router,
            lanes: Lanes::default(),
            handlers: Handlers::default(),
            ended: Vec::new(),
            joined: false,
        }
    }

    /// Whether so much waits for handlers to go on that nothing more may be taken in.
    pub(super) fn is_full(&self) -> bool {
        let (requests, bytes) = self.router.backlog();
        requests >= self.server.settings.max_queued
            || bytes + self.lanes.bytes() >= self.server.settings.engine.max_payload
    }

    /// Whether no handler is under way, and none will be.
    pub(super) fn is_idle(&self) -> bool {
        self.handlers.is_empty()
    }

    pub(super) fn message(
        &mut self,
        message: Message,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        if let Some(route) = self.router.feed(message, Socket::is_ready)? {
            self.go(route, cx)?;
        }
        self.go_on(cx)
    }

    /// Polls the handlers that are under way, and lets go ahead what has waited for them.
    pub(super) fn poll_handlers(&mut self, cx: &mut Context<'_>) -> Result<(), Violation> {
        while let Poll::Ready(Some(ended)) = self.handlers.poll(cx) {
            self.ended(ended, cx)?;
            self.go_on(cx)?;
        }
        self.go_on(cx)
    }

    /// The server has disconnected the socket.
    pub(super) fn left_by_server(
        &mut self,
        socket: Socket,
        reason: DisconnectReason,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        self.router.left(&socket);
        self.lanes.forget(&socket);
        self.ended.push((socket, reason));
        self.go_on(cx)
    }

    /// The server disconnects all sockets of the connection.
    pub(super) fn disconnect_all(&mut self) {
        self.router.sockets().for_each(Socket::disconnect);
    }

    /// The connection is over, for all its sockets. What they sent before is still handled, unless it is the server that
    /// ends it.
    pub(super) fn close(&mut self, reason: DisconnectReason, cx: &mut Context<'_>) {
        for socket in self.router.close() {
            if socket.end(reason) {
                if reason.is_by_server() {
                    self.forget(&socket);
                }
                self.ended.push((socket, reason));
            } else {
                self.forget(&socket);
            }
        }
        // What goes wrong now concerns nobody: the client is gone.
        while self.go_on(cx).is_err() {}
    }

    /// Nothing of the socket is left to be handled.
    fn forget(&mut self, socket: &Socket) {
        self.router.gone(socket);
        self.lanes.forget(socket);
        socket.release();
    }

    /// Starts whatever need not wait any longer.
    fn go_on(&mut self, cx: &mut Context<'_>) -> Result<(), Violation> {
        loop {
            if let Some(task) = self.lanes.next() {
                if task.socket.ended_by_server() {
                    self.lanes.forget(&task.socket);
                    task.lane.into_iter().for_each(|lane| self.lanes.free(lane));
                } else {
                    self.start(task, cx)?;
                }
            } else if let Some(route) = self.router.next(Socket::is_ready)? {
                self.go(route, cx)?;
            } else if let Some((socket, reason)) = self.next_ended() {
                self.forget(&socket);
                self.run_disconnect(&socket, reason, cx);
            } else {
                return Ok(());
            }
        }
    }

    /// A socket that has ended, all of whose events have started.
    fn next_ended(&mut self) -> Option<(Socket, DisconnectReason)> {
        let (router, lanes) = (&self.router, &self.lanes);
        let at = self.ended.iter().position(|(socket, _)| {
            !(socket.is_extracting()
                || router.keeps_events_of(socket)
                || lanes.keep_events_of(socket))
        })?;
        Some(self.ended.swap_remove(at))
    }

    fn go(&mut self, route: Route<Socket>, cx: &mut Context<'_>) -> Result<(), Violation> {
        match route {
            Route::Connect { nsp, auth } => self.connect(&nsp, auth, cx),
            Route::Event { socket, id, event } => self.event(socket, id, event, cx),
            Route::Ack { socket, id, args } => {
                args.check()?;
                socket.member().answer(id, args);
                Ok(())
            }
            Route::Leave { socket } => {
                let reason = DisconnectReason::ClientNamespaceDisconnect;
                if socket.end(reason) {
                    self.ended.push((socket, reason));
                } else {
                    self.forget(&socket);
                }
                Ok(())
            }
        }
    }

    fn connect(
        &mut self,
        nsp: &ByteString,
        auth: Option<ByteString>,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        let Some(found) = self.server.nsps.get(&**nsp) else {
            let refusal = Refusal {
                message: "Invalid namespace".to_owned(),
                data: None,
            };
            self.refuse(nsp, &refusal);
            return Ok(());
        };
        let Some(id) = new_sid() else {
            self.refuse(
                nsp,
                &Refusal {
                    message: "internal error".to_owned(),
                    data: None,
                },
            );
            return Ok(());
        };
        let socket = Socket::new(id, Arc::clone(found), Arc::clone(&self.client), auth);
        self.router.join(nsp.clone(), socket.clone());
        if found.handlers.middleware.is_empty() {
            return self.admitted(&socket, Ok(()), cx);
        }
        self.run(Running::admit(socket), cx)
    }

    fn admitted(
        &mut self,
        socket: &Socket,
        result: Result<(), Refusal>,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        if let Err(refusal) = result {
            tracing::debug!(
                nsp = socket.nsp(),
                message = refusal.message,
                "connection refused"
            );
            // Undoes what the middleware joined.
            socket.end(DisconnectReason::ForcedClose);
            self.forget(socket);
            self.refuse(socket.nsp(), &refusal);
            return Ok(());
        }
        if !socket.connect() {
            return Ok(());
        }
        self.joined = true;
        let reply = format!(r#"{{"sid":"{}"}}"#, socket.id());
        socket.push(EncodedPacket::plain(
            Kind::Connect,
            socket.nsp(),
            Some(&reply),
        ));
        match &socket.namespace().handlers.connect {
            Some(handler) => self.run(Running::connect(socket.clone(), handler), cx),
            None => {
                self.router.joined(socket);
                Ok(())
            }
        }
    }

    fn refuse(&self, nsp: &str, refusal: &Refusal) {
        let body = serde_json::to_string(refusal).unwrap_or_default();
        let packet = EncodedPacket::plain(Kind::ConnectError, nsp, Some(&body));
        self.client
            .outbox
            .push(crate::engine::Frame::new(packet), false);
    }

    fn event(
        &mut self,
        socket: Socket,
        id: Option<u64>,
        event: Event,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        // A handler before may have disconnected it.
        if socket.ended_by_server() {
            return Ok(());
        }
        let nsp = Arc::clone(socket.namespace());
        tracing::trace!(socket = %socket.id(), event = event.name(), ack = id, "event");
        for handler in &nsp.handlers.any {
            let call = EventCall {
                event: event.clone(),
                ack: None,
                ack_taken: false,
                checked: false,
            };
            let future = handler.call(EventContext::new(socket.clone(), Call::Event(call)));
            self.run(
                Running::event(socket.clone(), event.name(), future, None, None),
                cx,
            )?;
        }
        let own = socket.own_handler(event.name());
        let handler = own.or_else(|| nsp.handlers.events.get(event.name()).cloned());
        let Some(handler) = handler.or_else(|| nsp.handlers.fallback.clone()) else {
            event.args().check()?;
            tracing::debug!(socket = %socket.id(), event = event.name(), "no handler for this event");
            if nsp.options.unhandled == Unhandled::Error
                && let Some(id) = id
            {
                let error = format!("no handler for {:?}", event.name());
                reply(&socket, id, AckBody::error(&error));
            }
            return Ok(());
        };
        let lane = match nsp.options.order {
            Order::Completed => Some(Lane {
                socket: socket.clone(),
                handler: None,
            }),
            Order::Started if handler.options.one_at_a_time => Some(Lane {
                socket: socket.clone(),
                handler: Some(handler.clone()),
            }),
            Order::Started => None,
        };
        let task = Task {
            socket,
            ack: id,
            event,
            handler,
            lane,
        };
        match self.lanes.enter(task) {
            Some(task) => self.start(task, cx),
            None => Ok(()),
        }
    }

    fn start(&mut self, task: Task, cx: &mut Context<'_>) -> Result<(), Violation> {
        let Task {
            socket,
            ack,
            event,
            handler,
            lane,
        } = task;
        let nsp = Arc::clone(socket.namespace());
        let span = tracing::enabled!(tracing::Level::DEBUG).then(|| event.name().to_owned());
        let call = EventCall {
            event,
            ack,
            ack_taken: false,
            checked: false,
        };
        let context = EventContext::new(socket.clone(), Call::Event(call));
        let future = match &nsp.handlers.layered {
            Some(layers) => layers.dispatch(context, handler),
            None => handler.call(context),
        };
        let name = span.as_deref().unwrap_or_default();
        self.run(Running::event(socket, name, future, ack, lane), cx)
    }

    /// Polls a handler for the first time, here and now.
    fn run(&mut self, mut running: Running, cx: &mut Context<'_>) -> Result<(), Violation> {
        match running.poll(cx) {
            Poll::Ready(ended) => {
                drop(running);
                self.ended(ended, cx)
            }
            Poll::Pending => {
                self.handlers.push(running);
                Ok(())
            }
        }
    }

    fn ended(&mut self, ended: Ended, cx: &mut Context<'_>) -> Result<(), Violation> {
        match ended {
            Ended::Admitted(socket, result) => self.admitted(&socket, result, cx),
            Ended::Connected(socket, Ok(())) => {
                self.router.joined(&socket);
                Ok(())
            }
            Ended::Connected(socket, Err(refusal)) => {
                tracing::warn!(socket = %socket.id(), error = refusal.message, "connect handler failed");
                socket.disconnect();
                // Its client may have left meanwhile.
                self.router.drop_events(&socket);
                Ok(())
            }
            Ended::Event {
                socket,
                ack,
                lane,
                answer,
            } => {
                let taken = ack.and_then(|id| socket.end_ack(id));
                if let AckBody(Answer::Malformed(error)) = answer {
                    return Err(Violation::Malformed(error));
                }
                // Who took the acknowledgement over answers, unless the handler failed before it could.
                if let Some(id) = ack
                    && taken.is_none_or(|answered| answer.is_error() && answered.claim())
                {
                    reply(&socket, id, answer);
                }
                lane.into_iter().for_each(|lane| self.lanes.free(lane));
                Ok(())
            }
            Ended::Disconnected => Ok(()),
        }
    }

    fn run_disconnect(&mut self, socket: &Socket, reason: DisconnectReason, cx: &mut Context<'_>) {
        tracing::debug!(socket = %socket.id(), nsp = socket.nsp(), %reason, "disconnected");
        if let Some(handler) = &socket.namespace().handlers.disconnect {
            let running = Running::disconnect(socket.clone(), handler, reason);
            // A disconnect handler breaks no rule of the protocol.
            let _ = self.run(running, cx);
        }
    }
}

impl std::fmt::Debug for Dispatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatch")
            .field("router", &self.router)
            .finish_non_exhaustive()
    }
}
