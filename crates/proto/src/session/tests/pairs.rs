//! Sessions of a client and a server, joined by queues and a clock that jumps: whole connections without sockets.

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;

use crate::engine_io::{Message, OpenPacket, Packet, Revision, Transport};
use crate::session::{
    ClientAction, ClientConfig, ClientInput, ClientSession, Control, Session, SessionAction,
    SessionConfig, SessionInput,
};
use crate::{DisconnectReason, Sid};

const SECOND: Duration = Duration::from_secs(1);

/// The interval and the timeout of the heartbeat.
const SILENCE: Duration = Duration::from_secs(45);

const BOTH: [Transport; 2] = [Transport::Polling, Transport::WebSocket];

/// The failure of the network or of a peer that a test wants.
#[derive(Clone, Copy, Default, PartialEq)]
enum Fault {
    #[default]
    None,
    /// Nothing more reaches the client.
    DeafClient,
    /// Nothing more reaches the server.
    DeafServer,
    /// No WebSocket can be opened, and the client does not find out.
    NoProbe,
    /// The probing WebSocket is cut when the server has answered on it.
    CutProbe,
    /// The server answers something else on the probing WebSocket.
    WrongProbe,
}

/// One end: its queue, and the messages that it has received.
#[derive(Default)]
struct End {
    queue: VecDeque<Packet>,
    received: Vec<String>,
    closed: Option<DisconnectReason>,
    pings: usize,
}

impl End {
    fn send(&mut self, text: &str) {
        self.queue
            .push_back(Packet::Message(Message::Text(text.into())));
    }

    fn receive(&mut self, message: Option<Message>) {
        if let Some(Message::Text(text)) = message {
            self.received.push(text.to_string());
        }
    }
}

struct Pair {
    now: Duration,
    fault: Fault,
    server: Session,
    client: ClientSession,
    at_server: End,
    at_client: End,
    /// The transport on which the server sends.
    transport: Transport,
    /// True if the client polls whenever no poll is pending.
    polls: bool,
    poll: bool,
    /// True if the probing WebSocket is open.
    probe: bool,
}

fn packet(text: &'static str) -> Packet {
    Packet::decode_text(text.into()).unwrap()
}

impl Pair {
    /// Begins a connection. The open packet is on its way.
    fn new(transport: Transport, upgrade: Option<Transport>, fault: Fault) -> Self {
        let config = SessionConfig::default();
        let open = OpenPacket {
            sid: Sid::from_random([7; 15]),
            upgrade,
            ping_interval: config.ping_interval,
            ping_timeout: config.ping_timeout,
            max_payload: 1_000_000,
        };
        let mut at_server = End::default();
        let open = Packet::decode_text(open.encode().into()).unwrap();
        at_server.queue.push_back(open);
        Self {
            now: Duration::ZERO,
            fault,
            server: Session::open(transport, Revision::Four, &config),
            client: ClientSession::new(transport, ClientConfig::default()),
            at_server,
            at_client: End::default(),
            transport,
            polls: true,
            poll: true,
            probe: false,
        }
    }

    /// Opens a connection without an upgrade.
    fn opened(transport: Transport) -> Self {
        let mut pair = Self::new(transport, None, Fault::None);
        pair.settle();
        assert!(pair.client.is_open());
        pair
    }

    /// Runs until a time, from one deadline to the next.
    fn run_until(&mut self, end: Duration) {
        loop {
            self.settle();
            let deadlines = [self.server.poll_timeout(), self.client.poll_timeout()];
            let next = deadlines.into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break self.now = end;
            };
            assert!(next >= self.now, "a deadline has passed unseen");
            self.now = next;
            self.server.handle_timeout(next);
            self.client.handle_timeout(next);
        }
    }

    /// Runs until neither end has anything to do before its next deadline.
    fn settle(&mut self) {
        for _ in 0..100 {
            if !(self.act() | self.deliver_up() | self.deliver_down() | self.poll()) {
                return;
            }
        }
        panic!("the two do not come to rest");
    }

    /// Runs the actions of both ends. Returns true if there were any.
    fn act(&mut self) -> bool {
        let mut acted = false;
        while let Some(action) = self.server.poll_action() {
            self.run_server(&action);
            acted = true;
        }
        while let Some(action) = self.client.poll_action() {
            self.run_client(&action);
            acted = true;
        }
        if self.server.is_closing() && self.at_server.queue.is_empty() {
            self.server.handle(SessionInput::Flushed, self.now);
            acted = true;
        }
        if self.client.is_closing() && self.at_client.queue.is_empty() && self.polls {
            self.client.handle(ClientInput::Flushed, self.now);
            acted = true;
        }
        acted
    }

    fn run_server(&mut self, action: &SessionAction) {
        match action {
            SessionAction::Send(control) => {
                self.at_server.pings += usize::from(*control == Control::Ping);
                let text = str::from_utf8(control.text()).unwrap();
                self.at_server.queue.push_back(packet(text));
            }
            SessionAction::AnswerProbe => match self.fault {
                Fault::CutProbe => {
                    self.client_gets(ClientInput::ProbePacket(packet("3probe")));
                    self.probe = false;
                    self.server.handle(SessionInput::ProbeLost, self.now);
                    self.client_gets(ClientInput::ProbeLost);
                }
                Fault::WrongProbe => self.client_gets(ClientInput::ProbePacket(packet("3prob"))),
                _ => self.client_gets(ClientInput::ProbePacket(packet("3probe"))),
            },
            SessionAction::ReleasePoll => self.release_poll(),
            SessionAction::Upgrade => {
                self.release_poll();
                self.transport = Transport::WebSocket;
            }
            SessionAction::CloseProbe => {
                if std::mem::take(&mut self.probe) {
                    self.client_gets(ClientInput::ProbeLost);
                }
            }
            SessionAction::Closed(reason) => {
                assert_eq!(self.at_server.closed.replace(*reason), None);
                // A poll is answered, and a WebSocket is closed.
                self.client_gets(ClientInput::Lost(DisconnectReason::TransportClose));
            }
        }
    }

    fn run_client(&mut self, action: &ClientAction) {
        match action {
            ClientAction::Opened(_) => {}
            ClientAction::Send(control) => {
                let text = str::from_utf8(control.text()).unwrap();
                self.at_client.queue.push_back(packet(text));
            }
            ClientAction::OpenProbe if self.fault == Fault::NoProbe => {}
            ClientAction::OpenProbe => {
                self.probe = true;
                self.server.handle(SessionInput::ProbeOpened, self.now);
                self.client.handle(ClientInput::ProbeOpened, self.now);
            }
            ClientAction::SendProbe => {
                self.server_gets(SessionInput::ProbePacket(packet("2probe")))
            }
            ClientAction::PausePolling => self.polls = false,
            ClientAction::ResumePolling => self.polls = true,
            ClientAction::Upgrade => {
                self.polls = true;
                self.server_gets(SessionInput::ProbePacket(packet("5")));
            }
            ClientAction::CloseProbe => {
                if std::mem::take(&mut self.probe) {
                    self.server.handle(SessionInput::ProbeLost, self.now);
                }
            }
            ClientAction::Closed(reason) => {
                assert_eq!(self.at_client.closed.replace(*reason), None);
                self.deliver_up();
                self.server_gets(SessionInput::Lost(DisconnectReason::TransportClose));
            }
        }
    }

    fn server_gets(&mut self, input: SessionInput) {
        if self.fault != Fault::DeafServer {
            let message = self.server.handle(input, self.now);
            self.at_server.receive(message);
        }
    }

    fn client_gets(&mut self, input: ClientInput) {
        if self.fault != Fault::DeafClient {
            let message = self.client.handle(input, self.now);
            self.at_client.receive(message);
        }
    }

    /// Delivers what the client has queued, unless polling is paused.
    fn deliver_up(&mut self) -> bool {
        let paused = !self.polls;
        let queue = if paused {
            VecDeque::new()
        } else {
            std::mem::take(&mut self.at_client.queue)
        };
        let moved = !queue.is_empty();
        for packet in queue {
            self.server_gets(SessionInput::Packet(packet));
        }
        moved
    }

    /// Delivers what the server has queued, if a poll is pending or the transport is a WebSocket.
    fn deliver_down(&mut self) -> bool {
        let can_send = self.transport == Transport::WebSocket || self.poll;
        if !can_send || self.at_server.queue.is_empty() {
            return false;
        }
        self.poll = false;
        for packet in std::mem::take(&mut self.at_server.queue) {
            if matches!(packet, Packet::Ping(_)) {
                self.server.handle(SessionInput::PingSent, self.now);
            }
            self.client_gets(ClientInput::Packet(packet));
        }
        true
    }

    fn release_poll(&mut self) {
        if std::mem::take(&mut self.poll) {
            self.client_gets(ClientInput::Packet(Packet::Noop));
        }
    }

    /// Opens the client's next poll, or pauses polling when none is pending.
    fn poll(&mut self) -> bool {
        if self.poll || self.client.is_closed() || self.client.transport() == Transport::WebSocket {
            return false;
        }
        if self.polls {
            self.poll = true;
            if self.at_server.queue.is_empty() {
                self.server_gets(SessionInput::PollOpened);
            }
            return true;
        }
        self.client.handle(ClientInput::Paused, self.now);
        true
    }

    fn closed(&self) -> (Option<DisconnectReason>, Option<DisconnectReason>) {
        (self.at_client.closed, self.at_server.closed)
    }
}

#[test]
fn two_that_answer_stay_together() {
    for transport in BOTH {
        let mut pair = Pair::opened(transport);
        pair.run_until(3_600 * SECOND);
        assert_eq!(pair.at_server.pings, 144, "one in 25 seconds");
        assert_eq!(pair.closed(), (None, None), "{transport}");
    }
}

#[test]
fn messages_pass_both_ways() {
    for transport in BOTH {
        let mut pair = Pair::opened(transport);
        for number in ["1", "2"] {
            pair.at_client.send(number);
            pair.at_server.send(number);
            pair.run_until(pair.now + SECOND);
        }
        assert_eq!(pair.at_server.received, ["1", "2"]);
        assert_eq!(pair.at_client.received, ["1", "2"]);
    }
}

#[test]
fn an_upgrade_loses_nothing() {
    let mut pair = Pair::new(Transport::Polling, Some(Transport::WebSocket), Fault::None);
    for number in ["1", "2"] {
        pair.at_client.send(number);
        pair.at_server.send(number);
    }
    pair.settle();
    assert_eq!(pair.now, Duration::ZERO, "nothing waits for a deadline");
    assert_eq!(pair.client.transport(), Transport::WebSocket);
    assert_eq!(pair.transport, Transport::WebSocket);
    assert_eq!(pair.at_server.received, ["1", "2"]);
    assert_eq!(pair.at_client.received, ["1", "2"]);
    pair.run_until(1_000 * SECOND);
    assert_eq!((pair.at_server.pings, pair.closed()), (40, (None, None)));
}

#[test]
fn no_upgrade_is_tried_without_an_offer_or_against_the_option() {
    let mut pair = Pair::new(
        Transport::WebSocket,
        Some(Transport::WebSocket),
        Fault::None,
    );
    pair.settle();
    assert!(pair.client.is_open() && !pair.probe);
    let mut pair = Pair::new(Transport::Polling, Some(Transport::WebSocket), Fault::None);
    let upgrade = false;
    let config = ClientConfig {
        upgrade,
        ..ClientConfig::default()
    };
    pair.client = ClientSession::new(Transport::Polling, config);
    pair.settle();
    assert!(pair.client.is_open() && !pair.probe);
    assert_eq!(pair.client.transport(), Transport::Polling);
}

#[test]
fn polling_goes_on_after_an_upgrade_that_fails() {
    for fault in [Fault::NoProbe, Fault::CutProbe, Fault::WrongProbe] {
        let mut pair = Pair::new(Transport::Polling, Some(Transport::WebSocket), fault);
        pair.run_until(11 * SECOND);
        assert_eq!(pair.client.transport(), Transport::Polling);
        assert!(pair.polls && !pair.probe);
        pair.at_client.send("a");
        pair.at_server.send("b");
        pair.run_until(100 * SECOND);
        assert_eq!(pair.at_server.received, ["a"]);
        assert_eq!(pair.at_client.received, ["b"]);
        assert_eq!((pair.at_server.pings, pair.closed()), (4, (None, None)));
    }
}

#[test]
fn a_silent_server_is_left_after_the_interval_and_the_timeout() {
    for transport in BOTH {
        let mut pair = Pair::opened(transport);
        pair.fault = Fault::DeafClient;
        pair.run_until(SILENCE - Duration::from_millis(1));
        assert_eq!(pair.at_client.closed, None);
        pair.run_until(SILENCE);
        assert_eq!(pair.at_client.closed, Some(DisconnectReason::PingTimeout));
    }
}

#[test]
fn a_silent_client_is_left_when_a_ping_has_no_answer() {
    for transport in BOTH {
        let mut pair = Pair::opened(transport);
        pair.fault = Fault::DeafServer;
        pair.run_until(SILENCE - Duration::from_millis(1));
        assert_eq!(pair.closed(), (None, None));
        pair.run_until(SILENCE);
        assert_eq!(pair.at_server.closed, Some(DisconnectReason::PingTimeout));
        assert_eq!(
            pair.at_client.closed,
            Some(DisconnectReason::TransportClose)
        );
    }
}

#[test]
fn a_client_that_closes_sends_its_queue_first() {
    for (transport, upgrade) in [
        (Transport::Polling, None),
        (Transport::WebSocket, None),
        (Transport::Polling, Some(Transport::WebSocket)),
    ] {
        let mut pair = Pair::new(transport, upgrade, Fault::None);
        pair.deliver_down();
        pair.at_client.send("last");
        pair.client.handle(
            ClientInput::Close(DisconnectReason::ClientNamespaceDisconnect),
            pair.now,
        );
        pair.settle();
        assert_eq!(pair.at_server.received, ["last"]);
        let (client, server) = pair.closed();
        assert_eq!(client, Some(DisconnectReason::ClientNamespaceDisconnect));
        assert_eq!(server, Some(DisconnectReason::TransportClose));
        assert_eq!(pair.client.poll_timeout(), None);
    }
}

#[test]
fn a_server_that_closes_sends_its_queue_first() {
    for transport in BOTH {
        let mut pair = Pair::opened(transport);
        pair.at_server.send("last");
        pair.server.handle(
            SessionInput::Close(DisconnectReason::ServerShuttingDown),
            pair.now,
        );
        pair.settle();
        assert_eq!(pair.at_client.received, ["last"]);
        let (client, server) = pair.closed();
        assert_eq!(client, Some(DisconnectReason::TransportClose));
        assert_eq!(server, Some(DisconnectReason::ServerShuttingDown));
    }
}

#[test]
fn a_client_that_cannot_flush_closes_all_the_same() {
    let mut pair = Pair::opened(Transport::WebSocket);
    pair.client
        .handle(ClientInput::Close(DisconnectReason::ForcedClose), pair.now);
    pair.client.handle_timeout(30 * SECOND);
    assert_eq!(
        pair.client.poll_action(),
        Some(ClientAction::Closed(DisconnectReason::ForcedClose))
    );
}

#[test]
fn a_session_opens_in_time_and_with_the_open_packet() {
    let session = || ClientSession::new(Transport::WebSocket, ClientConfig::default());
    let mut late = session();
    assert_eq!(late.poll_timeout(), Some(20 * SECOND));
    late.handle_timeout(20 * SECOND);
    let reason = DisconnectReason::TransportError;
    assert_eq!(late.poll_action(), Some(ClientAction::Closed(reason)));
    for text in ["4hello", "2", "0", "0{}"] {
        let mut wrong = session();
        assert_eq!(
            wrong.handle(ClientInput::Packet(packet(text)), SECOND),
            None
        );
        let reason = DisconnectReason::ParseError;
        assert_eq!(
            wrong.poll_action(),
            Some(ClientAction::Closed(reason)),
            "{text}"
        );
        assert!(wrong.is_closed());
    }
}

#[test]
fn a_server_does_not_answer_pings() {
    let mut pair = Pair::opened(Transport::WebSocket);
    pair.client.handle(ClientInput::Packet(packet("3")), SECOND);
    let reason = DisconnectReason::TransportError;
    assert_eq!(
        pair.client.poll_action(),
        Some(ClientAction::Closed(reason))
    );
}

/// The actions of a client's session, of which some make sense only after others.
#[derive(Default)]
struct Sequence {
    probe: bool,
    paused: bool,
    closed: bool,
}

impl Sequence {
    /// Takes all actions, and panics at one that makes no sense.
    fn check(&mut self, session: &mut ClientSession) {
        while let Some(action) = session.poll_action() {
            assert!(!self.closed, "{action:?} after the end");
            match action {
                ClientAction::Opened(_) | ClientAction::Send(_) => {}
                ClientAction::OpenProbe => assert!(!std::mem::replace(&mut self.probe, true)),
                ClientAction::SendProbe => assert!(self.probe && !self.paused),
                ClientAction::PausePolling => {
                    assert!(self.probe && !std::mem::replace(&mut self.paused, true));
                }
                ClientAction::ResumePolling => assert!(std::mem::take(&mut self.paused)),
                ClientAction::CloseProbe => assert!(std::mem::take(&mut self.probe)),
                ClientAction::Upgrade => {
                    assert!(std::mem::take(&mut self.probe) && std::mem::take(&mut self.paused));
                    assert_eq!(session.transport(), Transport::WebSocket);
                }
                ClientAction::Closed(_) => self.closed = true,
            }
        }
        assert_eq!(session.is_closed(), self.closed);
    }
}

/// The open packet of a server that offers an upgrade.
const OPEN: &str = concat!(
    r#"0{"sid":"AAAAAAAAAAAAAAAAAAAA","upgrades":["websocket"],"#,
    r#""pingInterval":9000,"pingTimeout":9000}"#
);

fn any_input() -> impl Strategy<Value = ClientInput> {
    let text = prop::sample::select(vec![OPEN, "0", "1", "2", "3", "3probe", "4", "5", "6"]);
    let packet = text.prop_map(packet);
    let other = prop::sample::select(vec![0, 1, 2, 3, 4, 5]);
    let other = other.prop_map(|input| match input {
        0 => ClientInput::ProbeOpened,
        1 => ClientInput::ProbeLost,
        2 => ClientInput::Paused,
        3 => ClientInput::Lost(DisconnectReason::TransportError),
        4 => ClientInput::Close(DisconnectReason::ForcedClose),
        _ => ClientInput::Flushed,
    });
    prop_oneof![
        packet.clone().prop_map(ClientInput::Packet),
        packet.prop_map(ClientInput::ProbePacket),
        other,
    ]
}

proptest! {
    #[test]
    fn a_session_asks_for_nothing_impossible(
        inputs in prop::collection::vec((any_input(), 0..12_u32), 0..40),
    ) {
        let mut session = ClientSession::new(Transport::Polling, ClientConfig::default());
        let (mut sequence, mut now) = (Sequence::default(), Duration::ZERO);
        session.handle(ClientInput::Packet(packet(OPEN)), now);
        sequence.check(&mut session);
        for (input, seconds) in inputs {
            now += seconds * SECOND;
            session.handle_timeout(now);
            sequence.check(&mut session);
            sequence.probe &= !matches!(input, ClientInput::ProbeLost);
            session.handle(input, now);
            sequence.check(&mut session);
            prop_assert!(session.poll_timeout().is_none_or(|next| next > now));
        }
    }
}
