//! A socket that may be held by another server.

use super::{Broadcast, Socket};
use crate::adapter::Facts;
use crate::protocol::Sid;
use crate::rooms::{Room, Rooms};

/// What is known of a socket, wherever it is held, as it was when asked. Node's `RemoteSocket`.
#[derive(Clone, Debug)]
pub struct RemoteSocket {
    facts: Facts,
    here: Broadcast,
}

impl RemoteSocket {
    pub(crate) fn new(facts: Facts, namespace: &Broadcast) -> Self {
        let here = namespace.clone().to(facts.id);
        Self { facts, here }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> Sid {
        self.facts.id
    }

    /// The rooms it was in, that of its own id first.
    #[must_use]
    pub fn rooms(&self) -> Vec<Room> {
        let mut rooms = self.facts.rooms.clone();
        rooms.insert(0, self.facts.id.as_str().into());
        rooms
    }

    /// The socket itself, if this server holds it and it is still connected.
    #[must_use]
    pub fn socket(&self) -> Option<Socket> {
        self.here.socket(self.facts.id)
    }

    /// Sends it an event.
    pub fn emit<T: serde::Serialize>(&self, event: impl AsRef<str>, args: T) -> super::Emitted {
        self.here.emit(event, args)
    }

    /// Makes it join rooms.
    pub fn join(&self, rooms: impl Rooms) {
        self.here.join(rooms);
    }

    /// Makes it leave rooms.
    pub fn leave(&self, rooms: impl Rooms) {
        self.here.leave(rooms);
    }

    /// Disconnects it from its namespace.
    pub fn disconnect(&self) {
        self.here.disconnect();
    }

    /// Disconnects its whole connection; see [`Socket::disconnect_all`].
    pub fn disconnect_all(&self) {
        self.here.disconnect_all();
    }
}
