//! The loop of a connection, from inputs to actions.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tracing::Span;

use super::dispatch::Dispatch;
use super::duplexes::{CLOSE_HANDSHAKE, Duplexes};
use super::polls::Polls;
use super::registration::Registration;
use super::sessions::{Guard, SessionEntry};
use super::slowness::Slowness;
use super::timed_session::TimedSession;
use super::timers::{Timers, now};
use crate::metrics::Hook;
use crate::outbox::Readiness;
use crate::panics::{Panicked, guarded};
use crate::rooms::CurrentConnection;
use crate::server::{OverLimit, Server};
use crate::socket::{Client, Command};
use crate::transport::{Duplex, End};
use proto::connection::Violation;
use proto::engine_io::Transport;
use proto::session::{Control, SessionAction, SessionInput};
use proto::{DecodeError, DisconnectReason, Sid};

/// The number of rounds of the loop before other tasks of the thread run.
const ROUNDS: usize = 8;

/// The time after which other tasks run as well. One read may start many handlers, and these may compute.
const SHARE: Duration = Duration::from_millis(1);

/// The number of packets that are taken before the clock is read again.
const UNTIMED: usize = 16;

/// Makes the span of a connection. It is made while the first request is handled. It is a root that follows from the
/// span of the request: a child would keep the trace of the request open until the client leaves.
pub(crate) fn span(sid: Sid) -> Span {
    let span = tracing::debug_span!(parent: None, "connection", %sid);
    span.follows_from(Span::current());
    span
}

/// Returns the limit that a violation exceeds, if it is of that kind.
fn over_limit(violation: &Violation) -> Option<OverLimit> {
    match violation {
        Violation::Malformed(error) => OverLimit::of_packet(error),
        Violation::TooManyNamespaces(limit) => Some(OverLimit::namespaces(*limit)),
        Violation::NotJoined | Violation::ConnectError => None,
    }
}

/// A client: its session, its transports and its namespaces.
pub(crate) struct ConnectionTask {
    pub(super) client: Arc<Client>,
    pub(super) registration: Registration,
    pub(super) guard: Guard,
    pub(super) session: TimedSession,
    pub(super) dispatch: Dispatch,
    pub(super) polls: Polls,
    pub(super) duplexes: Duplexes,
    /// The next packet of the session itself, for either transport.
    pub(super) owed: Option<Control>,
    pub(super) timers: Timers,
    /// The time at which this round of the loop began.
    pub(super) now: Instant,
    /// The time at which the first round since other tasks ran began.
    began: Instant,
    /// True if nothing is read, because too much input is held.
    pub(super) paused: bool,
    /// The number of times that passed deadlines have been put off because the thread was busy.
    pub(super) late_turns: u8,
    pub(super) slowness: Slowness,
    /// The time at which the connection began to drain; later, the time at which its handlers had finished.
    pub(super) drained_from: Option<Instant>,
}

impl ConnectionTask {
    /// Opens a session and returns its connection.
    pub(crate) fn open(
        server: &Arc<Server>,
        guard: Guard,
        client: Arc<Client>,
        socket: Option<Duplex>,
    ) -> Box<Self> {
        let transport = client.transport();
        let entry = Arc::new(SessionEntry::new(Arc::clone(&client)));
        let (config, now) = (&server.settings.engine, now());
        let session = TimedSession::open(transport, client.revision, &config.session, now);
        let at = session.poll_timeout().unwrap_or(now);
        if transport == Transport::Polling {
            client.outbox.set_readiness(Readiness::Stalled);
        }
        if let Some(socket) = &socket {
            socket.open_direct(&client.outbox);
        }
        guard.enter(&entry);
        let max_packets = config.max_poll_packets.limit(client.handshake.user_agent());
        let registration = Registration::begin(&server.counters, entry);
        // The connection is boxed, since a future needs space for all values that it holds at once, several times over.
        Box::new(Self {
            session,
            dispatch: Dispatch::new(
                Arc::clone(server),
                Arc::clone(&client),
                guard.share(&server.counters),
            ),
            client,
            registration,
            guard,
            polls: Polls::new(max_packets, now),
            duplexes: Duplexes::new(socket),
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

    /// Runs the connection until it and its handlers have ended. The caller puts it into its [`span`].
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

    /// Ends the parts of the connection, whose session is closed. The future holds only the parts that are still
    /// needed, since handlers may take long.
    fn end(self: Box<Self>) -> impl Future<Output = ()> + Send {
        let Self {
            mut registration,
            client,
            mut dispatch,
            guard,
            duplexes,
            ..
        } = *self;
        registration.close();
        client.close_commands();
        async move {
            let farewell =
                guard.or_limit(tokio::time::timeout(CLOSE_HANDSHAKE, duplexes.farewell()));
            let handlers = std::future::poll_fn(|cx| {
                guarded(|| dispatch.poll_end(cx)).unwrap_or_else(|panicked| {
                    dispatch.server.report_panic(Hook::Connection, &panicked);
                    Poll::Ready(())
                })
            });
            let handlers = guard.or_cut_off(handlers);
            futures_util::future::join(farewell, handlers).await;
            dispatch.release_sockets();
            // The connection is gone for a shutdown when nothing of it is left.
            drop(dispatch);
            drop(guard);
        }
    }

    /// Polls a part of the connection, and closes the connection if that panics. Code of users may run where nothing
    /// else catches its panics, such as a parser that writes, or the drop of bytes that have been sent.
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
        self.dispatch
            .server
            .report_panic(Hook::Connection, panicked);
        // The disconnect handlers run. A second panic is caught as well.
        let closed = guarded(|| {
            let lost = SessionInput::Lost(DisconnectReason::ForcedClose);
            self.session.handle(lost, self.now);
            self.run_actions(cx);
        });
        if let Err(panicked) = closed {
            self.dispatch
                .server
                .report_panic(Hook::Connection, &panicked);
        }
    }

    /// Polls everything until there is no more progress. Ready when the session is closed.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.client.outbox.mark_writer_awake();
        let _current = CurrentConnection::enter(&self.client.outbox);
        for round in 0..ROUNDS {
            self.now = now();
            if round == 0 {
                self.began = self.now;
            } else if self.now - self.began >= SHARE {
                break;
            }
            self.dispatch.begin_round();
            if self.client.outbox.take_notification() {
                self.take_commands(cx);
                if self.client.take_expiry_note() {
                    self.check_expiry(cx);
                }
                self.take_requests(cx);
            }
            self.check_poll(cx);
            while let Err(violation) = self.dispatch.poll_handlers(cx) {
                self.violated(&violation, cx);
            }
            let mut again = self.polls.has_post() && self.take_post(cx);
            again |= self.read(cx);
            again |= self.duplexes.probe.is_some() && self.read_probe(cx);
            self.check_drain(cx);
            self.watch_inbound(cx);
            self.check_time(cx);
            self.write(cx);
            self.run_actions(cx);
            if self.session.is_closed() {
                return Poll::Ready(());
            }
            again |= self.dispatch.can_start_more();
            again |= self.timers.arm(self.session.poll_timeout(), cx);
            if !again && !self.client.outbox.register_writer(cx.waker()) {
                return Poll::Pending;
            }
        }
        yield_now(cx);
        Poll::Pending
    }

    /// Returns true if the connection has used its share of the thread, after this number of packets of one batch.
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
                Command::Lost(reason) => self.input(SessionInput::Lost(reason), cx),
                Command::Close { reason, farewell } => {
                    if self.session.is_open() {
                        self.duplexes.end =
                            farewell.map(|farewell| Box::new(End::Ours(farewell.into())));
                    }
                    if reason == DisconnectReason::ServerNamespaceDisconnect {
                        self.dispatch.disconnect_all(cx);
                    }
                    self.close(reason, cx);
                }
            }
        }
    }

    pub(super) fn input(&mut self, input: SessionInput, cx: &mut Context<'_>) {
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
                SessionAction::Send(control) => self.owed = Some(control),
                SessionAction::AnswerProbe => self.duplexes.answer_probe(cx),
                SessionAction::ReleasePoll => {
                    // The answer contains the queued packets, or a noop if there are none.
                    self.write_poll();
                    self.answer_poll(&[Control::Noop]);
                }
                SessionAction::Upgrade => self.upgrade(),
                SessionAction::CloseProbe => self.probe_over(),
                SessionAction::Closed(reason) => self.closed(reason, cx),
            }
        }
    }

    pub(super) fn violated(&mut self, violation: &Violation, cx: &mut Context<'_>) {
        tracing::debug!(error = violation.to_string(), cause = ?violation, "protocol violation");
        if let Some(over) = over_limit(violation) {
            over.report(&self.dispatch.server, &self.client);
        }
        if let Violation::Malformed(DecodeError::ParserPanicked(message)) = violation {
            self.dispatch
                .server
                .report_panic(Hook::Parser, &message.clone().into());
        }
        self.close(DisconnectReason::ForcedClose, cx);
    }

    /// Closes the connection. Its sockets leave at once, and the transport ends when the queued packets have been
    /// written.
    pub(super) fn close(&mut self, reason: DisconnectReason, cx: &mut Context<'_>) {
        self.session.handle(SessionInput::Close(reason), self.now);
        self.dispatch.close(reason, cx);
    }

    fn closed(&mut self, reason: DisconnectReason, cx: &mut Context<'_>) {
        tracing::debug!(%reason, "session closed");
        self.client.logs.end();
        self.registration.end(reason);
        self.guard.leave();
        self.dispatch.close(reason, cx);
        // The closing handshake may take seconds, and nothing is counted as held any more.
        self.duplexes.remainder = None;
        if self.client.outbox.close() || reason == DisconnectReason::SlowClient {
            // A close frame must not be written into the middle of another frame. A client that reads nothing gets
            // none.
            let lost = End::Lost(std::io::ErrorKind::WriteZero.into());
            self.duplexes.end = Some(Box::new(lost));
        }
        self.end_polls(reason);
    }

    /// Pauses the reading if too much is held, or resumes it. Returns true if it is paused.
    pub(super) fn check_paused(&mut self) -> bool {
        let held = self.dispatch.holds_back();
        if self.paused && !held {
            self.report_pause();
        }
        self.paused = held;
        held
    }

    /// Tells the session about a pause, since a pong may be among the unread input.
    pub(super) fn report_pause(&mut self) {
        let input = if self.polls.is_pending() {
            // The poll takes the ping in this round, however late that is.
            SessionInput::Receiving
        } else if self.owed == Some(Control::Pong) && self.duplexes.main.is_none() {
            // No poll has fetched the answer to the last ping, which is not read yet.
            return;
        } else {
            SessionInput::Paused
        };
        self.session.handle(input, self.now);
    }
}

/// Wakes the task again when the runtime has polled the input of all connections and run the tasks that are ready.
pub(super) fn yield_now(cx: &mut Context<'_>) {
    let _ = std::pin::pin!(tokio::task::yield_now()).poll(cx);
}
