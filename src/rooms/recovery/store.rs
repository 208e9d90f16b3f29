//! The part of recovery that an engine supplies, such as Redis or NATS, so that several servers share it.
//!
//! Without a store, a [`History`](super::History) is all there is: one lock, under which an event gets its number and
//! is delivered, and a session is found, claimed and joined in one step. With a store the history of each server stays
//! what it is, and the store decides which server gets a session and which position an event has: a client that resumes
//! waits for the [claim](Store::claim) after middleware have admitted it, and an event is delivered when it has
//! [arrived](Feed::arrived).

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::event::{LoggedEvent, Position};
use crate::rooms::Room;
use proto::Sid;

/// The answer of a store, when it has arrived.
pub(crate) type StoreReply<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// The reason for which a store cannot answer.
pub(crate) type StoreError = Box<dyn Error + Send + Sync>;

/// The store of one namespace's events and sessions, which other servers use too.
///
/// Methods without a [`StoreReply`] are called under the lock of the history: they queue a command and return. The
/// commands of one server take effect in the order of the calls. A store that has lost its connection drops them or
/// keeps them within a limit of its own; no emit and no join waits for it.
pub(crate) trait Store: fmt::Debug + Send + Sync {
    /// Begins to report the events of all servers to `feed`. Called once, before any event.
    fn start(&self, feed: Weak<dyn Feed>);
    /// Takes an event over, whose position it reports to the feed with this token. Tokens count up. Returns false if it
    /// cannot now; then it never reports the token.
    ///
    /// If the target is `local`, the event gets a position, and is reported to no other server.
    fn append(&self, token: u64, event: &LoggedEvent) -> bool;
    /// Returns the form of a position that clients get.
    fn offset(&self, position: Position) -> String;
    /// Parses an offset written by [`offset`](Self::offset).
    fn parse(&self, offset: &str) -> Option<Position>;
    /// Reads a session, and leaves it where it is.
    fn look(&self, pid: Sid) -> StoreReply<Option<SavedSession>>;
    /// Reads the events after a position, the oldest first: a page of them, or none if there are no more. `None` if
    /// some of the events after the position are not stored any more.
    fn replay(&self, after: Position) -> StoreReply<Option<Vec<(Position, LoggedEvent)>>>;
    /// Reads and deletes a session in one step, so that of all who claim it one gets it.
    ///
    /// The caller gives up after a time. The session need not remain if the reply is dropped.
    fn claim(&self, pid: Sid) -> StoreReply<Option<SavedSession>>;
    /// Writes a session, which expires after `keep`.
    fn save(&self, pid: Sid, session: SavedSession, keep: Duration);
    /// Deletes a session that will not resume.
    fn discard(&self, pid: Sid);
}

/// The receiver of what a store reports, which is the namespace on this server.
pub(crate) trait Feed: Send + Sync {
    /// Sets the position after which all events are reported. Called once, before any event arrives.
    #[cfg_attr(
        not(all(test, feature = "testing")),
        expect(
            dead_code,
            reason = "for stores, and the first of them is not here yet"
        )
    )]
    fn begins(&self, after: Position);
    /// Delivers an event at its position. The calls come one after another, in the order of the positions and without
    /// gaps, whichever server has emitted the event, and without a lock that [`Store`] takes. An event that was
    /// delivered meanwhile without its position is reported all the same.
    #[cfg_attr(
        not(all(test, feature = "testing")),
        expect(
            dead_code,
            reason = "for stores, and the first of them is not here yet"
        )
    )]
    fn arrived(&self, position: Position, arrival: Arrival);
    /// Ends the socket that has this session, as another server has claimed it. Its connection counts as lost.
    #[cfg_attr(
        not(all(test, feature = "testing")),
        expect(
            dead_code,
            reason = "for stores, and the first of them is not here yet"
        )
    )]
    fn claimed(&self, pid: Sid);
}

/// An event that has got its position.
#[derive(Debug)]
#[cfg_attr(
    not(all(test, feature = "testing")),
    expect(
        dead_code,
        reason = "for stores, and the first of them is not here yet"
    )
)]
pub(crate) enum Arrival {
    /// An event of this server, by its token.
    Own(u64),
    /// An event of another server.
    Foreign(LoggedEvent),
}

/// The stores of all namespaces.
pub(crate) trait Stores: fmt::Debug + Send + Sync {
    fn open(&self, nsp: &Arc<str>) -> Arc<dyn Store>;
}

/// A session as a store keeps it.
#[derive(Clone, Debug)]
pub(crate) struct SavedSession {
    pub(crate) id: Sid,
    /// The rooms, without the one of the socket's own id.
    pub(crate) rooms: Vec<Room>,
    /// The position of the last event before the socket was admitted.
    pub(crate) since: Position,
    /// The first position that the client must have seen to resume: events before it may have been delivered without a
    /// position.
    pub(crate) floor: Position,
}
