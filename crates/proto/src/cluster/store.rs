//! The seam to the part of an engine that keeps events and sessions for all servers, so that a client can resume its
//! session on any of them.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Weak;
use std::time::Duration;

use bytes::Bytes;

use super::{BoxFuture, Selection};
use crate::{Room, Sid};

/// The answer of a store, when it has arrived.
pub type StoreReply<T> = BoxFuture<Result<T, StoreError>>;

/// The reason for which a store cannot answer.
pub type StoreError = Box<dyn Error + Send + Sync>;

/// The store of one namespace's events and sessions, which other servers use too.
///
/// Methods without a [`StoreReply`] may be called with locks held: they queue a command and return. The commands of one
/// server for one session take effect in the order of the calls. A store that has lost its connection drops commands or
/// keeps them within a limit of its own; no emit and no join waits for it.
pub trait Store: fmt::Debug + Send + Sync {
    /// Begins to report the events of all servers to `feed`. Called once, before any event.
    fn start(&self, feed: Weak<dyn Feed>);
    /// Takes an event over, whose position it reports to the feed with this token. Tokens count up. Returns false if it
    /// cannot now; then it never reports the token.
    ///
    /// A local event gets a position, and is reported to no other server.
    fn append(&self, token: u64, event: &StoredEvent<'_>) -> bool;
    /// Returns the form of a position that clients get.
    fn offset(&self, position: Position) -> String;
    /// Parses an offset written by [`offset`](Self::offset).
    fn parse(&self, offset: &str) -> Option<Position>;
    /// Reads a session, and leaves it where it is.
    fn look(&self, pid: Sid) -> StoreReply<Option<SavedSession>>;
    /// Reads the events after a position, the oldest first: a page of them, or none if there are no more. `None` if
    /// some of the events after the position are not stored any more.
    fn replay(&self, after: Position) -> StoreReply<Option<Vec<(Position, StoredEvent<'static>)>>>;
    /// Reads and deletes a session in one step, so that of all who claim it one gets it.
    ///
    /// The caller gives up after a time. The session need not remain if the reply is dropped.
    fn claim(&self, pid: Sid) -> StoreReply<Option<SavedSession>>;
    /// Writes a session, which expires after `keep`.
    fn save(&self, pid: Sid, session: SavedSession, keep: Duration);
    /// Deletes a session that will not resume.
    fn discard(&self, pid: Sid);
}

/// The receiver of what a store reports, which is the namespace on one server.
pub trait Feed: Send + Sync {
    /// Sets the position after which all events are reported. Called once, before any event arrives.
    fn begins(&self, after: Position);
    /// Delivers an event at its position. The calls come one after another, in the order of the positions and without
    /// gaps, whichever server has emitted the event, and without a lock that [`Store::append`], [`Store::save`] or
    /// [`Store::discard`] takes. An event that was delivered meanwhile without its position is reported all the same.
    fn arrived(&self, position: Position, arrival: Arrival);
    /// Ends the socket that has this session, as another server has claimed it. Its connection counts as lost.
    fn claimed(&self, pid: Sid);
}

/// An event that has got its position.
#[derive(Debug)]
pub enum Arrival {
    /// An event of this server, by its token.
    Own(u64),
    /// An event of this server without a token of this store: it was delivered here when it was emitted.
    Delivered,
    /// An event of another server.
    Foreign(StoredEvent<'static>),
}

/// The position of an event in a store. It orders the events of all servers. The first one is above zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub u128);

impl Position {
    /// Returns the next higher position.
    #[must_use]
    pub const fn after(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// An event as a store keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent<'a> {
    /// The array of the event's name and its arguments, in JSON.
    pub args: Cow<'a, str>,
    /// The binary values, to which placeholders in the JSON refer by number.
    pub attachments: Cow<'a, [Bytes]>,
    /// The recipients.
    pub selection: Selection<'a>,
    /// True if only the members on the server that emits are recipients.
    pub local: bool,
}

impl StoredEvent<'_> {
    /// Returns the event with texts of its own.
    #[must_use]
    pub fn into_owned(self) -> StoredEvent<'static> {
        StoredEvent {
            args: Cow::Owned(self.args.into_owned()),
            attachments: Cow::Owned(self.attachments.into_owned()),
            selection: self.selection.into_owned(),
            local: self.local,
        }
    }
}

/// A session as a store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedSession {
    /// The id of the socket.
    pub id: Sid,
    /// The rooms, without the one of the socket's own id.
    pub rooms: Vec<Room>,
    /// The JSON of the data that the application has attached.
    pub data: String,
    /// The position of the last event before the socket was admitted, if its server has told.
    pub since: Option<Position>,
    /// The first position that the client must have seen to resume: events before it may have been delivered without a
    /// position.
    pub floor: Position,
    /// The time at which the socket ends, in milliseconds since 1970, if the application has set one.
    pub expires: Option<u64>,
}
