//! The namespace and its rooms that have members on this server, as a cluster needs to know them.

use std::fmt;

use proto::cluster::BoxFuture;

/// A future that resolves when messages arrive from other servers, or when that has taken too long.
pub(crate) type Confirmed = BoxFuture<()>;

/// The observer of the rooms of a namespace. It is called under the lock of a room, so it must neither wait nor use the
/// rooms.
pub(crate) trait RoomInterest: fmt::Debug + Send + Sync {
    /// Returns a future that resolves when the messages for the namespace arrive. Returns `None` if they do already.
    fn ready(&self) -> Option<Confirmed>;
    /// A room has got its first member.
    fn created(&self, room: &str);
    /// A room has lost its last member.
    fn deleted(&self, room: &str);
    /// Returns true if the rooms of members' own ids are reported as well.
    fn includes_own(&self) -> bool;
    /// Returns a future that resolves when the messages for a room arrive. Returns `None` if they do already.
    fn confirmation(&self, room: &str) -> Option<Confirmed>;
    /// Needs rooms as if they had members.
    fn hold(&self, rooms: Vec<String>) -> RoomHold;
}

/// Rooms that are needed as long as the guard lives.
pub(crate) struct RoomHold {
    pub(crate) guard: Box<dyn Send + Sync>,
    pub(crate) confirmed: Confirmed,
}
