//! The rooms that have members on this server, as a cluster needs to know them.

use std::fmt;

use proto::Sid;

/// The observer of the rooms of a namespace. It is called under the lock of a room, so it must neither wait nor use the
/// rooms.
pub(crate) trait RoomInterest: fmt::Debug + Send + Sync {
    /// A room has got its first member.
    fn created(&self, room: &str);
    /// A room has lost its last member.
    fn deleted(&self, room: &str);
    /// A member is in the room of its own id.
    fn admitted(&self, id: Sid);
    /// A member has left the room of its own id.
    fn removed(&self, id: Sid);
}
