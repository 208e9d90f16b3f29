//! The heartbeat of one session: it schedules pings and detects a silent client.
//!
//! ```text
//!   revision 4    a ping is due: it is sent, also while a pong is awaited
//!                 no pong before the deadline of the oldest unanswered ping: ping timeout
//!   revision 3    the client pings, and is answered
//!                 no ping before the deadline: ping timeout
//! ```
//!
//! Times are counted from the start of the session.

use std::time::Duration;

use super::SessionConfig;
use crate::engine_io::Revision;

/// The lateness above which the deadline of a ping counts from the time at which it was sent instead of the time at
/// which it was due: the server was busy.
pub(super) const LATE: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Heartbeat {
    interval: Duration,
    timeout: Duration,
    side: Side,
}

/// The side that pings.
#[derive(Debug)]
enum Side {
    /// Revision 4.
    Server {
        ping_at: Duration,
        /// The oldest ping that has not been answered.
        oldest: Option<Unanswered>,
    },
    /// Revision 3.
    Client {
        /// The time by which the client has sent a ping that is unread if the server does not read.
        pong_at: Duration,
        close_at: Duration,
    },
}

#[derive(Clone, Copy, Debug)]
struct Unanswered {
    /// The deadline of the pong. A later pong is late.
    answer_by: Duration,
    /// The time at which the session times out: `answer_by`, or later if the client has sent something else.
    close_at: Duration,
    extended: bool,
    /// True once the ping has been handed to the network. An earlier pong cannot be the answer to it.
    sent: bool,
    /// The deadline for handing the newest ping to the network, if it has not been handed over.
    take_by: Option<Duration>,
}

/// The action that the session has to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    Nothing,
    SendPing,
    SendPong,
    /// The client has not sent a pong or a ping in time.
    TimedOut,
    /// The client accepts no ping while the server does not read from it.
    NotTaken,
}

/// The ability of the driver to detect a client that accepts no data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StuckWrites {
    /// The driver closes such a connection itself.
    Detected,
    Unnoticed,
}

impl Side {
    /// The client that pings. Its deadline for the next ping is the interval plus the time it would have for a pong.
    fn client(interval: Duration, timeout: Duration, now: Duration) -> Self {
        let ping_at = now + interval;
        Self::Client {
            pong_at: ping_at + timeout / 2,
            close_at: ping_at + timeout,
        }
    }
}

impl Heartbeat {
    pub(super) fn new(revision: Revision, config: &SessionConfig) -> Self {
        let (interval, timeout) = (config.ping_interval, config.ping_timeout);
        let side = match revision {
            Revision::Three { .. } => Side::client(interval, timeout, Duration::ZERO),
            Revision::Four => Side::Server {
                ping_at: interval,
                oldest: None,
            },
        };
        Self {
            interval,
            timeout,
            side,
        }
    }

    #[inline]
    pub(super) fn poll_timeout(&self) -> Duration {
        match &self.side {
            Side::Server { ping_at, oldest } => {
                oldest.map_or(*ping_at, |oldest| oldest.close_at.min(*ping_at))
            }
            Side::Client { pong_at, close_at } => *pong_at.min(close_at),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Duration) -> Beat {
        match &mut self.side {
            Side::Server { ping_at, oldest } => {
                if oldest.is_some_and(|oldest| now >= oldest.close_at) {
                    return Beat::TimedOut;
                }
                if now < *ping_at {
                    return Beat::Nothing;
                }
                let sent_at = if now > *ping_at + LATE { now } else { *ping_at };
                *ping_at = sent_at + self.interval;
                // No second ping is sent before the previous one has been handed to the network.
                let is_sent = oldest.is_none_or(|oldest| oldest.sent);
                let answer_by = sent_at + self.timeout;
                let oldest = oldest.get_or_insert(Unanswered {
                    answer_by,
                    close_at: answer_by,
                    extended: false,
                    sent: false,
                    take_by: None,
                });
                oldest.take_by.get_or_insert(answer_by);
                if is_sent {
                    Beat::SendPing
                } else {
                    Beat::Nothing
                }
            }
            Side::Client { close_at, .. } if now >= *close_at => Beat::TimedOut,
            Side::Client { pong_at, .. } => {
                if now >= *pong_at {
                    // The client is being read, so its ping is late.
                    *pong_at = now + self.timeout / 4;
                }
                Beat::Nothing
            }
        }
    }

    /// Returns true if a ping is due that has not been handed to the network.
    #[inline]
    pub(super) const fn owes_ping(&self) -> bool {
        matches!(
            self.side,
            Side::Server {
                oldest: Some(Unanswered { sent: false, .. }),
                ..
            }
        )
    }

    /// Returns true if a ping has not been answered.
    #[inline]
    pub(super) const fn awaits_pong(&self) -> bool {
        matches!(
            self.side,
            Side::Server {
                oldest: Some(_),
                ..
            }
        )
    }

    /// Returns true if the client pings.
    pub(super) const fn listens(&self) -> bool {
        matches!(self.side, Side::Client { .. })
    }

    const fn oldest(&mut self) -> Option<&mut Unanswered> {
        match &mut self.side {
            Side::Server { oldest, .. } => oldest.as_mut(),
            Side::Client { .. } => None,
        }
    }

    /// Records that the last ping has been handed to the network.
    pub(super) const fn sent(&mut self) {
        if let Some(oldest) = self.oldest() {
            oldest.sent = true;
            oldest.take_by = None;
        }
    }

    /// Records a ping of the client.
    pub(super) fn pinged(&mut self, now: Duration) -> Beat {
        self.side = Side::client(self.interval, self.timeout, now);
        Beat::SendPong
    }

    /// Records a pong, which answers all pings sent before it.
    pub(super) fn pong(&mut self, now: Duration) {
        let Side::Server { ping_at, oldest } = &mut self.side else {
            return;
        };
        // A pong that no ping can have caused is ignored: the client may not be reading at all.
        if let Some(answered) = oldest.take_if(|oldest| oldest.sent)
            && now > answered.answer_by
        {
            // The client's own deadline counts from the last ping, which was sent long ago.
            *ping_at = now;
        }
    }

    /// Extends the deadline by one `ping_timeout` for the first packet that arrives while a pong is awaited: the client
    /// is alive.
    pub(super) fn extend(&mut self, now: Duration) {
        let close_at = now + self.timeout;
        if let Some(oldest) = self.oldest()
            && !oldest.extended
        {
            oldest.extended = true;
            oldest.close_at = close_at;
        }
    }

    /// Handles a deadline while the server does not read and so cannot receive a pong. The client counts as alive as
    /// long as it accepts the pings.
    pub(super) fn paused(&mut self, now: Duration, stuck_writes: StuckWrites) -> Beat {
        let close_at = now + self.timeout;
        let Side::Server { oldest, .. } = &mut self.side else {
            return self.answer_unread(now);
        };
        let Some(oldest) = oldest else {
            return Beat::Nothing;
        };
        let is_taken = if oldest.sent {
            oldest.take_by.is_none_or(|by| now < by)
        } else {
            now < oldest.close_at
        };
        if !is_taken && stuck_writes == StuckWrites::Unnoticed {
            return Beat::NotTaken;
        }
        if oldest.sent {
            oldest.close_at = close_at;
        }
        Beat::Nothing
    }

    /// Extends the deadline while a message is arriving, which a pong cannot overtake, or before the ping has been
    /// sent.
    pub(super) fn wait_longer(&mut self, now: Duration) -> Beat {
        let close_at = now + self.timeout;
        if let Some(oldest) = self.oldest() {
            oldest.close_at = close_at;
        }
        self.answer_unread(now)
    }

    /// Answers the ping that a client of revision 3 must have sent by now and that cannot be read. The client would
    /// disconnect without an answer.
    fn answer_unread(&mut self, now: Duration) -> Beat {
        match self.side {
            Side::Client { pong_at, .. } if now >= pong_at => self.pinged(now),
            Side::Client { .. } | Side::Server { .. } => Beat::Nothing,
        }
    }
}
