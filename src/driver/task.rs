//! The loop of a connection: inputs in, actions out.

use std::collections::VecDeque;
use std::future::Future;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tracing::Instrument;

use super::dispatch::Dispatch;
use super::sessions::{Entry, Guard, Inbound, PollAnswer, PostAnswer, Sessions};
use super::timers::{Timers, now};
use crate::connection::Violation;
use crate::engine::{Action, Control, DisconnectReason, Frame, Input, Session, Transport};
use crate::hub::{Client, Command, Server};
use crate::protocol::engine_io::{Packet, Payload};
use crate::protocol::websocket::Event;
use crate::transport::{End, WebSocket, collect};

/// Requests of one session that wait for its task. More wait in their own tasks.
const MAILBOX: usize = 4;

/// How long a closing handshake may take.
const CLOSE_HANDSHAKE: Duration = Duration::from_secs(5);

/// One client: its session, its transports, its namespaces.
pub(crate) struct Connection {
    client: Arc<Client>,
    entry: Arc<Entry>,
    guard: Guard,
    session: Session,
    dispatch: Dispatch,
    mailbox: mpsc::Receiver<Inbound>,
    /// Frames taken from the outbox that no transport has taken over.
    queue: VecDeque<Frame>,
    /// Packets of the protocol's own, behind them.
    controls: VecDeque<Control>,
    poll: Option<oneshot::Sender<PollAnswer>>,
    post: Option<Post>,
    socket: Option<WebSocket>,
    probe: Option<WebSocket>,
    /// The poll that is pending came when the session was closing.
    late: bool,
    /// Why the WebSocket ended, for its closing handshake.
    end: Option<End>,
    timers: Timers,
    slow_client: Duration,
}

/// A POST whose packets are being taken.
struct Post {
    packets: Payload,
    done: oneshot::Sender<PostAnswer>,
}

impl Connection {
    /// Registers a session and gives its task, and how requests reach it.
    pub(crate) fn open(
        server: &Arc<Server>,
        sessions: &Sessions,
        client: Arc<Client>,
        socket: Option<WebSocket>,
    ) -> (Self, Arc<Entry>) {
        let (sender, mailbox) = mpsc::channel(MAILBOX);
        let transport = client.transport();
        let entry = Arc::new(Entry {
            client: Arc::clone(&client),
            mailbox: sender,
            posting: false.into(),
            upgrading: (transport == Transport::WebSocket).into(),
        });
        let guard = sessions.insert(Arc::clone(&entry));
        let (config, now) = (&server.settings.engine, now());
        let session = Session::open(transport, config, now);
        let at = session.poll_timeout().unwrap_or(now);
        client.outbox.set_stalled(transport == Transport::Polling);
        let connection = Self {
            session,
            dispatch: Dispatch::new(Arc::clone(server), Arc::clone(&client)),
            client,
            entry: Arc::clone(&entry),
            guard,
            mailbox,
            queue: VecDeque::new(),
            controls: VecDeque::new(),
            poll: None,
            post: None,
            socket,
            probe: None,
            end: None,
            late: false,
            timers: Timers::new(at, now + config.connect_timeout),
            slow_client: config.slow_client_timeout,
        };
        (connection, entry)
    }

    /// Runs the connection to its end, and the end of its handlers, in a span of its own.
    pub(crate) fn run(self) -> impl Future<Output = ()> + Send {
        let span = tracing::debug_span!("connection", sid = %self.client.sid);
        self.live().instrument(span)
    }

    async fn live(mut self) {
        std::future::poll_fn(|cx| self.poll_open(cx)).await;
        let farewell = self.farewell();
        let close = tokio::time::timeout(CLOSE_HANDSHAKE, farewell);
        let Self {
            mut dispatch,
            client,
            mailbox,
            guard,
            ..
        } = self;
        // Whoever asked too late hears that the session is gone.
        drop(mailbox);
        let handlers = std::future::poll_fn(|cx| {
            // What goes wrong now concerns nobody: the client is gone.
            while dispatch.poll_handlers(cx).is_err() {}
            client.take_commands().clear();
            if dispatch.is_idle() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        let _ = futures_util::future::join(close, handlers).await;
        drop(guard);
    }

    /// Polls everything there is, until nothing moves any more. Ready when the session is closed.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.take_requests(cx);
            self.take_commands(cx);
            while let Err(violation) = self.dispatch.poll_handlers(cx) {
                self.violated(&violation, cx);
            }
            let mut again = self.take_post(cx);
            again |= self.read(cx);
            self.read_probe(cx);
            self.check_time(cx);
            self.write(cx);
            self.run_actions(cx);
            if self.session.is_closed() {
                return Poll::Ready(());
            }
            again |= self.timers.arm(self.session.poll_timeout(), cx);
            if !again && !self.client.outbox.register(cx.waker()) {
                return Poll::Pending;
            }
        }
    }

    fn take_requests(&mut self, cx: &mut Context<'_>) {
        // Polls are taken also while a POST waits for its handlers: what these emit must get out.
        while let Poll::Ready(Some(inbound)) = self.mailbox.poll_recv(cx) {
            match inbound {
                Inbound::Poll(poll) => self.open_poll(poll, cx),
                Inbound::Post(body, done) => {
                    self.post = Some(Post {
                        packets: Payload::decode(body),
                        done,
                    });
                    self.take_post(cx);
                }
                Inbound::Broken(reason) => self.input(Input::Lost(reason), cx),
                Inbound::Probe(socket) => {
                    self.probe = Some(socket);
                    self.input(Input::ProbeOpened, cx);
                }
                Inbound::ProbeFailed => self.probe_over(),
            }
        }
        if self
            .poll
            .as_mut()
            .is_some_and(|poll| poll.poll_closed(cx).is_ready())
        {
            tracing::debug!("poll closed prematurely");
            self.poll = None;
            self.input(Input::Lost(DisconnectReason::TransportError), cx);
        }
    }

    fn open_poll(&mut self, poll: oneshot::Sender<PollAnswer>, cx: &mut Context<'_>) {
        if self.poll.is_some() {
            tracing::debug!("overlapping polls");
            let _ = poll.send(PollAnswer::Overlap);
            self.input(Input::Lost(DisconnectReason::TransportError), cx);
            return;
        }
        if self.socket.is_some() {
            // The WebSocket has taken over while this one was on its way.
            let _ = poll.send(PollAnswer::Payload(Control::Noop.text().into()));
            return;
        }
        self.late |= self.session.is_closing();
        self.poll = Some(poll);
        self.input(Input::PollOpened, cx);
        self.client.outbox.set_stalled(false);
    }

    /// Takes packets of a POST, until all are taken or no more can be. Returns whether it took any.
    fn take_post(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        while self.session.is_open()
            && let Some(post) = &mut self.post
            && (post.packets.is_done() || !self.dispatch.is_full())
        {
            any = true;
            match post.packets.next() {
                Some(Ok(packet)) => self.input(Input::Packet(packet), cx),
                Some(Err(error)) => {
                    tracing::debug!(%error, "undecodable payload");
                    self.answer_post(PostAnswer::Undecodable);
                    self.input(Input::Lost(DisconnectReason::ParseError), cx);
                }
                None => self.answer_post(PostAnswer::Taken),
            }
        }
        if !self.session.is_open() {
            self.answer_post(PostAnswer::Taken);
        }
        any
    }

    /// Reads the WebSocket. Returns whether it should be read again at once.
    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        if self.dispatch.is_full() || self.session.is_closed() {
            return false;
        }
        let Some(mut socket) = self.socket.take() else {
            return false;
        };
        let waker = cx.waker().clone();
        let read = socket.poll_read(cx, &mut |event| {
            let cx = &mut Context::from_waker(&waker);
            match decode(event) {
                Ok(packet) => self.input(Input::Packet(packet), cx),
                Err(()) => self.input(Input::Lost(DisconnectReason::ParseError), cx),
            }
            if self.dispatch.is_full() || self.session.is_closed() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        self.socket = Some(socket);
        match read {
            Poll::Pending => false,
            Poll::Ready(Ok(())) => !self.dispatch.is_full(),
            Poll::Ready(Err(end)) => {
                tracing::debug!(%end, "websocket ended");
                let reason = match end {
                    End::Closed(_) | End::Lost(_) => DisconnectReason::TransportClose,
                    End::Violation(_) => DisconnectReason::TransportError,
                };
                self.end = Some(end);
                self.input(Input::Lost(reason), cx);
                false
            }
        }
    }

    fn read_probe(&mut self, cx: &mut Context<'_>) {
        let Some(mut probe) = self.probe.take() else {
            return;
        };
        let mut packets = Vec::new();
        let read = probe.poll_read(cx, &mut |event| {
            let upgraded = match decode(event) {
                Ok(packet) => {
                    let last = !matches!(packet, Packet::Ping(_));
                    packets.push(packet);
                    last
                }
                Err(()) => {
                    packets.push(Packet::Close);
                    true
                }
            };
            // What follows the upgrade belongs to the session.
            if upgraded {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        self.probe = Some(probe);
        for packet in packets {
            self.input(Input::ProbePacket(packet), cx);
        }
        if let (Poll::Ready(Err(_)), Some(_)) = (read, &self.probe) {
            self.probe_over();
            self.input(Input::ProbeLost, cx);
        }
        if let Some(probe) = &mut self.probe
            && let Poll::Ready(Err(_)) = probe.poll_write(cx, None)
        {
            self.probe_over();
            self.input(Input::ProbeLost, cx);
        }
        if self.socket.is_some() && self.probe.is_none() {
            // It has just taken over: read on.
            cx.waker().wake_by_ref();
        }
    }

    fn probe_over(&mut self) {
        if let Some(probe) = self.probe.take() {
            close_in_background(probe);
        }
        self.entry
            .upgrading
            .store(false, std::sync::atomic::Ordering::Release);
    }

    fn take_commands(&mut self, cx: &mut Context<'_>) {
        for command in self.client.take_commands() {
            match command {
                Command::Left(socket, reason) => {
                    if let Err(violation) = self.dispatch.left_by_server(socket, reason, cx) {
                        self.violated(&violation, cx);
                    }
                }
                Command::Close(reason) => {
                    if reason == DisconnectReason::ServerNamespaceDisconnect {
                        self.dispatch.disconnect_all();
                    }
                    self.close(reason, cx);
                }
            }
        }
    }

    fn input(&mut self, input: Input, cx: &mut Context<'_>) {
        self.session.handle(input, now());
        self.run_actions(cx);
    }

    fn run_actions(&mut self, cx: &mut Context<'_>) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Deliver(message) => {
                    if let Err(violation) = self.dispatch.message(message, cx) {
                        self.violated(&violation, cx);
                    }
                }
                Action::Send(control) => match &mut self.socket {
                    Some(socket) => socket.push_control(control),
                    None => self.controls.push_back(control),
                },
                Action::AnswerProbe => {
                    if let Some(probe) = &mut self.probe {
                        probe.push_text(b"3probe");
                    }
                }
                Action::ReleasePoll => {
                    // It may take along what is queued; if nothing is, a noop.
                    self.write(cx);
                    self.answer_poll(Control::Noop.text());
                }
                Action::Upgrade => self.upgrade(),
                Action::CloseProbe => self.probe_over(),
                Action::Closed(reason) => self.closed(reason, cx),
            }
        }
    }

    fn violated(&mut self, violation: &Violation, cx: &mut Context<'_>) {
        tracing::debug!(error = %violation, cause = ?violation, "protocol violation");
        self.close(DisconnectReason::ForcedClose, cx);
    }

    /// Its sockets have left at once; the transport ends when what is queued has been written.
    fn close(&mut self, reason: DisconnectReason, cx: &mut Context<'_>) {
        self.session.handle(Input::Close(reason), now());
        self.dispatch.close(reason, cx);
    }

    fn upgrade(&mut self) {
        self.socket = self.probe.take();
        self.client.set_transport(Transport::WebSocket);
        self.client.outbox.set_stalled(false);
        if let Some(socket) = &mut self.socket {
            socket.push_frames(&mut self.queue);
            self.controls
                .drain(..)
                .for_each(|control| socket.push_control(control));
        }
    }

    fn closed(&mut self, reason: DisconnectReason, cx: &mut Context<'_>) {
        tracing::debug!(%reason, "session closed");
        self.guard.remove(self.client.sid);
        self.take_commands(cx);
        self.dispatch.close(reason, cx);
        self.client.outbox.close();
        // A client that closes by itself needs not be told.
        self.answer_poll(match reason {
            DisconnectReason::TransportClose => Control::Noop.text(),
            _ if self.late => b"6\x1e1",
            _ => Control::Close.text(),
        });
        self.answer_post(PostAnswer::Taken);
    }

    fn answer_post(&mut self, answer: PostAnswer) {
        if let Some(post) = self.post.take() {
            let _ = post.done.send(answer);
        }
    }

    fn answer_poll(&mut self, payload: &'static [u8]) {
        if let Some(poll) = self.poll.take() {
            let _ = poll.send(PollAnswer::Payload(payload.into()));
            self.client.outbox.set_stalled(true);
        }
    }

    fn write(&mut self, cx: &mut Context<'_>) {
        if self.session.is_closed() {
            return;
        }
        let taken = self.client.outbox.take(&mut self.queue);
        match self.socket.take() {
            Some(mut socket) => {
                socket.push_frames(&mut self.queue);
                let write = socket.poll_write(cx, Some(&self.client.outbox));
                self.client.outbox.set_stalled(write.is_pending());
                let flushed = socket.is_flushed();
                self.socket = Some(socket);
                match write {
                    Poll::Ready(Err(error)) => {
                        tracing::debug!(%error, "cannot write");
                        self.end = Some(End::Lost(error));
                        self.session
                            .handle(Input::Lost(DisconnectReason::TransportClose), now());
                    }
                    _ if flushed
                        && self.session.is_closing()
                        && self.client.outbox.pending().0 == 0 =>
                    {
                        self.session.handle(Input::Flushed, now());
                    }
                    _ => {}
                }
            }
            None => self.write_poll(),
        }
        // Only what could not be written now is the client's fault.
        if taken.refused && self.client.outbox.refuses() {
            let by = now() + self.slow_client;
            self.timers.read_by.get_or_insert(by);
        } else {
            self.timers.read_by = None;
        }
    }

    fn write_poll(&mut self) {
        let closing = self.session.is_closing();
        if self.poll.is_none() || (self.queue.is_empty() && self.controls.is_empty() && !closing) {
            return;
        }
        if closing && self.queue.is_empty() {
            // By itself: official clients forget what comes in one payload with it.
            self.session.handle(Input::Flushed, now());
            return;
        }
        let collected = collect(&mut self.queue, &mut self.controls);
        self.client
            .outbox
            .written(collected.frames, collected.bytes);
        if let Some(poll) = self.poll.take() {
            let _ = poll.send(PollAnswer::Payload(collected.body));
        }
        self.client.outbox.set_stalled(true);
    }

    fn check_time(&mut self, cx: &mut Context<'_>) {
        if self.timers.poll(cx).is_pending() {
            return;
        }
        if self.dispatch.joined {
            self.timers.connect_by = None;
        }
        let now = now();
        if self.dispatch.is_full() {
            self.session.handle(Input::NotRead, now);
        }
        self.session.handle_timeout(now);
        if self.timers.connect_by.is_some_and(|by| now >= by) {
            self.timers.connect_by = None;
            tracing::debug!("no namespace joined in time");
            self.session
                .handle(Input::Close(DisconnectReason::ForcedClose), now);
        }
        if self.timers.read_by.is_some_and(|by| now >= by) {
            tracing::debug!("client does not read");
            self.end = Some(End::Lost(std::io::ErrorKind::TimedOut.into()));
            self.session
                .handle(Input::Lost(DisconnectReason::SlowClient), now);
        }
        self.run_actions(cx);
        if self.timers.rearm(self.session.poll_timeout(), now, cx) {
            cx.waker().wake_by_ref();
        }
    }

    /// The closing handshakes of what is left of its transports.
    fn farewell(&mut self) -> impl Future<Output = ()> + use<> {
        if let Some(probe) = self.probe.take() {
            close_in_background(probe);
        }
        let (socket, end) = (self.socket.take(), self.end.take());
        async move {
            if let Some(socket) = socket {
                socket.close(end.as_ref()).await;
            }
        }
    }
}

fn close_in_background(socket: WebSocket) {
    tokio::spawn(async move {
        let _ = tokio::time::timeout(CLOSE_HANDSHAKE, socket.close(None)).await;
    });
}

fn decode(event: Event) -> Result<Packet, ()> {
    match event {
        Event::Text(text) => {
            Packet::decode_text(text).map_err(|error| tracing::debug!(%error, "undecodable packet"))
        }
        Event::Binary(data) => Ok(Packet::decode_binary(data)),
        // The transport keeps these to itself.
        Event::Ping(_) | Event::Pong(_) | Event::Close(_) => Err(()),
    }
}
