//! The state machine of an Engine.IO session.
//!
//! ```text
//!                5 on the probe
//!   Probing ──────────────────────▶ upgraded
//!       │ lost, late, wrong packet
//!       ▼
//!   probe closed, polling goes on
//!
//!   Open ──close()──▶ Closing ──flushed, or close_timeout──▶ Closed
//! ```
//!
//! The heartbeat is a separate state machine; see `heartbeat.rs`. A session does not interpret messages or move bytes:
//! the driver passes it inputs and runs its actions.

mod config;
mod heartbeat;

use std::collections::VecDeque;
use std::time::Duration;

pub use config::SessionConfig;
use heartbeat::{Beat, Heartbeat};

use crate::DisconnectReason;
use crate::engine_io::{Message, Packet, Revision, Transport};

/// The number of polls that open after the probe and are answered with a `noop` immediately. A client needs one such
/// response if it polls again before it reads `3probe`.
const RELEASES: u8 = 3;

/// The delay after which further polls are answered, so that a client whose `3probe` is delayed does not poll in a
/// loop.
const NOOP_DELAY: Duration = Duration::from_millis(100);

/// An input of the session.
#[derive(Debug)]
pub enum Input {
    /// A packet arrived on the current transport.
    Packet(Packet),
    /// A poll was opened, and no queued packet can answer it.
    PollOpened,
    /// The WebSocket of an upgrade is open.
    ProbeOpened,
    /// A packet arrived on the probing WebSocket.
    ProbePacket(Packet),
    /// The probing WebSocket was lost.
    ProbeLost,
    /// The last ping has been handed to the network.
    PingSent,
    /// The transport cannot accept the last ping at present. The driver checks separately if the client reads at all.
    PingStuck,
    /// The server has paused reading: a pong of the client may be unread.
    Paused,
    /// More of an incomplete message has arrived: a pong of the client may be queued behind it.
    Receiving,
    /// The transport ended.
    Lost(DisconnectReason),
    /// The server wants to close the session once the queue has been written.
    Close(DisconnectReason),
    /// The queue has been written.
    Flushed,
}

/// A packet that the protocol itself sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// The session ends.
    Close,
    /// The server asks for a sign of life.
    Ping,
    /// The server answers the ping of a client of revision 3.
    Pong,
    /// Nothing, to answer a poll.
    Noop,
}

impl Control {
    /// Returns the packet as Engine.IO text.
    #[must_use]
    #[inline]
    pub const fn text(self) -> &'static [u8] {
        match self {
            Self::Close => b"1",
            Self::Ping => b"2",
            Self::Pong => b"3",
            Self::Noop => b"6",
        }
    }
}

/// The actions that the driver runs, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a packet on the current transport, after the queue.
    Send(Control),
    /// Write `3probe` to the probing WebSocket. This precedes the release of the poll: a client that has read it does
    /// not poll again.
    AnswerProbe,
    /// Answer the pending poll, if any, with a `noop`.
    ReleasePoll,
    /// Make the probing WebSocket the transport. A pending poll is answered with a `noop`: the queue is sent over the
    /// WebSocket, because packets sent over polling could be overtaken.
    Upgrade,
    /// Close the probing WebSocket.
    CloseProbe,
    /// The session has ended: close the transports and notify the layer above.
    Closed(DisconnectReason),
}

#[derive(Debug)]
enum Probe {
    None,
    /// The WebSocket is open. After `2probe`, polls are released so that the client can stop polling.
    Open {
        close_at: Duration,
        probed: bool,
        /// The number of remaining immediate releases, initially [`RELEASES`].
        releases: u8,
        noop_at: Option<Duration>,
    },
}

#[derive(Debug)]
enum State {
    Open,
    Closing {
        reason: DisconnectReason,
        close_at: Duration,
    },
    Closed,
}

/// The state of one Engine.IO session, on the side of the server.
#[derive(Debug)]
pub struct Session {
    transport: Transport,
    state: State,
    heartbeat: Heartbeat,
    probe: Probe,
    upgrade_timeout: Duration,
    close_timeout: Duration,
    actions: VecDeque<Action>,
}

impl Session {
    /// Opens a session. All times that its methods take and return are counted from now.
    #[must_use]
    pub fn open(transport: Transport, revision: Revision, config: &SessionConfig) -> Self {
        Self {
            transport,
            state: State::Open,
            heartbeat: Heartbeat::new(revision, config),
            probe: Probe::None,
            upgrade_timeout: config.upgrade_timeout,
            close_timeout: config.close_timeout,
            actions: VecDeque::new(),
        }
    }

    /// Handles an input. Returns the message that it contains, for the layer above.
    #[inline]
    pub fn handle(&mut self, input: Input, now: Duration) -> Option<Message> {
        match (&self.state, input) {
            (State::Open, Input::Packet(packet)) => return self.packet(packet, now),
            (State::Closed, _) => {}
            (State::Open, Input::Lost(reason)) => self.close(reason),
            (State::Open, Input::Close(reason)) => {
                // An upgrade continues: its client may have stopped polling, and the queue is then sent over the
                // WebSocket.
                self.state = State::Closing {
                    reason,
                    close_at: now + self.close_timeout,
                };
            }
            // The reason remains that of the close, whatever ends the session now.
            (
                State::Closing { reason, .. },
                Input::Flushed | Input::Lost(_) | Input::Packet(Packet::Close),
            ) => {
                let reason = *reason;
                self.close(reason);
            }
            (_, Input::ProbePacket(packet)) => self.probe_packet(packet),
            (_, Input::ProbeLost) => self.probe = Probe::None,
            (_, Input::PollOpened) => self.poll_opened(now),
            // Other packets of the client are ignored while the session is closing, as in Node.
            (State::Closing { .. }, _) | (State::Open, Input::Flushed) => {}
            (State::Open, Input::ProbeOpened) => {
                let close_at = now + self.upgrade_timeout;
                self.probe = Probe::Open {
                    close_at,
                    probed: false,
                    releases: RELEASES,
                    noop_at: None,
                };
            }
            (State::Open, Input::PingSent) => self.heartbeat.sent(),
            (State::Open, Input::PingStuck) if self.owes_ping() => self.wait_longer(now),
            (State::Open, Input::PingStuck) => {}
            (State::Open, Input::Paused) => {
                // The driver detects a WebSocket that accepts no data.
                let sees_writes = self.transport == Transport::WebSocket;
                let beat = self.heartbeat.paused(now, sees_writes);
                self.act(beat);
            }
            (State::Open, Input::Receiving) => self.wait_longer(now),
        }
        None
    }

    /// Handles the passing of time; see [`poll_timeout`](Self::poll_timeout).
    pub fn handle_timeout(&mut self, now: Duration) {
        if let State::Closing { reason, close_at } = self.state
            && now >= close_at
        {
            self.close(reason);
        }
        if self.is_closed() {
            return;
        }
        if let Probe::Open {
            close_at, noop_at, ..
        } = &mut self.probe
        {
            if noop_at.is_some_and(|at| now >= at) {
                *noop_at = None;
                self.actions.push_back(Action::ReleasePoll);
            }
            if now >= *close_at {
                self.close_probe();
            }
        }
        if self.is_closing() {
            return;
        }
        let beat = self.heartbeat.handle_timeout(now);
        self.act(beat);
    }

    fn act(&mut self, beat: Beat) {
        match beat {
            Beat::Nothing => {}
            Beat::SendPing => self.actions.push_back(Action::Send(Control::Ping)),
            Beat::SendPong => self.actions.push_back(Action::Send(Control::Pong)),
            Beat::TimedOut => self.close(DisconnectReason::PingTimeout),
            Beat::NotTaken => self.close(DisconnectReason::SlowClient),
        }
    }

    fn wait_longer(&mut self, now: Duration) {
        let beat = self.heartbeat.wait_longer(now);
        self.act(beat);
    }

    /// Takes the next action, until there is none.
    #[inline]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Returns the time at which [`handle_timeout`](Self::handle_timeout) is due next.
    #[must_use]
    #[inline]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let mut next = match &self.state {
            State::Closed => return None,
            State::Closing { close_at, .. } => *close_at,
            State::Open => self.heartbeat.poll_timeout(),
        };
        if let Probe::Open {
            close_at, noop_at, ..
        } = self.probe
        {
            next = next.min(close_at).min(noop_at.unwrap_or(close_at));
        }
        Some(next)
    }

    #[cfg(test)]
    fn transport(&self) -> Transport {
        self.transport
    }

    /// Returns true if a ping is due that has not been handed to the network.
    #[must_use]
    #[inline]
    pub const fn owes_ping(&self) -> bool {
        self.heartbeat.owes_ping()
    }

    /// Returns true if the session has ended.
    #[must_use]
    #[inline]
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Returns true if the session ends when its queue has been flushed.
    #[must_use]
    #[inline]
    pub fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing { .. })
    }

    /// Returns true if the session is neither closed nor closing.
    #[must_use]
    #[inline]
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    fn packet(&mut self, packet: Packet, now: Duration) -> Option<Message> {
        match packet {
            Packet::Message(message) => {
                self.heartbeat.extend(now);
                return Some(message);
            }
            Packet::Pong(_) if !self.heartbeat.listens() => self.heartbeat.pong(now),
            Packet::Ping(_) if self.heartbeat.listens() => {
                let beat = self.heartbeat.pinged(now);
                self.act(beat);
            }
            Packet::Close => self.close(DisconnectReason::TransportClose),
            // Only one side pings: the server in revision 4, the client in revision 3.
            Packet::Ping(_) | Packet::Pong(_) => self.close(DisconnectReason::TransportError),
            Packet::Open(_) | Packet::Upgrade | Packet::Noop => self.heartbeat.extend(now),
        }
        None
    }

    fn probe_packet(&mut self, packet: Packet) {
        let Probe::Open { probed, .. } = &mut self.probe else {
            return;
        };
        match packet {
            Packet::Ping(data) if &*data == "probe" => {
                *probed = true;
                self.actions.push_back(Action::AnswerProbe);
                self.actions.push_back(Action::ReleasePoll);
            }
            Packet::Upgrade => {
                // The heartbeat is unchanged: a pong that was awaited is still awaited.
                self.probe = Probe::None;
                self.transport = Transport::WebSocket;
                self.actions.push_back(Action::Upgrade);
            }
            _ => self.close_probe(),
        }
    }

    fn poll_opened(&mut self, now: Duration) {
        let Probe::Open {
            probed: true,
            releases,
            noop_at,
            ..
        } = &mut self.probe
        else {
            return;
        };
        if let Some(left) = releases.checked_sub(1) {
            *releases = left;
            self.actions.push_back(Action::ReleasePoll);
        } else {
            *noop_at = Some(now + NOOP_DELAY);
        }
    }

    fn close_probe(&mut self) {
        if !matches!(self.probe, Probe::None) {
            self.probe = Probe::None;
            self.actions.push_back(Action::CloseProbe);
        }
    }

    fn close(&mut self, reason: DisconnectReason) {
        self.close_probe();
        self.state = State::Closed;
        self.actions.push_back(Action::Closed(reason));
    }
}

#[cfg(test)]
mod tests {
    use super::heartbeat::LATE;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The start of every session.
    const START: Duration = Duration::ZERO;

    fn polling() -> (Session, SessionConfig) {
        let config = SessionConfig::default();
        let session = Session::open(Transport::Polling, Revision::Four, &config);
        (session, config)
    }

    /// Opens a session of a client that pings.
    fn listening() -> (Session, SessionConfig) {
        let (config, revision) = (SessionConfig::default(), Revision::Three { base64: false });
        let session = Session::open(Transport::Polling, revision, &config);
        (session, config)
    }

    fn actions(session: &mut Session) -> Vec<Action> {
        std::iter::from_fn(|| session.poll_action()).collect()
    }

    fn text(text: &'static str) -> Packet {
        Packet::decode_text(text.into()).unwrap()
    }

    #[test]
    fn no_ping_is_sent_before_the_interval_has_passed() {
        let start = START;
        let (mut session, config) = polling();
        session.handle_timeout(start);
        assert_eq!(actions(&mut session), []);
        assert_eq!(session.poll_timeout(), Some(start + config.ping_interval));
    }

    #[test]
    fn a_silent_client_is_closed_after_one_ping() {
        let start = START;
        let (mut session, config) = polling();
        session.handle_timeout(start + config.ping_interval);
        assert_eq!(actions(&mut session), [Action::Send(Control::Ping)]);
        session.handle_timeout(start + config.ping_interval + config.ping_timeout);
        assert_eq!(
            actions(&mut session),
            [Action::Closed(DisconnectReason::PingTimeout)]
        );
        assert_eq!(session.poll_timeout(), None);
    }

    /// Opens a session that has sent its first ping when it was due. Returns that time as well.
    fn pinged() -> (Session, SessionConfig, Duration) {
        let (mut session, config) = polling();
        let due = START + config.ping_interval;
        session.handle_timeout(due);
        session.handle(Input::PingSent, due);
        assert_eq!(actions(&mut session), [Action::Send(Control::Ping)]);
        (session, config, due)
    }

    fn pong(session: &mut Session, now: Duration) {
        session.handle(Input::Packet(text("3")), now);
    }

    #[test]
    fn a_ping_is_sent_every_interval() {
        let (mut session, config, due) = pinged();
        pong(&mut session, due + config.ping_timeout / 2);
        let next = due + config.ping_interval;
        assert_eq!(session.poll_timeout(), Some(next));
        session.handle_timeout(next);
        assert_eq!(actions(&mut session), [Action::Send(Control::Ping)]);
    }

    #[test]
    fn pings_go_on_while_a_pong_is_awaited_and_one_pong_answers_all() {
        let (mut session, config, due) = pinged();
        let (interval, timeout) = (config.ping_interval, config.ping_timeout);
        let mut now = due;
        for _ in 0..3 {
            session.handle(Input::Receiving, now + timeout);
            now += interval;
            session.handle_timeout(now);
            assert_eq!(actions(&mut session), [Action::Send(Control::Ping)]);
        }
        pong(&mut session, now);
        pong(&mut session, now);
        session.handle_timeout(now);
        assert_eq!(
            actions(&mut session),
            [Action::Send(Control::Ping)],
            "it was late"
        );
        session.handle(Input::PingSent, now);
        pong(&mut session, now);
        assert_eq!(session.poll_timeout(), Some(now + interval));
    }

    #[test]
    fn the_deadline_is_that_of_the_oldest_ping() {
        let (start, mut config) = (START, SessionConfig::default());
        (config.ping_interval, config.ping_timeout) = (10 * SECOND, 25 * SECOND);
        let mut session = Session::open(Transport::WebSocket, Revision::Four, &config);
        for at in [10, 20, 30] {
            session.handle_timeout(start + at * SECOND);
            session.handle(Input::PingSent, start + at * SECOND);
        }
        assert_eq!(actions(&mut session).len(), 3);
        assert_eq!(session.poll_timeout(), Some(start + 35 * SECOND));
        session.handle_timeout(start + 35 * SECOND);
        assert_eq!(
            actions(&mut session),
            [Action::Closed(DisconnectReason::PingTimeout)]
        );
    }

    #[test]
    fn the_deadline_counts_from_when_the_ping_was_due_unless_that_is_long_ago() {
        for (late, counts_from) in [(LATE, Duration::ZERO), (LATE + SECOND, LATE + SECOND)] {
            let start = START;
            let (mut session, config) = polling();
            let due = start + config.ping_interval;
            session.handle_timeout(due + late);
            let deadline = due + counts_from + config.ping_timeout;
            assert_eq!(session.poll_timeout(), Some(deadline));
        }
    }

    #[test]
    fn a_pong_counts_only_if_a_ping_has_been_sent() {
        let start = START;
        let (mut session, config) = polling();
        let due = start + config.ping_interval;
        session.handle_timeout(due);
        pong(&mut session, due);
        assert_eq!(session.poll_timeout(), Some(due + config.ping_timeout));
        session.handle(Input::PingSent, due);
        pong(&mut session, due);
        assert_eq!(session.poll_timeout(), Some(due + config.ping_interval));
    }

    #[test]
    fn a_client_that_is_not_read_is_alive_as_long_as_it_takes_the_pings() {
        let (mut session, config, mut now) = pinged();
        let end = now + 8 * config.ping_interval;
        while now < end {
            now = session.poll_timeout().unwrap();
            session.handle(Input::Paused, now);
            session.handle_timeout(now);
            session.handle(Input::PingSent, now);
        }
        assert!(session.is_open());
        assert_eq!(actions(&mut session).len(), 8);
        pong(&mut session, now);
        now += config.ping_interval;
        session.handle_timeout(now);
        assert!(session.owes_ping());
        now += config.ping_timeout;
        session.handle(Input::Paused, now);
        let slow = Action::Closed(DisconnectReason::SlowClient);
        assert_eq!(actions(&mut session).last(), Some(&slow));
    }

    #[test]
    fn a_client_that_is_not_read_and_takes_no_second_ping_is_closed() {
        let (mut session, config, due) = pinged();
        let second = due + config.ping_interval;
        for now in [second, second + config.ping_timeout] {
            assert!(session.is_open());
            session.handle(Input::Paused, now);
            session.handle_timeout(now);
        }
        let slow = Action::Closed(DisconnectReason::SlowClient);
        assert_eq!(actions(&mut session).last(), Some(&slow));
    }

    #[test]
    fn a_ping_that_has_not_been_sent_is_followed_by_no_other() {
        let start = START;
        let (mut session, config) = polling();
        let due = start + config.ping_interval;
        session.handle_timeout(due);
        session.handle(Input::Receiving, due + config.ping_timeout);
        session.handle_timeout(due + config.ping_interval);
        assert_eq!(actions(&mut session), [Action::Send(Control::Ping)]);
    }

    #[test]
    fn a_ping_that_the_transport_cannot_take_has_no_deadline() {
        let start = START;
        let (mut session, config) = polling();
        let due = start + config.ping_interval;
        session.handle_timeout(due);
        let later = due + config.ping_timeout;
        session.handle(Input::PingStuck, later);
        session.handle_timeout(later);
        assert!(session.is_open());
        session.handle(Input::PingSent, later);
        session.handle(Input::PingStuck, later + config.ping_timeout);
        session.handle_timeout(later + config.ping_timeout);
        assert!(session.is_closed());
    }

    #[test]
    fn traffic_extends_the_wait_for_a_pong_once() {
        let (mut session, config, due) = pinged();
        let late = due + config.ping_timeout / 2;
        session.handle(Input::Packet(text("4x")), late);
        let extended = late + config.ping_timeout;
        session.handle(Input::Packet(text("4x")), late + config.ping_timeout / 2);
        session.handle_timeout(due + config.ping_interval);
        assert_eq!(session.poll_timeout(), Some(extended));
    }

    #[test]
    fn in_revision_3_the_client_pings_and_nothing_else_shows_life() {
        let start = START;
        let (mut session, config) = listening();
        let patience = config.ping_interval + config.ping_timeout;
        let later = start + config.ping_interval;
        session.handle(Input::Packet(text("2")), later);
        assert_eq!(actions(&mut session), [Action::Send(Control::Pong)]);
        session.handle(Input::Packet(text("4x")), later + config.ping_interval);
        session.handle_timeout(later + patience - SECOND);
        assert_eq!(actions(&mut session), []);
        session.handle_timeout(later + patience);
        assert_eq!(
            actions(&mut session),
            [Action::Closed(DisconnectReason::PingTimeout)]
        );
    }

    #[test]
    fn in_revision_3_a_pong_from_the_client_is_a_transport_error() {
        let start = START;
        let (mut session, _) = listening();
        session.handle(Input::Packet(text("3")), start);
        assert_eq!(
            actions(&mut session),
            [Action::Closed(DisconnectReason::TransportError)]
        );
    }

    #[test]
    fn in_revision_3_an_upgrade_keeps_the_deadline() {
        let start = START;
        let (mut session, config) = listening();
        session.handle(Input::ProbeOpened, start);
        session.handle(Input::ProbePacket(text("2probe")), start);
        session.handle(Input::ProbePacket(text("5")), start);
        actions(&mut session);
        session.handle_timeout(start + config.ping_interval + config.ping_timeout);
        assert_eq!(
            actions(&mut session),
            [Action::Closed(DisconnectReason::PingTimeout)]
        );
    }

    #[test]
    fn in_revision_3_a_ping_that_cannot_be_read_is_answered_all_the_same() {
        for unread in [|| Input::Paused, || Input::Receiving] {
            let (start, mut now) = (START, START);
            let (mut session, config) = listening();
            session.handle(unread(), now);
            assert_eq!(actions(&mut session), []);
            for _ in 0..5 {
                now = session.poll_timeout().unwrap();
                session.handle(unread(), now);
                session.handle_timeout(now);
                assert_eq!(actions(&mut session), [Action::Send(Control::Pong)]);
            }
            assert!(now > start + 4 * config.ping_interval);
            while session.is_open() {
                session.handle_timeout(session.poll_timeout().unwrap());
            }
            let timeout = Action::Closed(DisconnectReason::PingTimeout);
            assert_eq!(actions(&mut session), [timeout]);
        }
    }

    #[test]
    fn a_ping_from_the_client_is_a_transport_error() {
        let start = START;
        let (mut session, _) = polling();
        session.handle(Input::Packet(text("2probe")), start);
        assert_eq!(
            actions(&mut session),
            [Action::Closed(DisconnectReason::TransportError)]
        );
    }

    #[test]
    fn an_upgrade_releases_the_poll_and_keeps_the_pong_deadline() {
        let start = START;
        let (mut session, config) = polling();
        let pinged = start + config.ping_interval;
        session.handle_timeout(pinged);
        session.handle(Input::ProbeOpened, pinged);
        session.handle(Input::ProbePacket(text("2probe")), pinged);
        session.handle(Input::ProbePacket(text("5")), pinged);
        assert_eq!(
            actions(&mut session),
            [
                Action::Send(Control::Ping),
                Action::AnswerProbe,
                Action::ReleasePoll,
                Action::Upgrade
            ]
        );
        assert_eq!(session.transport(), Transport::WebSocket);
        session.handle_timeout(pinged + config.ping_timeout);
        assert_eq!(
            actions(&mut session),
            [Action::Closed(DisconnectReason::PingTimeout)]
        );
    }

    #[test]
    fn a_late_wrong_or_lost_probe_leaves_polling_alone() {
        let start = START;
        let (mut session, config) = polling();
        session.handle(Input::ProbeOpened, start);
        session.handle(Input::ProbePacket(text("4hello")), start);
        assert_eq!(actions(&mut session), [Action::CloseProbe]);
        session.handle(Input::ProbeOpened, start);
        session.handle(Input::ProbeLost, start);
        assert_eq!(actions(&mut session), []);
        session.handle(Input::ProbeOpened, start);
        session.handle_timeout(start + config.upgrade_timeout);
        assert_eq!(actions(&mut session), [Action::CloseProbe]);
        assert!(session.is_open());
        assert_eq!(session.transport(), Transport::Polling);
    }

    #[test]
    fn polls_opened_after_the_probe_are_released_at_once_a_few_times_and_then_later() {
        let start = START;
        let (mut session, config) = polling();
        session.handle(Input::ProbeOpened, start);
        session.handle(Input::PollOpened, start);
        assert_eq!(actions(&mut session), [], "there is no `2probe` yet");
        session.handle(Input::ProbePacket(text("2probe")), start);
        let answers = [Action::AnswerProbe, Action::ReleasePoll];
        assert_eq!(actions(&mut session), answers);
        for _ in 0..RELEASES {
            session.handle(Input::PollOpened, start);
            assert_eq!(actions(&mut session), [Action::ReleasePoll]);
            assert_eq!(
                session.poll_timeout(),
                Some(start + config.upgrade_timeout),
                "nothing is left to do"
            );
        }
        // Another probe does not reset the number of releases.
        session.handle(Input::ProbePacket(text("2probe")), start);
        assert_eq!(actions(&mut session), answers);
        for delayed in 0..2 {
            let opened = start + delayed * NOOP_DELAY;
            session.handle(Input::PollOpened, opened);
            assert_eq!(actions(&mut session), []);
            assert_eq!(session.poll_timeout(), Some(opened + NOOP_DELAY));
            session.handle_timeout(opened + NOOP_DELAY);
            assert_eq!(actions(&mut session), [Action::ReleasePoll]);
        }
        session.handle(Input::ProbePacket(text("5")), start + SECOND);
        assert_eq!(actions(&mut session), [Action::Upgrade]);
    }

    #[test]
    fn a_new_upgrade_releases_polls_at_once_again() {
        let start = START;
        let (mut session, _) = polling();
        for _ in 0..2 {
            session.handle(Input::ProbeOpened, start);
            session.handle(Input::ProbePacket(text("2probe")), start);
            actions(&mut session);
            session.handle(Input::PollOpened, start);
            assert_eq!(actions(&mut session), [Action::ReleasePoll]);
            session.handle(Input::ProbeLost, start);
        }
    }

    #[test]
    fn a_poll_is_released_during_an_upgrade_also_while_the_session_is_closing() {
        let start = START;
        let (mut session, _) = polling();
        session.handle(Input::ProbeOpened, start);
        session.handle(Input::ProbePacket(text("2probe")), start);
        session.handle(Input::Close(DisconnectReason::ForcedClose), start);
        actions(&mut session);
        session.handle(Input::PollOpened, start);
        assert_eq!(actions(&mut session), [Action::ReleasePoll]);
    }

    #[test]
    fn closing_waits_for_the_flush_but_not_for_ever() {
        let start = START;
        let (mut session, config) = polling();
        session.handle(Input::Close(DisconnectReason::ForcedClose), start);
        session.handle(Input::Packet(text("4ignored")), start);
        assert_eq!(actions(&mut session), []);
        session.handle(Input::Flushed, start);
        assert_eq!(
            actions(&mut session),
            [Action::Closed(DisconnectReason::ForcedClose)]
        );

        let (mut session, _) = polling();
        session.handle(Input::Close(DisconnectReason::ForcedClose), start);
        session.handle_timeout(start + config.close_timeout);
        assert_eq!(
            actions(&mut session),
            [Action::Closed(DisconnectReason::ForcedClose)]
        );
    }

    #[test]
    fn an_upgrade_under_way_goes_on_while_the_session_is_closing() {
        let start = START;
        let (mut session, config) = polling();
        session.handle(Input::ProbeOpened, start);
        session.handle(Input::ProbePacket(text("2probe")), start);
        actions(&mut session);
        session.handle(Input::Close(DisconnectReason::ForcedClose), start);
        session.handle(Input::ProbePacket(text("5")), start);
        assert_eq!(actions(&mut session), [Action::Upgrade]);
        session.handle(Input::Flushed, start);
        assert_eq!(
            actions(&mut session),
            [Action::Closed(DisconnectReason::ForcedClose)]
        );

        let (mut session, _) = polling();
        session.handle(Input::ProbeOpened, start);
        session.handle(Input::Close(DisconnectReason::ForcedClose), start);
        session.handle_timeout(start + config.upgrade_timeout);
        assert_eq!(actions(&mut session), [Action::CloseProbe]);
    }
}
