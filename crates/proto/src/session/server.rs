//! The state machine of an Engine.IO session on the side of the server.
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

use std::collections::VecDeque;
use std::time::Duration;

use super::SessionConfig;
use super::heartbeat::{Beat, Heartbeat, StuckWrites};
use crate::DisconnectReason;
use crate::engine_io::{Message, Packet, Revision, Transport};

/// The number of polls that open after the probe and are answered with a `noop` immediately. A client needs one such
/// response if it polls again before it reads `3probe`.
pub(super) const RELEASES: u8 = 3;

/// The delay after which further polls are answered, so that a client whose `3probe` is delayed does not poll in a
/// loop.
pub(super) const NOOP_DELAY: Duration = Duration::from_millis(100);

/// An input of the session.
#[derive(Debug)]
pub enum SessionInput {
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
pub enum SessionAction {
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
    actions: VecDeque<SessionAction>,
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
    pub fn handle(&mut self, input: SessionInput, now: Duration) -> Option<Message> {
        match (&self.state, input) {
            (State::Open, SessionInput::Packet(packet)) => return self.packet(packet, now),
            (State::Closed, _) => {}
            (State::Open, SessionInput::Lost(reason)) => self.close(reason),
            (State::Open, SessionInput::Close(reason)) => {
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
                SessionInput::Flushed | SessionInput::Lost(_) | SessionInput::Packet(Packet::Close),
            ) => {
                let reason = *reason;
                self.close(reason);
            }
            (_, SessionInput::ProbePacket(packet)) => self.probe_packet(packet),
            (_, SessionInput::ProbeLost) => self.probe = Probe::None,
            (_, SessionInput::PollOpened) => self.poll_opened(now),
            // Other packets of the client are ignored while the session is closing, as in Node.
            (State::Closing { .. }, _) | (State::Open, SessionInput::Flushed) => {}
            (State::Open, SessionInput::ProbeOpened) => {
                let close_at = now + self.upgrade_timeout;
                self.probe = Probe::Open {
                    close_at,
                    probed: false,
                    releases: RELEASES,
                    noop_at: None,
                };
            }
            (State::Open, SessionInput::PingSent) => self.heartbeat.sent(),
            (State::Open, SessionInput::PingStuck) if self.owes_ping() => self.wait_longer(now),
            (State::Open, SessionInput::PingStuck) => {}
            (State::Open, SessionInput::Paused) => {
                // The driver detects a WebSocket that accepts no data.
                let stuck_writes = match self.transport {
                    Transport::WebSocket => StuckWrites::Detected,
                    Transport::Polling => StuckWrites::Unnoticed,
                };
                let beat = self.heartbeat.paused(now, stuck_writes);
                self.act(beat);
            }
            (State::Open, SessionInput::Receiving) => self.wait_longer(now),
        }
        None
    }

    /// Returns true if the session only passes messages on at present: it is open, and they extend no deadline.
    #[inline]
    #[must_use]
    pub fn passes_messages(&self) -> bool {
        self.is_open() && !self.heartbeat.awaits_pong()
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
                self.actions.push_back(SessionAction::ReleasePoll);
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
            Beat::SendPing => self.actions.push_back(SessionAction::Send(Control::Ping)),
            Beat::SendPong => self.actions.push_back(SessionAction::Send(Control::Pong)),
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
    pub fn poll_action(&mut self) -> Option<SessionAction> {
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
    pub(super) fn transport(&self) -> Transport {
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
                self.actions.push_back(SessionAction::AnswerProbe);
                self.actions.push_back(SessionAction::ReleasePoll);
            }
            Packet::Upgrade => {
                // The heartbeat is unchanged: a pong that was awaited is still awaited.
                self.probe = Probe::None;
                self.transport = Transport::WebSocket;
                self.actions.push_back(SessionAction::Upgrade);
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
            self.actions.push_back(SessionAction::ReleasePoll);
        } else {
            *noop_at = Some(now + NOOP_DELAY);
        }
    }

    fn close_probe(&mut self) {
        if !matches!(self.probe, Probe::None) {
            self.probe = Probe::None;
            self.actions.push_back(SessionAction::CloseProbe);
        }
    }

    fn close(&mut self, reason: DisconnectReason) {
        self.close_probe();
        self.state = State::Closed;
        self.actions.push_back(SessionAction::Closed(reason));
    }
}
