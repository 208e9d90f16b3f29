//! The facts that servers exchange about a socket.

use std::borrow::Cow;
use std::sync::Arc;

use crate::rooms::{Room, SharedHandshake};
use proto::Sid;
use proto::cluster::SocketFacts;

/// The facts that servers exchange about a socket.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) id: Sid,
    pub(crate) handshake: SharedHandshake,
    /// The rooms, without the one of its own id.
    pub(crate) rooms: Vec<Room>,
    /// The JSON of the data that the application has attached.
    pub(crate) data: Arc<str>,
}

impl Facts {
    /// Returns the form of the facts in messages to other servers.
    pub(super) fn for_peers(&self) -> SocketFacts<'_> {
        let rooms = self.rooms.iter().map(|room| Cow::Borrowed(&**room));
        let own = std::iter::once(Cow::Owned(self.id.as_str().to_owned()));
        SocketFacts {
            id: self.id.as_str().to_owned().into(),
            handshake: self.handshake.json(),
            rooms: own.chain(rooms).collect(),
            data: Cow::Borrowed(&*self.data),
        }
    }

    /// Reads the facts in a message of another server.
    pub(super) fn of_peer(facts: &SocketFacts<'_>) -> Option<Self> {
        let rooms = facts.rooms.iter().filter(|room| **room != facts.id);
        Some(Self {
            id: facts.id.parse().ok()?,
            handshake: SharedHandshake::from(&*facts.handshake),
            rooms: rooms.map(|room| Room::from(&**room)).collect(),
            data: (*facts.data).into(),
        })
    }
}
