//! From a packet to its handler, and from a handler's end to what follows.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytestring::ByteString;

use super::running::{Ended, Handlers, Lane, Running};
use crate::connection::{Route, Router, Violation};
use crate::engine::DisconnectReason;
use crate::hub::{
    AckBody, Answer, BoxHandler, Call, Client, EventCall, EventContext, Order, Refusal, Server,
    Socket, Unhandled, new_sid, reply,
};
use crate::protocol::engine_io::Message;
use crate::protocol::socket_io::{EncodedPacket, Event, Kind};

/// The Socket.IO side of a connection: its namespaces, and the handlers that are under way.
pub(crate) struct Dispatch {
    server: Arc<Server>,
    client: Arc<Client>,
    router: Router<Socket>,
    handlers: Handlers,
    /// Events that may go ahead, but come before those that are not read yet.
    released: VecDeque<(Socket, Option<u64>, Event)>,
    /// Lanes in which a handler runs, and the events that wait for it to end.
    busy: Vec<Lane>,
    /// Lanes whose handler has just ended.
    freed: Vec<Lane>,
    waiting: VecDeque<(Lane, Option<u64>, Event, BoxHandler<AckBody>)>,
    /// A socket that can take no more at the moment.
    held_by: Option<Socket>,
    /// A namespace has been joined at some time.
    pub(crate) joined: bool,
}

impl Dispatch {
    pub(crate) fn new(server: Arc<Server>, client: Arc<Client>) -> Self {
        let router = Router::new(server.settings.limits, server.settings.max_namespaces);
        Self {
            server,
            client,
            router,
            handlers: Handlers::default(),
            released: VecDeque::new(),
            busy: Vec::new(),
            freed: Vec::new(),
            waiting: VecDeque::new(),
            held_by: None,
            joined: false,
        }
    }

    /// Whether nothing more may be taken in before some handler has gone on.
    pub(crate) fn is_blocked(&mut self) -> bool {
        if let Some(socket) = &self.held_by {
            if socket.is_extracting() || !socket.has_room_for_more() {
                return true;
            }
            self.held_by = None;
        }
        !self.released.is_empty() || self.router.queued() >= self.server.settings.max_queued
    }

    /// Whether no handler is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.handlers.is_empty()
    }

    pub(crate) fn message(
        &mut self,
        message: Message,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        match self.router.feed(message)? {
            None => {}
            Some(Route::Connect { nsp, auth }) => self.connect(&nsp, auth, cx)?,
            Some(Route::Event { socket, id, event }) => self.event(socket, id, event, cx)?,
            Some(Route::Ack { socket, id, args }) => {
                args.check()?;
                socket.member().answer(id, args);
            }
            Some(Route::Leave { socket }) => {
                self.left(&socket, DisconnectReason::ClientNamespaceDisconnect, cx)?
            }
        }
        self.go_on_in_lanes(cx)
    }

    /// Polls the handlers that are under way, and lets events go ahead that have waited for them.
    pub(crate) fn poll_handlers(&mut self, cx: &mut Context<'_>) -> Result<(), Violation> {
        loop {
            while let Poll::Ready(Some(ended)) = self.handlers.poll(cx) {
                self.ended(ended, cx)?;
            }
            self.go_on_in_lanes(cx)?;
            if !self.go_ahead(cx)? {
                return Ok(());
            }
        }
    }

    /// Starts events that were held back, as long as nothing holds them. Returns whether there were any.
    fn go_ahead(&mut self, cx: &mut Context<'_>) -> Result<bool, Violation> {
        let mut any = false;
        while self
            .held_by
            .as_ref()
            .is_none_or(|socket| !socket.is_extracting() && socket.has_room_for_more())
        {
            self.held_by = None;
            let Some((socket, id, event)) = self.released.pop_front() else {
                break;
            };
            any = true;
            self.event(socket, id, event, cx)?;
        }
        Ok(any)
    }

    /// The server has disconnected the socket.
    pub(crate) fn left_by_server(
        &mut self,
        socket: &Socket,
        reason: DisconnectReason,
        cx: &mut Context<'_>,
    ) {
        self.router.left(socket);
        self.drop_waiting(socket);
        self.run_disconnect(socket, reason, cx);
    }

    /// The server disconnects all sockets of the connection.
    pub(crate) fn disconnect_all(&mut self) {
        self.router.sockets().for_each(Socket::disconnect);
    }

    /// The connection is over, for all its sockets.
    pub(crate) fn close(&mut self, reason: DisconnectReason, cx: &mut Context<'_>) {
        self.released.clear();
        self.waiting.clear();
        for socket in self.router.close() {
            if socket.end(reason) {
                self.run_disconnect(&socket, reason, cx);
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
            self.router.refused(socket);
            // Undoes what the middleware joined.
            socket.end(DisconnectReason::ForcedClose);
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
                self.release(socket);
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

    /// The events that have waited for the connect handler may go ahead.
    fn release(&mut self, socket: &Socket) {
        let events = self.router.joined(socket);
        self.released.extend(
            events
                .into_iter()
                .map(|(id, event)| (socket.clone(), id, event)),
        );
    }

    fn event(
        &mut self,
        socket: Socket,
        id: Option<u64>,
        event: Event,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        // A handler before may have disconnected it.
        if !socket.connected() {
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
            if nsp.options.unhandled == Unhandled::Error {
                reply(
                    &socket,
                    id,
                    AckBody::error(&format!("no handler for {:?}", event.name())),
                );
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
        if let Some(lane) = lane {
            if self.busy.contains(&lane) {
                socket.pending().fetch_add(1, Ordering::Relaxed);
                self.hold_if_full(&socket);
                self.waiting.push_back((lane, id, event, handler));
                return Ok(());
            }
            self.busy.push(lane.clone());
            return self.start(socket, id, event, &handler, Some(lane), cx);
        }
        self.start(socket, id, event, &handler, None, cx)
    }

    fn start(
        &mut self,
        socket: Socket,
        id: Option<u64>,
        event: Event,
        handler: &BoxHandler<AckBody>,
        lane: Option<Lane>,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        let nsp = Arc::clone(socket.namespace());
        let span = tracing::enabled!(tracing::Level::DEBUG).then(|| event.name().to_owned());
        let call = EventCall {
            event,
            ack: id,
            ack_taken: false,
            checked: false,
        };
        let context = EventContext::new(socket.clone(), Call::Event(call));
        let future = match &nsp.handlers.layered {
            Some(layers) => layers.dispatch(context, handler.clone()),
            None => handler.call(context),
        };
        self.run(
            Running::event(
                socket,
                span.as_deref().unwrap_or_default(),
                future,
                id,
                lane,
            ),
            cx,
        )
    }

    /// Polls a handler for the first time, here and now.
    fn run(&mut self, mut running: Running, cx: &mut Context<'_>) -> Result<(), Violation> {
        match running.poll(cx) {
            Poll::Ready(ended) => {
                drop(running);
                self.ended(ended, cx)
            }
            Poll::Pending => {
                let socket = running.socket().clone();
                self.handlers.push(running);
                if socket.is_extracting() {
                    self.held_by = Some(socket);
                } else {
                    self.hold_if_full(&socket);
                }
                Ok(())
            }
        }
    }

    fn hold_if_full(&mut self, socket: &Socket) {
        if !socket.has_room_for_more() {
            self.held_by = Some(socket.clone());
        }
    }

    fn ended(&mut self, ended: Ended, cx: &mut Context<'_>) -> Result<(), Violation> {
        match ended {
            Ended::Admitted(socket, result) => self.admitted(&socket, result, cx),
            Ended::Connected(socket, Ok(())) => {
                self.release(&socket);
                Ok(())
            }
            Ended::Connected(socket, Err(refusal)) => {
                tracing::warn!(socket = %socket.id(), error = refusal.message, "connect handler failed");
                self.router.joined(&socket);
                socket.disconnect();
                Ok(())
            }
            Ended::Event {
                socket,
                ack,
                lane,
                answer,
            } => {
                if let AckBody(Answer::Malformed(error)) = answer {
                    return Err(Violation::Malformed(error));
                }
                reply(&socket, ack, answer);
                self.freed.extend(lane);
                Ok(())
            }
            Ended::Disconnected => Ok(()),
        }
    }

    /// Starts the next event of each lane that has become free.
    fn go_on_in_lanes(&mut self, cx: &mut Context<'_>) -> Result<(), Violation> {
        while let Some(lane) = self.freed.pop() {
            if !lane.socket.connected() {
                self.drop_waiting(&lane.socket);
            }
            let next = self
                .waiting
                .iter()
                .position(|(waiting, ..)| *waiting == lane);
            let Some((lane, id, event, handler)) = next.and_then(|at| self.waiting.remove(at))
            else {
                self.busy.retain(|busy| *busy != lane);
                continue;
            };
            let socket = lane.socket.clone();
            socket.pending().fetch_sub(1, Ordering::Relaxed);
            self.start(socket, id, event, &handler, Some(lane), cx)?;
        }
        Ok(())
    }

    /// Forgets the events of a socket that wait for their turn.
    fn drop_waiting(&mut self, of: &Socket) {
        let before = self.waiting.len();
        self.waiting.retain(|(lane, ..)| lane.socket != *of);
        of.pending()
            .fetch_sub(before - self.waiting.len(), Ordering::Relaxed);
    }

    fn left(
        &mut self,
        socket: &Socket,
        reason: DisconnectReason,
        cx: &mut Context<'_>,
    ) -> Result<(), Violation> {
        // What it sent before it left is handled before it is gone.
        self.go_ahead(cx)?;
        self.drop_waiting(socket);
        if socket.end(reason) {
            self.run_disconnect(socket, reason, cx);
        }
        Ok(())
    }

    fn run_disconnect(&mut self, socket: &Socket, reason: DisconnectReason, cx: &mut Context<'_>) {
        tracing::debug!(socket = %socket.id(), nsp = socket.nsp(), %reason, "disconnected");
        if let Some(handler) = &socket.namespace().handlers.disconnect {
            // A disconnect handler breaks no rule of the protocol.
            let _ = self.run(Running::disconnect(socket.clone(), handler, reason), cx);
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
