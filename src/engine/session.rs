//! The state machine of one Engine.IO session.
//!
//! ```text
//!                 ping due            pong                      5 on the probe
//!   Idle ───────────────────▶ Awaiting ─────▶ Idle      Probing ───────────────▶ upgraded
//!                                │ deadline                │ lost, late, wrong packet
//!                                ▼                         ▼
//!                        Closed(ping timeout)      probe closed, polling goes on
//!
//!                 ping: a pong is sent
//!   Listening ─────────────────────────▶ Listening             (revision 3: it is the client that pings)
//!       │ deadline
//!       ▼
//!   Closed(ping timeout)
//!
//!   Open ──close()──▶ Closing ──flushed, or close_timeout──▶ Closed
//! ```
//!
//! It does not know what a message means, nor how bytes move: the driver feeds it what happened and runs its actions.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Config, DisconnectReason, Transport};
use crate::protocol::engine_io::{Message, Packet, Revision};

/// While a probe is out, a poll that finds nothing to carry is answered with a `noop` after this long.
const NOOP_DELAY: Duration = Duration::from_millis(100);

/// Something happened.
#[derive(Debug)]
pub(crate) enum Input {
    /// A packet on the transport in use.
    Packet(Packet),
    /// A poll was opened while none was pending.
    PollOpened,
    /// The WebSocket of an upgrade is open.
    ProbeOpened,
    /// A packet on the WebSocket that wants to take over.
    ProbePacket(Packet),
    /// The WebSocket that wanted to take over is gone.
    ProbeLost,
    /// A pong may lie where it cannot be heard: nothing is being read, by the server's own choice, or more has come of a
    /// message that it cannot overtake.
    Unheard,
    /// The transport ended.
    Lost(DisconnectReason),
    /// The server wants to close, as soon as all that is queued has been written.
    Close(DisconnectReason),
    /// All that was queued has been written.
    Flushed,
}

/// A packet of the protocol's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    Close,
    Ping,
    Pong,
    Noop,
}

/// What to do, in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send on the transport in use, behind all that is queued.
    Send(Control),
    /// Answer the probe with `3probe`.
    AnswerProbe,
    /// Answer the pending poll, if any, with a `noop`.
    ReleasePoll,
    /// The probing WebSocket is now the transport. A pending poll ends with a `noop`: what is queued goes the new way, or it
    /// could be overtaken.
    Upgrade,
    /// Close the probing WebSocket.
    CloseProbe,
    /// The session is over: close the transports, tell the layer above.
    Closed(DisconnectReason),
}

#[derive(Debug)]
enum Heartbeat {
    Idle {
        ping_at: Instant,
    },
    /// A ping is out.
    Awaiting {
        close_at: Instant,
        extended: bool,
    },
    /// Revision 3: the client is to send a ping.
    Listening {
        close_at: Instant,
    },
}

#[derive(Debug)]
enum Probe {
    None,
    /// The WebSocket is open; after `2probe` polls are released so that the client can stop polling.
    Open {
        close_at: Instant,
        probed: bool,
        noop_at: Option<Instant>,
    },
}

#[derive(Debug)]
enum State {
    Open,
    Closing {
        reason: DisconnectReason,
        close_at: Instant,
    },
    Closed,
}

#[derive(Debug)]
pub(crate) struct Session {
    transport: Transport,
    state: State,
    heartbeat: Heartbeat,
    probe: Probe,
    timing: Timing,
    actions: VecDeque<Action>,
}

#[derive(Clone, Copy, Debug)]
struct Timing {
    ping_interval: Duration,
    ping_timeout: Duration,
    upgrade_timeout: Duration,
    close_timeout: Duration,
}

impl Timing {
    /// The next ping is due after the interval.
    fn idle(&self, now: Instant) -> Heartbeat {
        let ping_at = now + self.ping_interval;
        Heartbeat::Idle { ping_at }
    }

    /// The client has the interval for its next ping, and as long as it would have for a pong.
    fn listen(&self, now: Instant) -> Heartbeat {
        let close_at = now + self.ping_interval + self.ping_timeout;
        Heartbeat::Listening { close_at }
    }
}

impl Session {
    pub(crate) fn open(
        transport: Transport,
        revision: Revision,
        config: &Config,
        now: Instant,
    ) -> Self {
        let timing = Timing {
            ping_interval: config.ping_interval,
            ping_timeout: config.ping_timeout,
            upgrade_timeout: config.upgrade_timeout,
            close_timeout: config.close_timeout,
        };
        Self {
            transport,
            state: State::Open,
            heartbeat: match revision {
                Revision::Three { .. } => timing.listen(now),
                Revision::Four => timing.idle(now),
            },
            probe: Probe::None,
            timing,
            actions: VecDeque::new(),
        }
    }

    /// Takes an input. Returns the message that it carries, which is for the layer above.
    pub(crate) fn handle(&mut self, input: Input, now: Instant) -> Option<Message> {
        match (&self.state, input) {
            (State::Open, Input::Packet(packet)) => return self.packet(packet, now),
            (State::Closed, _) => {}
            (State::Open, Input::Lost(reason)) => self.close(reason),
            (State::Open, Input::Close(reason)) => {
                // An upgrade goes on: its client may have stopped polling, and what is left then goes by the WebSocket.
                self.state = State::Closing {
                    reason,
                    close_at: now + self.timing.close_timeout,
                };
            }
            // Whatever ends it now, the reason is the one for which it was closing.
            (
                State::Closing { reason, .. },
                Input::Flushed | Input::Lost(_) | Input::Packet(Packet::Close),
            ) => {
                let reason = *reason;
                self.close(reason);
            }
            (_, Input::ProbePacket(packet)) => self.probe_packet(packet),
            (_, Input::ProbeLost) => self.probe = Probe::None,
            (_, Input::PollOpened) => {
                if let Probe::Open {
                    probed: true,
                    noop_at,
                    ..
                } = &mut self.probe
                {
                    *noop_at = Some(now + NOOP_DELAY);
                }
            }
            // What else a client sends to a session that is closing is ignored, as in Node.
            (State::Closing { .. }, _) | (State::Open, Input::Flushed) => {}
            (State::Open, Input::ProbeOpened) => {
                let close_at = now + self.timing.upgrade_timeout;
                self.probe = Probe::Open {
                    close_at,
                    probed: false,
                    noop_at: None,
                };
            }
            (State::Open, Input::Unheard) => {
                let later = now + self.timing.ping_timeout;
                match &mut self.heartbeat {
                    Heartbeat::Awaiting { close_at, .. } => *close_at = later,
                    Heartbeat::Listening { close_at } => *close_at = later.max(*close_at),
                    Heartbeat::Idle { .. } => {}
                }
            }
        }
        None
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
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
        match self.heartbeat {
            Heartbeat::Idle { ping_at } if now >= ping_at => {
                self.actions.push_back(Action::Send(Control::Ping));
                self.heartbeat = Heartbeat::Awaiting {
                    close_at: now + self.timing.ping_timeout,
                    extended: false,
                };
            }
            Heartbeat::Awaiting { close_at, .. } | Heartbeat::Listening { close_at }
                if now >= close_at =>
            {
                self.close(DisconnectReason::PingTimeout)
            }
            _ => {}
        }
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let mut next = match (&self.state, &self.heartbeat) {
            (State::Closed, _) => return None,
            (State::Closing { close_at, .. }, _) => *close_at,
            (State::Open, Heartbeat::Idle { ping_at }) => *ping_at,
            (
                State::Open,
                Heartbeat::Awaiting { close_at, .. } | Heartbeat::Listening { close_at },
            ) => *close_at,
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

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    pub(crate) fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing { .. })
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    fn packet(&mut self, packet: Packet, now: Instant) -> Option<Message> {
        match packet {
            Packet::Message(message) => {
                self.extend(now);
                return Some(message);
            }
            Packet::Pong(_) if !self.listens() => self.heartbeat = self.timing.idle(now),
            Packet::Ping(_) if self.listens() => {
                self.heartbeat = self.timing.listen(now);
                self.actions.push_back(Action::Send(Control::Pong));
            }
            Packet::Close => self.close(DisconnectReason::TransportClose),
            // Only one side pings, the server in revision 4, the client in revision 3.
            Packet::Ping(_) | Packet::Pong(_) => self.close(DisconnectReason::TransportError),
            Packet::Open(_) | Packet::Upgrade | Packet::Noop => self.extend(now),
        }
        None
    }

    const fn listens(&self) -> bool {
        matches!(self.heartbeat, Heartbeat::Listening { .. })
    }

    /// The first packet that comes while a pong is awaited shows life: it buys one more `ping_timeout`.
    fn extend(&mut self, now: Instant) {
        if let Heartbeat::Awaiting { close_at, extended } = &mut self.heartbeat
            && !*extended
        {
            *extended = true;
            *close_at = now + self.timing.ping_timeout;
        }
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
                // The heartbeat goes on as it was: a pong that is owed is still owed.
                self.probe = Probe::None;
                self.transport = Transport::WebSocket;
                self.actions.push_back(Action::Upgrade);
            }
            _ => self.close_probe(),
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
    use super::*;

    fn t0() -> Instant {
        #[expect(
            clippy::disallowed_methods,
            reason = "any instant will do; nothing sleeps"
        )]
        Instant::now()
    }

    fn polling(now: Instant) -> (Session, Config) {
        let config = Config::default();
        let session = Session::open(Transport::Polling, Revision::Four, &config, now);
        (session, config)
    }

    /// Of a client that pings.
    fn listening(now: Instant) -> (Session, Config) {
        let (config, revision) = (Config::default(), Revision::Three { base64: false });
        let session = Session::open(Transport::Polling, revision, &config, now);
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
        let start = t0();
        let (mut session, config) = polling(start);
        session.handle_timeout(start);
        assert_eq!(actions(&mut session), []);
        assert_eq!(session.poll_timeout(), Some(start + config.ping_interval));
    }

    #[test]
    fn a_silent_client_is_closed_after_one_ping() {
        let start = t0();
        let (mut session, config) = polling(start);
        session.handle_timeout(start + config.ping_interval);
        assert_eq!(actions(&mut session), [Action::Send(Control::Ping)]);
        session.handle_timeout(start + config.ping_interval + config.ping_timeout);
        assert_eq!(
            actions(&mut session),
            [Action::Closed(DisconnectReason::PingTimeout)]
        );
        assert_eq!(session.poll_timeout(), None);
    }

    #[test]
    fn a_pong_restarts_the_interval() {
        let start = t0();
        let (mut session, config) = polling(start);
        let later = start + config.ping_interval;
        session.handle_timeout(later);
        session.handle(Input::Packet(text("3")), later);
        actions(&mut session);
        assert_eq!(session.poll_timeout(), Some(later + config.ping_interval));
    }

    #[test]
    fn traffic_extends_the_wait_for_a_pong_once() {
        let start = t0();
        let (mut session, config) = polling(start);
        let pinged = start + config.ping_interval;
        session.handle_timeout(pinged);
        let late = pinged + config.ping_timeout / 2;
        session.handle(Input::Packet(text("4x")), late);
        session.handle(Input::Packet(text("4x")), late + config.ping_timeout / 2);
        assert_eq!(session.poll_timeout(), Some(late + config.ping_timeout));
    }

    #[test]
    fn in_revision_3_the_client_pings_and_nothing_else_shows_life() {
        let start = t0();
        let (mut session, config) = listening(start);
        let patience = config.ping_interval + config.ping_timeout;
        assert_eq!(session.poll_timeout(), Some(start + patience));
        let later = start + config.ping_interval;
        session.handle(Input::Packet(text("2")), later);
        assert_eq!(actions(&mut session), [Action::Send(Control::Pong)]);
        session.handle(Input::Packet(text("4x")), later + config.ping_interval);
        session.handle_timeout(later + config.ping_interval);
        assert_eq!(session.poll_timeout(), Some(later + patience));
        session.handle_timeout(later + patience);
        assert_eq!(
            actions(&mut session),
            [Action::Closed(DisconnectReason::PingTimeout)]
        );
    }

    #[test]
    fn in_revision_3_a_pong_from_the_client_is_a_transport_error() {
        let start = t0();
        let (mut session, _) = listening(start);
        session.handle(Input::Packet(text("3")), start);
        assert_eq!(
            actions(&mut session),
            [Action::Closed(DisconnectReason::TransportError)]
        );
    }

    #[test]
    fn in_revision_3_an_upgrade_keeps_the_deadline() {
        let start = t0();
        let (mut session, config) = listening(start);
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
    fn in_revision_3_what_cannot_be_heard_buys_time_and_takes_none() {
        let start = t0();
        let (mut session, config) = listening(start);
        let patience = config.ping_interval + config.ping_timeout;
        session.handle(Input::Unheard, start);
        assert_eq!(session.poll_timeout(), Some(start + patience));
        session.handle(Input::Unheard, start + patience);
        let later = start + patience + config.ping_timeout;
        assert_eq!(session.poll_timeout(), Some(later));
    }

    #[test]
    fn a_ping_from_the_client_is_a_transport_error() {
        let start = t0();
        let (mut session, _) = polling(start);
        session.handle(Input::Packet(text("2probe")), start);
        assert_eq!(
            actions(&mut session),
            [Action::Closed(DisconnectReason::TransportError)]
        );
    }

    #[test]
    fn an_upgrade_releases_the_poll_and_keeps_the_pong_deadline() {
        let start = t0();
        let (mut session, config) = polling(start);
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
        let start = t0();
        let (mut session, config) = polling(start);
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
    fn polls_opened_after_the_probe_are_released_a_little_later() {
        let start = t0();
        let (mut session, _) = polling(start);
        session.handle(Input::ProbeOpened, start);
        session.handle(Input::ProbePacket(text("2probe")), start);
        actions(&mut session);
        session.handle(Input::PollOpened, start);
        assert_eq!(session.poll_timeout(), Some(start + NOOP_DELAY));
        session.handle_timeout(start + NOOP_DELAY);
        assert_eq!(actions(&mut session), [Action::ReleasePoll]);
    }

    #[test]
    fn closing_waits_for_the_flush_but_not_for_ever() {
        let start = t0();
        let (mut session, config) = polling(start);
        session.handle(Input::Close(DisconnectReason::ForcedClose), start);
        session.handle(Input::Packet(text("4ignored")), start);
        assert_eq!(actions(&mut session), []);
        session.handle(Input::Flushed, start);
        assert_eq!(
            actions(&mut session),
            [Action::Closed(DisconnectReason::ForcedClose)]
        );

        let (mut session, _) = polling(start);
        session.handle(Input::Close(DisconnectReason::ForcedClose), start);
        session.handle_timeout(start + config.close_timeout);
        assert_eq!(
            actions(&mut session),
            [Action::Closed(DisconnectReason::ForcedClose)]
        );
    }

    #[test]
    fn an_upgrade_under_way_goes_on_while_the_session_is_closing() {
        let start = t0();
        let (mut session, config) = polling(start);
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

        let (mut session, _) = polling(start);
        session.handle(Input::ProbeOpened, start);
        session.handle(Input::Close(DisconnectReason::ForcedClose), start);
        session.handle_timeout(start + config.upgrade_timeout);
        assert_eq!(actions(&mut session), [Action::CloseProbe]);
    }
}
