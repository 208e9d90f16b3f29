//! The session of a connection, with the times of the runtime's clock.

use std::ops::Deref;
use std::time::Instant;

use proto::engine_io::{Message, Packet, Revision, Transport};
use proto::session::{Session, SessionAction, SessionConfig, SessionInput};

/// A session that counts time from its start.
pub(super) struct TimedSession {
    session: Session,
    opened: Instant,
}

impl TimedSession {
    pub(super) fn open(
        transport: Transport,
        revision: Revision,
        config: &SessionConfig,
        now: Instant,
    ) -> Self {
        Self {
            session: Session::open(transport, revision, config),
            opened: now,
        }
    }

    /// Handles an input. Returns the message that it contains, for the layer above.
    pub(super) fn handle(&mut self, input: SessionInput, now: Instant) -> Option<Message> {
        match input {
            // The time of most messages does not matter, and it costs more than the rest.
            SessionInput::Packet(Packet::Message(message)) if self.session.passes_messages() => {
                Some(message)
            }
            input => self.session.handle(input, now - self.opened),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now - self.opened);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        Some(self.opened + self.session.poll_timeout()?)
    }

    pub(super) fn poll_action(&mut self) -> Option<SessionAction> {
        self.session.poll_action()
    }
}

impl Deref for TimedSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}
