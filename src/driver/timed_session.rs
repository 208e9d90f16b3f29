//! The session of a connection, with the times of the runtime's clock.

use std::ops::Deref;
use std::time::Instant;

use proto::engine_io::{Message, Packet, Revision, Transport};
use proto::session::{Session, SessionAction, SessionConfig, SessionInput};

/// A session that counts time from its start.
pub(super) struct TimedSession {
    session: Session,
    opened: Instant,
    /// The time of the session's next timeout, which is asked for much more often than it changes.
    timeout: Option<Instant>,
}

impl TimedSession {
    pub(super) fn open(
        transport: Transport,
        revision: Revision,
        config: &SessionConfig,
        now: Instant,
    ) -> Self {
        let session = Session::open(transport, revision, config);
        let mut timed = Self {
            session,
            opened: now,
            timeout: None,
        };
        timed.update_timeout();
        timed
    }

    /// Handles an input. Returns the message that it contains, for the layer above.
    pub(super) fn handle(&mut self, input: SessionInput, now: Instant) -> Option<Message> {
        match input {
            // The time of most messages does not matter, and it costs more than the rest.
            SessionInput::Packet(Packet::Message(message)) if self.session.passes_messages() => {
                Some(message)
            }
            input => {
                let message = self.session.handle(input, now - self.opened);
                self.update_timeout();
                message
            }
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now - self.opened);
        self.update_timeout();
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.timeout
    }

    fn update_timeout(&mut self) {
        let timeout = self.session.poll_timeout();
        self.timeout = timeout.map(|timeout| self.opened + timeout);
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
