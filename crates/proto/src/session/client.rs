//! The state machine of an Engine.IO session on the side of the client, for revision 4.
//!
//! ```text
//!            0{...}          close                    flushed, or close_timeout
//!   Opening ───────▶ Open ──────────▶ Closing ──────────────────────────────────▶ Closed
//!      │ late         │ no packet within pingInterval + pingTimeout, `1`, lost      ▲
//!      └──────────────┴─────────────────────────────────────────────────────────────┘
//!
//!   the upgrade from polling to WebSocket:
//!
//!            opened: 2probe           3probe           no request is pending: 5
//!   Opening ───────────────▶ Probing ────────▶ Pausing ────────────────────────▶ upgraded
//!       │ lost, late, wrong packet
//!       ▼
//!   probe closed, polling goes on
//! ```
//!
//! A session does not interpret messages or move bytes: the driver passes it inputs and runs its actions.

use std::collections::VecDeque;
use std::time::Duration;

use super::Control;
use crate::DisconnectReason;
use crate::engine_io::{Message, OpenPacket, Packet, Transport};

/// The options of a client's session.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// True if a session that begins with polling upgrades to WebSocket, if the server offers it. Default: true.
    pub upgrade: bool,
    /// The time within which the open packet must arrive. Default: 20 s.
    pub open_timeout: Duration,
    /// The time that an upgrade may take. Default: 10 s.
    pub upgrade_timeout: Duration,
    /// The maximum time for a closing session to flush its queue. Default: 30 s.
    pub close_timeout: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            upgrade: true,
            open_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(30),
        }
    }
}

/// An input of a client's session.
#[derive(Debug)]
pub enum ClientInput {
    /// A packet arrived on the current transport.
    Packet(Packet),
    /// The WebSocket of an upgrade is open.
    ProbeOpened,
    /// A packet arrived on the probing WebSocket.
    ProbePacket(Packet),
    /// The probing WebSocket was lost, or could not be opened.
    ProbeLost,
    /// Polling is paused: neither a poll nor a POST is pending.
    Paused,
    /// The transport ended.
    Lost(DisconnectReason),
    /// The client wants to close the session once the queue has been written.
    Close(DisconnectReason),
    /// The session [is closing](ClientSession::is_closing) and the queue is empty.
    Flushed,
}

/// The actions that the driver of a client runs, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientAction {
    /// The session is open. With polling, the driver polls from now on.
    Opened(OpenPacket),
    /// Send a packet on the current transport, after the queue.
    Send(Control),
    /// Open a WebSocket for the upgrade.
    OpenProbe,
    /// Write `2probe` to the probing WebSocket.
    SendProbe,
    /// Open no further poll, and begin no POST. [`ClientInput::Paused`] follows when none is pending.
    PausePolling,
    /// Poll again: the upgrade has failed.
    ResumePolling,
    /// Write `5` to the probing WebSocket, and make it the transport.
    Upgrade,
    /// Close the probing WebSocket.
    CloseProbe,
    /// The session has ended: close the transports and notify the layer above.
    Closed(DisconnectReason),
}

#[derive(Debug)]
enum State {
    Opening {
        open_by: Duration,
    },
    Open {
        /// The time within which the server pings.
        silence: Duration,
        /// The time at which the server counts as dead.
        silent_at: Duration,
    },
    Closing {
        reason: DisconnectReason,
        close_at: Duration,
    },
    Closed,
}

/// The progress of an upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The WebSocket is being opened.
    Opening,
    /// The server has been sent `2probe`.
    Probing,
    /// The server has answered, and the polling requests that are pending have to end.
    Pausing,
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    step: Step,
    close_at: Duration,
}

/// The state of one Engine.IO session, on the side of the client.
#[derive(Debug)]
pub struct ClientSession {
    transport: Transport,
    config: ClientConfig,
    state: State,
    probe: Option<Probe>,
    actions: VecDeque<ClientAction>,
}

impl ClientSession {
    /// Begins a session, whose handshake is sent now. All times that its methods take and return are counted from now.
    #[must_use]
    pub const fn new(transport: Transport, config: ClientConfig) -> Self {
        Self {
            transport,
            state: State::Opening {
                open_by: config.open_timeout,
            },
            config,
            probe: None,
            actions: VecDeque::new(),
        }
    }

    /// Handles an input. Returns the message that it contains, for the layer above.
    pub fn handle(&mut self, input: ClientInput, now: Duration) -> Option<Message> {
        match (&self.state, input) {
            (State::Closed, _) => {}
            (_, ClientInput::Lost(reason)) => self.close(reason),
            (_, ClientInput::Packet(Packet::Close)) => {
                self.close(DisconnectReason::TransportClose);
            }
            (State::Opening { .. }, ClientInput::Packet(packet)) => self.opened(&packet, now),
            (State::Opening { .. }, ClientInput::Close(reason)) => self.close(reason),
            (State::Open { .. }, ClientInput::Packet(packet)) => return self.packet(packet, now),
            (State::Open { .. }, ClientInput::Close(reason)) => {
                // An upgrade continues: the queue cannot be written while polling is paused.
                self.state = State::Closing {
                    reason,
                    close_at: now.saturating_add(self.config.close_timeout),
                };
            }
            // While polling is paused, the server cannot be told.
            (State::Closing { reason, .. }, ClientInput::Flushed) if !self.is_pausing() => {
                let reason = *reason;
                self.actions.push_back(ClientAction::Send(Control::Close));
                self.close(reason);
            }
            (_, ClientInput::ProbeOpened) => self.probe_opened(),
            (_, ClientInput::ProbePacket(packet)) => self.probe_packet(&packet),
            (_, ClientInput::ProbeLost) => self.end_probe(),
            (_, ClientInput::Paused) => self.paused(),
            // Other packets of the server are ignored while the session is closing, as in the JavaScript client.
            (State::Closing { .. }, _) | (_, ClientInput::Flushed) => {}
        }
        None
    }

    /// Handles the passing of time; see [`poll_timeout`](Self::poll_timeout).
    pub fn handle_timeout(&mut self, now: Duration) {
        match self.state {
            State::Opening { open_by } if now >= open_by => {
                self.close(DisconnectReason::TransportError);
            }
            State::Open { silent_at, .. } if now >= silent_at => {
                self.close(DisconnectReason::PingTimeout);
            }
            State::Closing { reason, close_at } if now >= close_at => self.close(reason),
            State::Opening { .. } | State::Open { .. } | State::Closing { .. } | State::Closed => {}
        }
        if self.probe.is_some_and(|probe| now >= probe.close_at) {
            self.close_probe();
        }
    }

    /// Takes the next action, until there is none.
    pub fn poll_action(&mut self) -> Option<ClientAction> {
        self.actions.pop_front()
    }

    /// Returns the time at which [`handle_timeout`](Self::handle_timeout) is due next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let next = match self.state {
            State::Closed => return None,
            State::Opening { open_by } => open_by,
            State::Open { silent_at, .. } => silent_at,
            State::Closing { close_at, .. } => close_at,
        };
        Some(self.probe.map_or(next, |probe| next.min(probe.close_at)))
    }

    /// Returns the current transport.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        self.transport
    }

    /// Returns true if the session is neither opening, nor closing, nor closed.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Returns true if the session ends when its queue has been flushed.
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing { .. })
    }

    /// Returns true if the session has ended.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    fn is_pausing(&self) -> bool {
        self.probe.is_some_and(|probe| probe.step == Step::Pausing)
    }

    /// Opens the session. The first packet has to be the open packet.
    fn opened(&mut self, packet: &Packet, now: Duration) {
        let opened = match packet {
            Packet::Open(data) => OpenPacket::decode(data).ok(),
            _ => None,
        };
        let Some(opened) = opened else {
            return self.close(DisconnectReason::ParseError);
        };
        let silence = opened.ping_interval.saturating_add(opened.ping_timeout);
        self.state = State::Open {
            silence,
            silent_at: now.saturating_add(silence),
        };
        self.actions.push_back(ClientAction::Opened(opened));
        let may_upgrade = self.config.upgrade && self.transport == Transport::Polling;
        if may_upgrade && opened.upgrade == Some(Transport::WebSocket) {
            self.probe = Some(Probe {
                step: Step::Opening,
                close_at: now.saturating_add(self.config.upgrade_timeout),
            });
            self.actions.push_back(ClientAction::OpenProbe);
        }
    }

    fn packet(&mut self, packet: Packet, now: Duration) -> Option<Message> {
        // A packet of any kind shows that the server is alive. Its pings may wait behind large messages.
        if let State::Open { silence, silent_at } = &mut self.state {
            *silent_at = now.saturating_add(*silence);
        }
        match packet {
            Packet::Message(message) => return Some(message),
            Packet::Ping(_) => self.actions.push_back(ClientAction::Send(Control::Pong)),
            // The server pings, and so never answers a ping.
            Packet::Pong(_) => self.close(DisconnectReason::TransportError),
            Packet::Open(_) | Packet::Close | Packet::Upgrade | Packet::Noop => {}
        }
        None
    }

    fn probe_opened(&mut self) {
        if let Some(probe) = &mut self.probe
            && probe.step == Step::Opening
        {
            probe.step = Step::Probing;
            self.actions.push_back(ClientAction::SendProbe);
        }
    }

    fn probe_packet(&mut self, packet: &Packet) {
        match (&mut self.probe, packet) {
            (Some(probe), Packet::Pong(data))
                if probe.step == Step::Probing && &**data == "probe" =>
            {
                probe.step = Step::Pausing;
                self.actions.push_back(ClientAction::PausePolling);
            }
            (Some(_), _) => self.close_probe(),
            (None, _) => {}
        }
    }

    fn paused(&mut self) {
        if self.is_pausing() {
            self.probe = None;
            self.transport = Transport::WebSocket;
            self.actions.push_back(ClientAction::Upgrade);
        }
    }

    fn close_probe(&mut self) {
        if self.probe.is_some() {
            self.actions.push_back(ClientAction::CloseProbe);
            self.end_probe();
        }
    }

    /// Ends the upgrade, whose WebSocket is closed.
    fn end_probe(&mut self) {
        if self.is_pausing() && !self.is_closed() {
            self.actions.push_back(ClientAction::ResumePolling);
        }
        self.probe = None;
    }

    /// Ends the session. The reason remains that of the close, whatever ends the session now.
    fn close(&mut self, reason: DisconnectReason) {
        let reason = match self.state {
            State::Closing { reason, .. } => reason,
            State::Opening { .. } | State::Open { .. } | State::Closed => reason,
        };
        self.state = State::Closed;
        self.close_probe();
        self.actions.push_back(ClientAction::Closed(reason));
    }
}
