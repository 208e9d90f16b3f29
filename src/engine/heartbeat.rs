//! The heartbeat of one session: when the next ping is due, and whether the client is still there.
//!
//! ```text
//!   revision 4    a ping is due: it is sent, also while a pong is awaited
//!                 no pong before the deadline of the oldest unanswered ping: ping timeout
//!   revision 3    the client pings, and is answered
//!                 no ping before the deadline: ping timeout
//! ```

use std::time::{Duration, Instant};

use super::Config;
use crate::protocol::engine_io::Revision;

/// A ping that is sent later than this after it was due has its deadline counted from when it is sent: the server was busy.
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
        ping_at: Instant,
        /// The oldest ping that has not been answered.
        oldest: Option<Unanswered>,
    },
    /// Revision 3.
    Client {
        /// By then the client has long sent a ping, which lies unread if the server does not read.
        pong_at: Instant,
        close_at: Instant,
    },
}

#[derive(Clone, Copy, Debug)]
struct Unanswered {
    /// A pong after this is late.
    answer_by: Instant,
    /// `answer_by`, or later if the client has shown life in another way.
    close_at: Instant,
    extended: bool,
    /// It has been handed to the network; before that, no pong can be its answer.
    sent: bool,
    /// The newest ping should be handed to the network before this, if it has not been.
    take_by: Option<Instant>,
}

/// The session acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    Nothing,
    SendPing,
    SendPong,
    /// The client has not answered or pinged in time.
    TimedOut,
    /// The client takes no ping, though it is not read either.
    NotTaken,
}

impl Side {
    /// The client has the interval for its next ping, and as long as it would have for a pong.
    fn client(interval: Duration, timeout: Duration, now: Instant) -> Self {
        let ping_at = now + interval;
        Self::Client {
            pong_at: ping_at + timeout / 2,
            close_at: ping_at + timeout,
        }
    }
}

impl Heartbeat {
    pub(super) fn new(revision: Revision, config: &Config, now: Instant) -> Self {
        let (interval, timeout) = (config.ping_interval, config.ping_timeout);
        let side = match revision {
            Revision::Three { .. } => Side::client(interval, timeout, now),
            Revision::Four => Side::Server {
                ping_at: now + interval,
                oldest: None,
            },
        };
        Self {
            interval,
            timeout,
            side,
        }
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        match &self.side {
            Side::Server { ping_at, oldest } => {
                oldest.map_or(*ping_at, |oldest| oldest.close_at.min(*ping_at))
            }
            Side::Client { pong_at, close_at } => *pong_at.min(close_at),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Beat {
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
                // A client that has not been sent the last ping gets no second one.
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
                    // Its client is read, and late.
                    *pong_at = now + self.timeout / 4;
                }
                Beat::Nothing
            }
        }
    }

    /// Returns true while a ping is due that has not been handed to the network.
    pub(super) const fn owes_ping(&self) -> bool {
        matches!(
            self.side,
            Side::Server {
                oldest: Some(Unanswered { sent: false, .. }),
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

    /// The last ping has been handed to the network.
    pub(super) const fn sent(&mut self) {
        if let Some(oldest) = self.oldest() {
            oldest.sent = true;
            oldest.take_by = None;
        }
    }

    /// The client has pinged.
    pub(super) fn pinged(&mut self, now: Instant) -> Beat {
        self.side = Side::client(self.interval, self.timeout, now);
        Beat::SendPong
    }

    /// Answers all pings that were sent before it.
    pub(super) fn pong(&mut self, now: Instant) {
        let Side::Server { ping_at, oldest } = &mut self.side else {
            return;
        };
        // One that no ping can have caused says nothing: the client may not be reading at all.
        if let Some(answered) = oldest.take_if(|oldest| oldest.sent)
            && now > answered.answer_by
        {
            // The client's own deadline counts from the last ping, which is long ago.
            *ping_at = now;
        }
    }

    /// The first packet that arrives while a pong is awaited shows life: it buys one more `ping_timeout`.
    pub(super) fn extend(&mut self, now: Instant) {
        let close_at = now + self.timeout;
        if let Some(oldest) = self.oldest()
            && !oldest.extended
        {
            oldest.extended = true;
            oldest.close_at = close_at;
        }
    }

    /// A pong cannot be read now. The client is alive as long as it takes the pings; `sees_writes` says that the driver watches
    /// that itself.
    pub(super) fn paused(&mut self, now: Instant, sees_writes: bool) -> Beat {
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
        if !is_taken && !sees_writes {
            return Beat::NotTaken;
        }
        if oldest.sent {
            oldest.close_at = close_at;
        }
        Beat::Nothing
    }

    /// A pong cannot overtake the message that is arriving, or come before its ping.
    pub(super) fn wait_longer(&mut self, now: Instant) -> Beat {
        let close_at = now + self.timeout;
        if let Some(oldest) = self.oldest() {
            oldest.close_at = close_at;
        }
        self.answer_unread(now)
    }

    /// Revision 3: answers the ping that the client must have sent by now, which cannot be read. Without an answer the
    /// client would close.
    fn answer_unread(&mut self, now: Instant) -> Beat {
        match self.side {
            Side::Client { pong_at, .. } if now >= pong_at => self.pinged(now),
            Side::Client { .. } | Side::Server { .. } => Beat::Nothing,
        }
    }
}
