//! A pause of the reading of a connection, and the time that it may last without any progress.

use std::time::{Duration, Instant};

use crate::rooms::Awaited;

/// The time after which a pause is logged. It also ends the connection if handlers wait for acknowledgements that may
/// be unread.
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// The time after which a pause that the input of other connections causes ends the connection, if it holds nothing but
/// an unfinished packet or if its handlers wait for acknowledgements.
pub(super) const CROWDED: Duration = Duration::from_secs(10);

/// The time after which a pause ends the connection if other code than its handlers awaits acknowledgements. Handlers
/// may be waiting for that code.
const STUCK: Duration = Duration::from_secs(60);

/// A pause of the reading of a connection.
#[derive(Debug)]
pub(super) struct Pause {
    /// The time at which an event last started or ended, or an acknowledgement arrived.
    pub(super) moved: Instant,
    /// The time of the next check.
    pub(super) next: Instant,
}

/// The limit that has been reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// The queue of events that wait.
    Queue,
    /// The account of all connections of the server.
    Server,
}

/// The input that a paused connection holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// Events that wait or whose handlers run.
    Events,
    /// Nothing but an unfinished packet.
    UnfinishedPacket,
}

/// Returns the time after which a pause without any progress ends a connection.
pub(super) fn patience(full: Full, awaited: Awaited, held: Held) -> Option<Duration> {
    match (awaited, full) {
        (Awaited::ByHandlers, Full::Queue) => Some(GRACE),
        (Awaited::ByHandlers, Full::Server) => Some(CROWDED),
        (Awaited::ByOthers, _) => Some(STUCK),
        (Awaited::No, Full::Server) if held == Held::UnfinishedPacket => Some(CROWDED),
        (Awaited::No, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_first_if_handlers_await_acknowledgements() {
        for held in [Held::UnfinishedPacket, Held::Events] {
            let patience = |full| patience(full, Awaited::ByHandlers, held);
            assert_eq!(patience(Full::Queue), Some(Duration::from_secs(1)));
            assert_eq!(patience(Full::Server), Some(Duration::from_secs(10)));
        }
    }

    #[test]
    fn others_that_await_an_acknowledgement_end_a_pause_after_a_minute() {
        for full in [Full::Queue, Full::Server] {
            for held in [Held::UnfinishedPacket, Held::Events] {
                let patience = patience(full, Awaited::ByOthers, held);
                assert_eq!(patience, Some(Duration::from_secs(60)));
            }
        }
    }

    #[test]
    fn a_pause_without_awaited_acknowledgements_ends_only_who_holds_no_event() {
        let patience = |full, held| patience(full, Awaited::No, held);
        let ten = Some(Duration::from_secs(10));
        assert_eq!(patience(Full::Server, Held::UnfinishedPacket), ten);
        assert_eq!(patience(Full::Server, Held::Events), None);
        assert_eq!(patience(Full::Queue, Held::Events), None);
        assert_eq!(patience(Full::Queue, Held::UnfinishedPacket), None);
    }
}
