//! The recipients of a broadcast.

use crate::outbox::SendOptions;
use proto::{Room, Sid};

/// The members of any of `rooms`, or of the whole namespace, except those of any of `except`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    /// The rooms, if any were chosen. An empty list has no members.
    pub(crate) rooms: Option<Vec<Room>>,
    pub(crate) except: Vec<Room>,
    /// The sender of a socket's own broadcast.
    pub(crate) except_id: Option<Sid>,
    pub(crate) options: SendOptions,
    /// True if only the members on this server are recipients.
    pub(crate) local: bool,
}
