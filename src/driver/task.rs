//! The loop of a connection: inputs in, actions out.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tracing::Span;

use super::dispatch::Dispatch;
use super::polls::Polls;
use super::presence::Presence;
use super::sessions::{Entry, Guard};
use super::slowness::Slowness;
use super::sockets::Sockets;
use super::timed_session::TimedSession;
use super::timers::{Deadline, Timers, now};
use crate::connection::Violation;
use crate::engine::{Action, Control, DisconnectReason, Input, Transport};
use crate::hub::{Client, Command, OverLimit, Server};
use crate::panics::{Panicked, guarded};
use crate::protocol::{DecodeError, Sid};
use crate::rooms::Serving;
use crate::transport::{End, WebSocket};

/// How long a closing handshake may take.
pub(super) const CLOSE_HANDSHAKE: Duration = Duration::from_secs(5);

/// How often the loop goes round before it lets other tasks of the thread go ahead.
const ROUNDS: usize = 8;

/// After this long they go ahead too. What is read at once may start many handlers, and these may compute.
const SHARE: Duration = Duration::from_millis(1);

/// How many packets are taken between two looks at the clock.
const UNTIMED: usize = 16;

/// The span of a connection, made while its first request is handled. It is a root that follows from the request's span: as its
/// child it would keep the request's trace open for as long as the client stays.
pub(crate) fn span(sid: Sid) -> Span {
    let span = tracing::debug_span!(parent: None, "connection", %sid);
    span.follows_from(Span::current());
    span
}

/// The limit that a violation is over, if it is one of that kind.
fn over_limit(violation: &Violation) -> Option<OverLimit> {
    match violation {
        Violation::Malformed(error) => OverLimit::of_packet(error),
        Violation::TooManyNamespaces(limit) => Some(OverLimit::namespaces(*limit)),
        Violation::NotJoined | Violation::ConnectError => None,
    }
}

/// One client: its session, its transports, its namespaces.
pub(crate) struct Connection {
    pub(super) client: Arc<Client>,
    pub(super) presence: Presence,
    pub(super) guard: Guard,
    pub(super) session: TimedSession,
    pub(super) dispatch: Dispatch,
    pub(super) polls: Polls,
    pub(super) sockets: Sockets,
    /// What the session has to say next, by whichever transport.
    pub(super) owed: Option<Control>,
    pub(super) timers: Timers,
    /// When this round of the loop began.
    pub(super) now: Instant,
    /// When the first round since other tasks ran began.
    began: Instant,
    /// Nothing is read, since too much waits to be handled.
    pub(super) paused: bool,
    /// How often the deadlines have been left alone since the thread was busy when they passed.
    pub(super) late_turns: u8,
    pub(super) slowness: Slowness,
    /// Since when the connection has been draining; then, since when its handlers have finished.
    pub(super) drained_from: Option<Instant>,
}

impl Connection {
    /// Opens a session and gives its task.
    pub(crate) fn open(
        server: &Arc<Server>,
        guard: Guard,
        client: Arc<Client>,
        socket: Option<WebSocket>,
    ) -> Box<Self> {
        let transport = client.transport();
        let entry = Arc::new(Entry::new(Arc::clone(&client)));
        let (config, now) = (&server.settings.engine, now());
        let session = TimedSession::open(transport, client.revision, &config.session, now);
        let at = session.poll_timeout().unwrap_or(now);
        let polling = transport == Transport::Polling;
        client.outbox.stall(polling);
        if let Some(socket) = &socket {
            socket.open_direct(&client.outbox);
        }
        guard.enter(&entry);
        let max_packets = config.max_poll_packets.limit(client.handshake.user_agent());
        let presence = Presence::begin(&server.counters, entry);
        // In a box, since a future is as large as all that it ever holds at once, several times over.
        Box::new(Self {
            session,
            dispatch: Dispatch::new(
                Arc::clone(server),
                Arc::clone(&client),
                guard.share(&server.counters),
            ),
            client,
            presence,
            guard,
            polls: Polls::new(max_packets, now),
            sockets: Sockets::new(socket),
            owed: None,
            timers: Timers::new(at, now + config.connect_timeout),
            now,
            began: now,
            paused: false,
            late_turns: 0,
            slowness: Slowness::new(config.slow_client_timeout, config.stall_timeout()),
            drained_from: None,
        })
    }

    /// Runs the connection to its end, and the end of its handlers. The caller puts it into its [`span`].
    pub(crate) async fn run(mut self: Box<Self>) {
        if !self.client.revision.is_four() {
            let root = std::future::poll_fn(|cx| {
                self.poll_guarded(cx, |this, cx| {
                    this.join_root(cx);
                    Poll::Ready(())
                })
            });
            root.await;
        }
        std::future::poll_fn(|cx| self.poll_guarded(cx, Self::poll_open)).await;
        Box::pin(self.end()).await;
    }

    /// The session is closed: nobody reaches it any more. Ends what is left of it, of which only that lives on, since
    /// handlers may take their time.
    fn end(self: Box<Self>) -> impl Future<Output = ()> + Send {
        let Self {
            presence,
            client,
            mut dispatch,
            guard,
            sockets,
            ..
        } = *self;
        drop(presence);
        client.close_commands();
        async move {
            let farewell =
                guard.or_limit(tokio::time::timeout(CLOSE_HANDSHAKE, sockets.farewell()));
            let handlers = std::future::poll_fn(|cx| {
                guarded(|| dispatch.poll_end(cx)).unwrap_or_else(|panicked| {
                    dispatch.server.panicked("connection", &panicked);
                    Poll::Ready(())
                })
            });
            let handlers = guard.or_cut_off(handlers);
            futures_util::future::join(farewell, handlers).await;
            drop(dispatch);
            drop(guard);
        }
    }

    /// Polls it, and closes the connection if that panics: code of users may run where nothing else catches its panics, such as
    /// a parser that writes, or the drop of bytes that have been sent.
    fn poll_guarded(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Self, &mut Context<'_>) -> Poll<()>,
    ) -> Poll<()> {
        guarded(|| poll(self, cx)).unwrap_or_else(|panicked| {
            self.panicked(&panicked, cx);
            Poll::Ready(())
        })
    }

    #[cold]
    fn panicked(&mut self, panicked: &Panicked, cx: &mut Context<'_>) {
        self.dispatch.server.panicked("connection", panicked);
        // Disconnect handlers run. Nothing that panics again is more than lost.
        let closed = guarded(|| {
            let lost = Input::Lost(DisconnectReason::ForcedClose);
            self.session.handle(lost, self.now);
            self.run_actions(cx);
        });
        if let Err(panicked) = closed {
            self.dispatch.server.panicked("connection", &panicked);
        }
    }

    /// Polls everything there is, until nothing moves any more. Ready when the session is closed.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.client.outbox.awake();
        let _serving = Serving::begin(&self.client.outbox);
        for round in 0..ROUNDS {
            self.now = now();
            if round == 0 {
                self.began = self.now;
            } else if self.now - self.began >= SHARE {
                break;
            }
            self.dispatch.begin_round();
            if self.client.outbox.take_nudge() {
                self.take_commands(cx);
                self.take_requests(cx);
            }
            self.check_poll(cx);
            while let Err(violation) = self.dispatch.poll_handlers(cx) {
                self.violated(&violation, cx);
            }
            let mut again = self.polls.has_post() && self.take_post(cx);
            again |= self.read(cx);
            again |= self.sockets.probe.is_some() && self.read_probe(cx);
            self.check_drain(cx);
            self.watch_inbound(cx);
            self.check_time(cx);
            self.write(cx);
            self.run_actions(cx);
            if self.session.is_closed() {
                return Poll::Ready(());
            }
            again |= self.dispatch.may_go_on();
            again |= self.timers.arm(self.session.poll_timeout(), cx);
            if !again && !self.client.outbox.register(cx.waker()) {
                return Poll::Pending;
            }
        }
        yield_now(cx);
        Poll::Pending
    }

    /// Whether the connection has kept its thread for long, after so many packets of one batch.
    pub(super) fn has_used_share(&self, taken: usize) -> bool {
        taken.is_multiple_of(UNTIMED) && now() - self.began >= SHARE
    }

    fn join_root(&mut self, cx: &mut Context<'_>) {
        if let Err(violation) = self.dispatch.join_root(cx) {
            self.violated(&violation, cx);
        }
    }

    fn take_commands(&mut self, cx: &mut Context<'_>) {
        for command in self.client.take_commands() {
            match command {
                Command::Left(socket) => {
                    if let Err(violation) = self.dispatch.left_by_server(&socket, cx) {
                        self.violated(&violation, cx);
                    }
                }
                Command::Drain(limit) => self.drain(limit, cx),
                Command::Lost(reason) => self.input(Input::Lost(reason), cx),
                Command::Close { reason, farewell } => {
                    if self.session.is_open() {
                        self.sockets.end = farewell.map(End::Ours);
                    }
                    if reason == DisconnectReason::ServerNamespaceDisconnect {
                        self.dispatch.disconnect_all(cx);
                    }
                    self.close(reason, cx);
                }
            }
        }
    }

    pub(super) fn input(&mut self, input: Input, cx: &mut Context<'_>) {
        if let Some(message) = self.session.handle(input, self.now)
            && let Err(violation) = self.dispatch.message(message, cx)
        {
            self.violated(&violation, cx);
        }
        self.run_actions(cx);
    }

    pub(super) fn run_actions(&mut self, cx: &mut Context<'_>) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Send(control) => self.owed = Some(control),
                Action::AnswerProbe => self.sockets.answer_probe(cx),
                Action::ReleasePoll => {
                    // It may take along what is queued; if nothing is, a noop.
                    self.write_poll(cx);
                    self.answer_poll(&[Control::Noop]);
                }
                Action::Upgrade => self.upgrade(),
                Action::CloseProbe => self.probe_over(),
                Action::Closed(reason) => self.closed(reason, cx),
            }
        }
    }

    fn violated(&mut self, violation: &Violation, cx: &mut Context<'_>) {
        tracing::debug!(error = violation.to_string(), cause = ?violation, "protocol violation");
        if let Some(over) = over_limit(violation) {
            over.report(&self.dispatch.server, &self.client);
        }
        if let Violation::Malformed(DecodeError::ParserPanicked(message)) = violation {
            self.dispatch
                .server
                .panicked("parser", &message.clone().into());
        }
        self.close(DisconnectReason::ForcedClose, cx);
    }

    /// Its sockets have left at once; the transport ends when what is queued has been written.
    pub(super) fn close(&mut self, reason: DisconnectReason, cx: &mut Context<'_>) {
        self.session.handle(Input::Close(reason), self.now);
        self.dispatch.close(reason, cx);
    }

    fn closed(&mut self, reason: DisconnectReason, cx: &mut Context<'_>) {
        tracing::debug!(%reason, "session closed");
        self.client.logs.end();
        self.presence.end(reason);
        self.guard.leave();
        self.dispatch.close(reason, cx);
        if self.client.outbox.close() || reason == DisconnectReason::SlowClient {
            // No close frame goes into the middle of another, and none to a client that reads nothing.
            self.sockets.end = Some(End::Lost(std::io::ErrorKind::WriteZero.into()));
        }
        self.end_polls(reason);
    }

    /// Pauses the reading if too much is held, or resumes it. Returns true if it is paused.
    pub(super) fn check_paused(&mut self) -> bool {
        let held = self.dispatch.holds_back();
        if self.paused && !held {
            self.tell_paused();
        }
        self.paused = held;
        held
    }

    /// A pong may be behind what has been left unread.
    pub(super) fn tell_paused(&mut self) {
        let input = if self.polls.is_pending() {
            // It takes the ping in this round, however late that is.
            Input::Receiving
        } else if self.owed == Some(Control::Pong) && self.sockets.main.is_none() {
            // No poll has fetched the last answer to a ping that lies unread.
            return;
        } else {
            Input::Paused
        };
        self.session.handle(input, self.now);
    }

    pub(super) fn write(&mut self, cx: &mut Context<'_>) {
        if self.session.is_closed() {
            return;
        }
        let pressure = if self.sockets.main.is_some() {
            self.write_socket(cx)
        } else {
            self.write_poll(cx)
        };
        if self.slowness.is_idle() && pressure.is_none() {
            return;
        }
        self.slowness.note(pressure, self.now);
        self.timers.set(Deadline::Read, self.slowness.deadline());
    }
}

/// Wakes the task again when the runtime has looked for input of all connections and run the tasks that are ready.
pub(super) fn yield_now(cx: &mut Context<'_>) {
    let _ = std::pin::pin!(tokio::task::yield_now()).poll(cx);
}
