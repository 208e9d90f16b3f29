use std::time::Duration;

use crate::DisconnectReason;
use crate::engine_io::{Packet, Revision, Transport};
use crate::session::heartbeat::LATE;
use crate::session::server::{NOOP_DELAY, RELEASES};
use crate::session::{Control, Session, SessionAction, SessionConfig, SessionInput};

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

fn actions(session: &mut Session) -> Vec<SessionAction> {
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
    assert_eq!(actions(&mut session), [SessionAction::Send(Control::Ping)]);
    session.handle_timeout(start + config.ping_interval + config.ping_timeout);
    assert_eq!(
        actions(&mut session),
        [SessionAction::Closed(DisconnectReason::PingTimeout)]
    );
    assert_eq!(session.poll_timeout(), None);
}

/// Opens a session that has sent its first ping when it was due. Returns that time as well.
fn pinged() -> (Session, SessionConfig, Duration) {
    let (mut session, config) = polling();
    let due = START + config.ping_interval;
    session.handle_timeout(due);
    session.handle(SessionInput::PingSent, due);
    assert_eq!(actions(&mut session), [SessionAction::Send(Control::Ping)]);
    (session, config, due)
}

fn pong(session: &mut Session, now: Duration) {
    session.handle(SessionInput::Packet(text("3")), now);
}

#[test]
fn a_ping_is_sent_every_interval() {
    let (mut session, config, due) = pinged();
    pong(&mut session, due + config.ping_timeout / 2);
    let next = due + config.ping_interval;
    assert_eq!(session.poll_timeout(), Some(next));
    session.handle_timeout(next);
    assert_eq!(actions(&mut session), [SessionAction::Send(Control::Ping)]);
}

#[test]
fn pings_go_on_while_a_pong_is_awaited_and_one_pong_answers_all() {
    let (mut session, config, due) = pinged();
    let (interval, timeout) = (config.ping_interval, config.ping_timeout);
    let mut now = due;
    for _ in 0..3 {
        session.handle(SessionInput::Receiving, now + timeout);
        now += interval;
        session.handle_timeout(now);
        assert_eq!(actions(&mut session), [SessionAction::Send(Control::Ping)]);
    }
    pong(&mut session, now);
    pong(&mut session, now);
    session.handle_timeout(now);
    assert_eq!(
        actions(&mut session),
        [SessionAction::Send(Control::Ping)],
        "it was late"
    );
    session.handle(SessionInput::PingSent, now);
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
        session.handle(SessionInput::PingSent, start + at * SECOND);
    }
    assert_eq!(actions(&mut session).len(), 3);
    assert_eq!(session.poll_timeout(), Some(start + 35 * SECOND));
    session.handle_timeout(start + 35 * SECOND);
    assert_eq!(
        actions(&mut session),
        [SessionAction::Closed(DisconnectReason::PingTimeout)]
    );
}

#[test]
fn the_deadline_of_a_pong_counts_from_the_time_of_a_timely_ping() {
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
    session.handle(SessionInput::PingSent, due);
    pong(&mut session, due);
    assert_eq!(session.poll_timeout(), Some(due + config.ping_interval));
}

#[test]
fn a_client_that_is_not_read_is_alive_as_long_as_it_takes_the_pings() {
    let (mut session, config, mut now) = pinged();
    let end = now + 8 * config.ping_interval;
    while now < end {
        now = session.poll_timeout().unwrap();
        session.handle(SessionInput::Paused, now);
        session.handle_timeout(now);
        session.handle(SessionInput::PingSent, now);
    }
    assert!(session.is_open());
    assert_eq!(actions(&mut session).len(), 8);
    pong(&mut session, now);
    now += config.ping_interval;
    session.handle_timeout(now);
    assert!(session.owes_ping());
    now += config.ping_timeout;
    session.handle(SessionInput::Paused, now);
    let slow = SessionAction::Closed(DisconnectReason::SlowClient);
    assert_eq!(actions(&mut session).last(), Some(&slow));
}

#[test]
fn a_client_that_is_not_read_and_takes_no_second_ping_is_closed() {
    let (mut session, config, due) = pinged();
    let second = due + config.ping_interval;
    for now in [second, second + config.ping_timeout] {
        assert!(session.is_open());
        session.handle(SessionInput::Paused, now);
        session.handle_timeout(now);
    }
    let slow = SessionAction::Closed(DisconnectReason::SlowClient);
    assert_eq!(actions(&mut session).last(), Some(&slow));
}

#[test]
fn a_ping_that_has_not_been_sent_is_followed_by_no_other() {
    let start = START;
    let (mut session, config) = polling();
    let due = start + config.ping_interval;
    session.handle_timeout(due);
    session.handle(SessionInput::Receiving, due + config.ping_timeout);
    session.handle_timeout(due + config.ping_interval);
    assert_eq!(actions(&mut session), [SessionAction::Send(Control::Ping)]);
}

#[test]
fn a_ping_that_the_transport_cannot_take_has_no_deadline() {
    let start = START;
    let (mut session, config) = polling();
    let due = start + config.ping_interval;
    session.handle_timeout(due);
    let later = due + config.ping_timeout;
    session.handle(SessionInput::PingStuck, later);
    session.handle_timeout(later);
    assert!(session.is_open());
    session.handle(SessionInput::PingSent, later);
    session.handle(SessionInput::PingStuck, later + config.ping_timeout);
    session.handle_timeout(later + config.ping_timeout);
    assert!(session.is_closed());
}

#[test]
fn messages_are_only_passed_on_unless_a_pong_is_awaited() {
    for (mut session, _) in [polling(), listening()] {
        assert!(session.passes_messages());
        let before = session.poll_timeout();
        let message = session.handle(SessionInput::Packet(text("4x")), SECOND);
        assert!(message.is_some());
        assert_eq!(session.poll_timeout(), before);
    }
    let (mut session, _, due) = pinged();
    assert!(!session.passes_messages());
    pong(&mut session, due + SECOND);
    assert!(session.passes_messages());
    let closing = SessionInput::Close(DisconnectReason::ServerShuttingDown);
    session.handle(closing, due + SECOND);
    assert!(!session.passes_messages());
}

#[test]
fn traffic_extends_the_wait_for_a_pong_once() {
    let (mut session, config, due) = pinged();
    let late = due + config.ping_timeout / 2;
    session.handle(SessionInput::Packet(text("4x")), late);
    let extended = late + config.ping_timeout;
    session.handle(
        SessionInput::Packet(text("4x")),
        late + config.ping_timeout / 2,
    );
    session.handle_timeout(due + config.ping_interval);
    assert_eq!(session.poll_timeout(), Some(extended));
}

#[test]
fn in_revision_3_the_client_pings_and_nothing_else_shows_life() {
    let start = START;
    let (mut session, config) = listening();
    let patience = config.ping_interval + config.ping_timeout;
    let later = start + config.ping_interval;
    session.handle(SessionInput::Packet(text("2")), later);
    assert_eq!(actions(&mut session), [SessionAction::Send(Control::Pong)]);
    session.handle(
        SessionInput::Packet(text("4x")),
        later + config.ping_interval,
    );
    session.handle_timeout(later + patience - SECOND);
    assert_eq!(actions(&mut session), []);
    session.handle_timeout(later + patience);
    assert_eq!(
        actions(&mut session),
        [SessionAction::Closed(DisconnectReason::PingTimeout)]
    );
}

#[test]
fn in_revision_3_a_pong_from_the_client_is_a_transport_error() {
    let start = START;
    let (mut session, _) = listening();
    session.handle(SessionInput::Packet(text("3")), start);
    assert_eq!(
        actions(&mut session),
        [SessionAction::Closed(DisconnectReason::TransportError)]
    );
}

#[test]
fn in_revision_3_an_upgrade_keeps_the_deadline() {
    let start = START;
    let (mut session, config) = listening();
    session.handle(SessionInput::ProbeOpened, start);
    session.handle(SessionInput::ProbePacket(text("2probe")), start);
    session.handle(SessionInput::ProbePacket(text("5")), start);
    actions(&mut session);
    session.handle_timeout(start + config.ping_interval + config.ping_timeout);
    assert_eq!(
        actions(&mut session),
        [SessionAction::Closed(DisconnectReason::PingTimeout)]
    );
}

#[test]
fn in_revision_3_a_ping_that_cannot_be_read_is_answered_all_the_same() {
    for unread in [|| SessionInput::Paused, || SessionInput::Receiving] {
        let (start, mut now) = (START, START);
        let (mut session, config) = listening();
        session.handle(unread(), now);
        assert_eq!(actions(&mut session), []);
        for _ in 0..5 {
            now = session.poll_timeout().unwrap();
            session.handle(unread(), now);
            session.handle_timeout(now);
            assert_eq!(actions(&mut session), [SessionAction::Send(Control::Pong)]);
        }
        assert!(now > start + 4 * config.ping_interval);
        while session.is_open() {
            session.handle_timeout(session.poll_timeout().unwrap());
        }
        let timeout = SessionAction::Closed(DisconnectReason::PingTimeout);
        assert_eq!(actions(&mut session), [timeout]);
    }
}

#[test]
fn a_ping_from_the_client_is_a_transport_error() {
    let start = START;
    let (mut session, _) = polling();
    session.handle(SessionInput::Packet(text("2probe")), start);
    assert_eq!(
        actions(&mut session),
        [SessionAction::Closed(DisconnectReason::TransportError)]
    );
}

#[test]
fn an_upgrade_releases_the_poll_and_keeps_the_pong_deadline() {
    let start = START;
    let (mut session, config) = polling();
    let pinged = start + config.ping_interval;
    session.handle_timeout(pinged);
    session.handle(SessionInput::ProbeOpened, pinged);
    session.handle(SessionInput::ProbePacket(text("2probe")), pinged);
    session.handle(SessionInput::ProbePacket(text("5")), pinged);
    assert_eq!(
        actions(&mut session),
        [
            SessionAction::Send(Control::Ping),
            SessionAction::AnswerProbe,
            SessionAction::ReleasePoll,
            SessionAction::Upgrade
        ]
    );
    assert_eq!(session.transport(), Transport::WebSocket);
    session.handle_timeout(pinged + config.ping_timeout);
    assert_eq!(
        actions(&mut session),
        [SessionAction::Closed(DisconnectReason::PingTimeout)]
    );
}

#[test]
fn a_late_wrong_or_lost_probe_leaves_polling_alone() {
    let start = START;
    let (mut session, config) = polling();
    session.handle(SessionInput::ProbeOpened, start);
    session.handle(SessionInput::ProbePacket(text("4hello")), start);
    assert_eq!(actions(&mut session), [SessionAction::CloseProbe]);
    session.handle(SessionInput::ProbeOpened, start);
    session.handle(SessionInput::ProbeLost, start);
    assert_eq!(actions(&mut session), []);
    session.handle(SessionInput::ProbeOpened, start);
    session.handle_timeout(start + config.upgrade_timeout);
    assert_eq!(actions(&mut session), [SessionAction::CloseProbe]);
    assert!(session.is_open());
    assert_eq!(session.transport(), Transport::Polling);
}

#[test]
fn few_polls_after_the_probe_are_released_at_once_the_rest_later() {
    let start = START;
    let (mut session, config) = polling();
    session.handle(SessionInput::ProbeOpened, start);
    session.handle(SessionInput::PollOpened, start);
    assert_eq!(actions(&mut session), [], "there is no `2probe` yet");
    session.handle(SessionInput::ProbePacket(text("2probe")), start);
    let answers = [SessionAction::AnswerProbe, SessionAction::ReleasePoll];
    assert_eq!(actions(&mut session), answers);
    for _ in 0..RELEASES {
        session.handle(SessionInput::PollOpened, start);
        assert_eq!(actions(&mut session), [SessionAction::ReleasePoll]);
        assert_eq!(
            session.poll_timeout(),
            Some(start + config.upgrade_timeout),
            "nothing is left to do"
        );
    }
    // Another probe does not reset the number of releases.
    session.handle(SessionInput::ProbePacket(text("2probe")), start);
    assert_eq!(actions(&mut session), answers);
    for delayed in 0..2 {
        let opened = start + delayed * NOOP_DELAY;
        session.handle(SessionInput::PollOpened, opened);
        assert_eq!(actions(&mut session), []);
        assert_eq!(session.poll_timeout(), Some(opened + NOOP_DELAY));
        session.handle_timeout(opened + NOOP_DELAY);
        assert_eq!(actions(&mut session), [SessionAction::ReleasePoll]);
    }
    session.handle(SessionInput::ProbePacket(text("5")), start + SECOND);
    assert_eq!(actions(&mut session), [SessionAction::Upgrade]);
}

#[test]
fn a_new_upgrade_releases_polls_at_once_again() {
    let start = START;
    let (mut session, _) = polling();
    for _ in 0..2 {
        session.handle(SessionInput::ProbeOpened, start);
        session.handle(SessionInput::ProbePacket(text("2probe")), start);
        actions(&mut session);
        session.handle(SessionInput::PollOpened, start);
        assert_eq!(actions(&mut session), [SessionAction::ReleasePoll]);
        session.handle(SessionInput::ProbeLost, start);
    }
}

#[test]
fn a_poll_is_released_during_an_upgrade_of_a_closing_session() {
    let start = START;
    let (mut session, _) = polling();
    session.handle(SessionInput::ProbeOpened, start);
    session.handle(SessionInput::ProbePacket(text("2probe")), start);
    session.handle(SessionInput::Close(DisconnectReason::ForcedClose), start);
    actions(&mut session);
    session.handle(SessionInput::PollOpened, start);
    assert_eq!(actions(&mut session), [SessionAction::ReleasePoll]);
}

#[test]
fn closing_waits_for_the_flush_but_not_for_ever() {
    let start = START;
    let (mut session, config) = polling();
    session.handle(SessionInput::Close(DisconnectReason::ForcedClose), start);
    session.handle(SessionInput::Packet(text("4ignored")), start);
    assert_eq!(actions(&mut session), []);
    session.handle(SessionInput::Flushed, start);
    assert_eq!(
        actions(&mut session),
        [SessionAction::Closed(DisconnectReason::ForcedClose)]
    );

    let (mut session, _) = polling();
    session.handle(SessionInput::Close(DisconnectReason::ForcedClose), start);
    session.handle_timeout(start + config.close_timeout);
    assert_eq!(
        actions(&mut session),
        [SessionAction::Closed(DisconnectReason::ForcedClose)]
    );
}

#[test]
fn an_upgrade_under_way_goes_on_while_the_session_is_closing() {
    let start = START;
    let (mut session, config) = polling();
    session.handle(SessionInput::ProbeOpened, start);
    session.handle(SessionInput::ProbePacket(text("2probe")), start);
    actions(&mut session);
    session.handle(SessionInput::Close(DisconnectReason::ForcedClose), start);
    session.handle(SessionInput::ProbePacket(text("5")), start);
    assert_eq!(actions(&mut session), [SessionAction::Upgrade]);
    session.handle(SessionInput::Flushed, start);
    assert_eq!(
        actions(&mut session),
        [SessionAction::Closed(DisconnectReason::ForcedClose)]
    );

    let (mut session, _) = polling();
    session.handle(SessionInput::ProbeOpened, start);
    session.handle(SessionInput::Close(DisconnectReason::ForcedClose), start);
    session.handle_timeout(start + config.upgrade_timeout);
    assert_eq!(actions(&mut session), [SessionAction::CloseProbe]);
}
