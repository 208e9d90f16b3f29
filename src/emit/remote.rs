//! Sockets that may be held by another server.

use serde::Serialize;

use super::broadcast::BroadcastOperator;
use super::emitted::Emitted;
use super::namespace_handle::NamespaceHandle;
use crate::adapter::{AdapterError, Facts};
use crate::rooms::{Room, Rooms};
use crate::socket::Socket;
use proto::Sid;

/// A snapshot of a socket that may be held by another server. Node's `RemoteSocket`.
#[derive(Clone, Debug)]
pub struct RemoteSocket {
    facts: Facts,
    namespace: NamespaceHandle,
    here: BroadcastOperator,
}

impl RemoteSocket {
    fn new(facts: Facts, namespace: NamespaceHandle) -> Self {
        let here = namespace.to(facts.id);
        Self {
            facts,
            namespace,
            here,
        }
    }

    /// Returns the socket's id.
    #[must_use]
    pub fn id(&self) -> Sid {
        self.facts.id
    }

    /// Returns the rooms that the socket was in, starting with the room of its own id.
    #[must_use]
    pub fn rooms(&self) -> Vec<Room> {
        let mut rooms = self.facts.rooms.clone();
        rooms.insert(0, self.facts.id.as_str().into());
        rooms
    }

    /// Returns the socket itself, if this server holds it and it is still connected.
    #[must_use]
    pub fn socket(&self) -> Option<Socket> {
        self.namespace.socket(self.facts.id)
    }

    /// Sends an event to the socket.
    pub fn emit<T: Serialize>(&self, event: impl AsRef<str>, args: T) -> Emitted {
        self.here.emit(event, args)
    }

    /// Makes the socket join rooms.
    pub fn join(&self, rooms: impl Rooms) {
        self.here.join(rooms);
    }

    /// Makes the socket leave rooms.
    pub fn leave(&self, rooms: impl Rooms) {
        self.here.leave(rooms);
    }

    /// Disconnects the socket from its namespace.
    pub fn disconnect(&self) {
        self.here.disconnect();
    }

    /// Closes the socket's whole connection; see [`Socket::disconnect_all`].
    pub fn disconnect_all(&self) {
        self.here.disconnect_all();
    }
}

impl BroadcastOperator {
    /// Returns the selected sockets of all servers. Node's `fetchSockets`.
    ///
    /// # Errors
    ///
    /// Fails if the server has no such namespace, or other servers do not answer.
    pub async fn fetch_sockets(&self) -> Result<Vec<RemoteSocket>, AdapterError> {
        let recipients = self.namespaces.recipients()?.into_owned();
        let facts = recipients.adapter.fetch(&self.target).await?;
        let namespace = NamespaceHandle::at(self.namespaces.clone());
        let sockets = facts.into_iter();
        Ok(sockets
            .map(|facts| RemoteSocket::new(facts, namespace.clone()))
            .collect())
    }
}
