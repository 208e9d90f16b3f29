//! The namespaces that a connection has joined, and the routing of its packets.
//!
//! ```text
//!            CONNECT              admitted, connect handler returned
//!   absent ───────────▶ Joining ───────────────────────────────────▶ Joined
//!     ▲                    │ refused                                   │
//!     ├────────────────────┤                                           │
//!     │                    │ DISCONNECT                                │ DISCONNECT, connection closed
//!     │ all handled        ▼                                           │
//!     └──────────────── Leaving ◀──────────────────────────────────────┤
//!     CONNECT: joins anew                                              │ the server disconnects
//!   Left ◀─────────────────────────────────────────────────────────────┘
//! ```
//!
//! A CONNECT for a namespace that is joined, or about to be, is a DISCONNECT followed by a CONNECT.
//!
//! Requests that cannot be handled yet wait in the backlog: an event whose socket is still joining, or accepts no more
//! events at the moment, and everything that its client has sent to the same namespace after it. Acknowledgements never
//! wait. A packet for a namespace that is absent breaks the protocol. A packet for a namespace that the server has
//! `Left` is dropped: the client may have sent it before it received the DISCONNECT.

use bytestring::ByteString;

use super::backlog::{Backlog, ClientRequest};
use super::membership::{Membership, may_start};
use super::query;
use crate::engine_io::{Message, Revision};
use crate::socket_io::{Assembler, Decoding, Event, Packet, PacketLimits};
use crate::{Args, DecodeError};

/// The maximum length of the query after a namespace of revision 3, in bytes.
const MAX_QUERY: usize = 4096;

/// The router. `T` is the handle of a socket; two handles are equal if they are of one socket.
#[derive(Debug)]
pub struct Router<T> {
    entries: Vec<Entry<T>>,
    decoding: Decoding,
    revision: Revision,
    limits: PacketLimits,
    max_namespaces: usize,
    backlog: Backlog,
    /// True if requests wait only because everything is held.
    was_held: bool,
    /// True if events and CONNECTs are dropped.
    draining: bool,
}

#[derive(Debug)]
struct Entry<T> {
    nsp: ByteString,
    state: Membership<T>,
}

/// The destination of a packet.
#[derive(Debug)]
pub enum Route<T> {
    /// The client asks to join; the answer is [`Router::insert`] or nothing.
    Connect {
        /// The name of the namespace.
        nsp: ByteString,
        /// The client's auth, as JSON.
        auth: Option<ByteString>,
    },
    /// An event for a socket that takes it now.
    Event {
        /// The socket.
        socket: T,
        /// The id of the acknowledgement that the client requests.
        id: Option<u64>,
        /// The name and the arguments.
        event: Event,
    },
    /// An acknowledgement of an event that the server has sent.
    Ack {
        /// The socket.
        socket: T,
        /// The id that the server sent with the event.
        id: u64,
        /// The arguments of the acknowledgement.
        args: Args,
    },
    /// The client leaves. Its events may still wait: [`Router::remove`] removes the entry.
    Leave {
        /// The socket.
        socket: T,
    },
}

/// The permission to start requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starting {
    /// Requests may start.
    Allowed,
    /// No request may start that makes more work.
    Held,
}

/// A broken rule: the connection is closed.
#[derive(Debug, thiserror::Error)]
pub enum Violation {
    /// A message is not a packet.
    #[error("malformed packet")]
    Malformed(#[from] DecodeError),
    /// A packet is for a namespace that the client has not joined.
    #[error("namespace is not joined")]
    NotJoined,
    /// The client joins more namespaces than the limit, which this holds.
    #[error("more than {0} namespaces")]
    TooManyNamespaces(usize),
    /// The packet is one that only servers send.
    #[error("a client does not send CONNECT_ERROR")]
    ConnectError,
}

impl<T: Clone + PartialEq> Router<T> {
    /// Creates the router of a connection that has joined no namespace.
    #[must_use]
    pub fn new(
        decoding: Decoding,
        revision: Revision,
        limits: PacketLimits,
        max_namespaces: usize,
    ) -> Self {
        Self {
            entries: Vec::new(),
            decoding,
            revision,
            limits,
            max_namespaces,
            backlog: Backlog::default(),
            was_held: false,
            draining: false,
        }
    }

    /// Takes in one message. `None` means that there is nothing to do now. `ready` returns true if a socket accepts an
    /// event.
    pub fn feed(
        &mut self,
        message: Message,
        starting: Starting,
        ready: impl Fn(&T) -> bool,
    ) -> Result<Option<Route<T>>, Violation> {
        let Some(packet) = self.assemble(message)? else {
            return Ok(None);
        };
        if self.draining {
            return self.feed_draining(packet);
        }
        let (nsp, request) = match packet {
            Packet::Connect { nsp, auth } => (nsp, ClientRequest::Connect(auth)),
            Packet::Event { nsp, id, event } => (nsp, ClientRequest::Event(id, event)),
            Packet::Disconnect { nsp } => (nsp, ClientRequest::Disconnect),
            Packet::Ack { nsp, id, args } => return self.ack(&nsp, id, args),
            Packet::ConnectError { .. } => return Err(Violation::ConnectError),
        };
        if matches!(request, ClientRequest::Connect(_)) {
            // It replaces one that has not started.
            self.backlog.supersede_connect(&nsp);
        }
        let state = self.state(&nsp);
        let waits = match &request {
            // The current socket leaves at once, whatever its client has sent before.
            ClientRequest::Connect(_) if state.is_some_and(Membership::is_here) => {
                self.backlog.moves(&nsp)
            }
            // No request that waits can join the namespace, so this event need not wait to be refused.
            ClientRequest::Event(..) if state.is_none() && !self.backlog.has(&nsp) => false,
            // It concerns the current socket, unless another one is about to replace it.
            ClientRequest::Disconnect => self.backlog.rejoins(&nsp),
            ClientRequest::Event(..) if matches!(state, Some(Membership::Leaving { .. })) => {
                if !self.backlog.rejoins(&nsp) {
                    return Err(Violation::NotJoined);
                }
                true
            }
            _ => {
                starting == Starting::Held
                    || self.backlog.has(&nsp)
                    || !may_start(&request, state, &ready)
            }
        };
        if waits {
            self.was_held |= starting == Starting::Held;
            self.backlog.push(nsp, request);
            return Ok(None);
        }
        self.route(nsp, request)
    }

    /// Drops all requests that wait, and from now on every event and CONNECT that arrives. Acknowledgements and
    /// DISCONNECTs are still routed. Returns the number of dropped requests.
    pub fn drain(&mut self) -> usize {
        self.draining = true;
        std::mem::take(&mut self.backlog).len()
    }

    /// Takes in a packet while the connection is drained. The client does not know that yet, so no packet is a
    /// violation for its namespace.
    fn feed_draining(&mut self, packet: Packet) -> Result<Option<Route<T>>, Violation> {
        match packet {
            Packet::Ack { nsp, id, args } => Ok(self.ack(&nsp, id, args).unwrap_or_default()),
            Packet::Disconnect { nsp } => Ok(self.disconnect(&nsp).unwrap_or_default()),
            Packet::Connect { .. } | Packet::Event { .. } => Ok(None),
            Packet::ConnectError { .. } => Err(Violation::ConnectError),
        }
    }

    #[inline]
    fn assemble(&mut self, message: Message) -> Result<Option<Packet>, DecodeError> {
        if self.revision.is_four() {
            return self.decoding.feed(message, &self.limits);
        }
        let limits = PacketLimits {
            max_nsp_len: self.limits.max_nsp_len + MAX_QUERY,
            ..self.limits
        };
        let Some(mut packet) = self.decoding.feed(message, &limits)? else {
            return Ok(None);
        };
        query::split(&mut packet);
        if packet.nsp().len() > self.limits.max_nsp_len {
            return Err(DecodeError::NamespaceTooLong(self.limits.max_nsp_len));
        }
        Ok(Some(packet))
    }

    /// Returns the first request in the backlog that need not wait any longer.
    pub fn next(
        &mut self,
        starting: Starting,
        ready: impl Fn(&T) -> bool,
    ) -> Result<Option<Route<T>>, Violation> {
        self.was_held = starting == Starting::Held;
        if self.was_held {
            return Ok(None);
        }
        while let Some((nsp, request)) = self
            .backlog
            .take(|nsp, request| may_start(request, state_of(&self.entries, nsp), &ready))
        {
            if let Some(route) = self.route(nsp, request)? {
                return Ok(Some(route));
            }
        }
        Ok(None)
    }

    /// Adds a socket whose admission is under way.
    pub fn insert(&mut self, nsp: ByteString, socket: T) {
        self.entries.retain(|entry| entry.nsp != nsp);
        if self.entries.len() >= self.max_namespaces {
            self.forget_a_left_one();
        }
        let state = Membership::Joining(socket);
        // Most clients join one namespace.
        if self.entries.is_empty() {
            self.entries.reserve_exact(1);
        }
        self.entries.push(Entry { nsp, state });
    }

    /// Marks a socket as joined, when its connect handler has returned: the events that have waited for it may go.
    pub fn mark_joined(&mut self, socket: &T) {
        let Some(entry) = self.entry_of(socket) else {
            return;
        };
        match &mut entry.state {
            Membership::Leaving { joined, .. } => *joined = true,
            state => *state = Membership::Joined(socket.clone()),
        }
    }

    /// Marks a socket as disconnected by the server, and drops the events that its client has sent meanwhile. Returns
    /// false if the client had left before.
    pub fn mark_left(&mut self, socket: &T) -> bool {
        let Some(entry) = self.entry_of(socket) else {
            return false;
        };
        if matches!(entry.state, Membership::Leaving { .. }) {
            return false;
        }
        entry.state = Membership::Left;
        let nsp = entry.nsp.clone();
        self.backlog.drop_events(&nsp);
        true
    }

    /// Removes the entry of a socket whose events have all been handled, or which was refused, and drops the events
    /// that still wait for it.
    pub fn remove(&mut self, socket: &T) {
        if let Some(entry) = self.entry_of(socket) {
            let nsp = entry.nsp.clone();
            self.backlog.drop_events(&nsp);
            self.entries.retain(|entry| entry.nsp != nsp);
        }
    }

    /// Drops the events that wait for the socket.
    pub fn drop_events(&mut self, socket: &T) {
        if let Some(entry) = self.entry_of(socket) {
            let nsp = entry.nsp.clone();
            self.backlog.drop_events(&nsp);
        }
    }

    /// Closes the router, as the connection has ended. Returns all its sockets; the events that were received before
    /// may still be taken with [`next`](Self::next).
    pub fn close(&mut self) -> Vec<T> {
        self.backlog.close();
        let mut sockets = Vec::new();
        for Entry { state, .. } in &mut self.entries {
            sockets.extend(state.leave());
        }
        sockets
    }

    /// Returns all sockets whose clients have not left.
    pub fn sockets(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().filter_map(|entry| match &entry.state {
            Membership::Joining(socket) | Membership::Joined(socket) => Some(socket),
            Membership::Leaving { .. } | Membership::Left => None,
        })
    }

    /// Returns true if requests wait and everything was held at the last check.
    #[must_use]
    pub fn was_held(&self) -> bool {
        self.was_held && self.backlog.len() > 0
    }

    /// Returns the number of requests that wait, and the size of their arguments in bytes.
    #[must_use]
    pub fn backlog(&self) -> (usize, usize) {
        (self.backlog.len(), self.backlog.bytes())
    }

    /// Returns true if requests wait for so many namespaces that no more should be read: the search for the next one
    /// takes time for each of them.
    #[must_use]
    pub fn is_spread(&self) -> bool {
        self.backlog.namespaces() > 2 * self.max_namespaces
    }

    /// Returns the memory that a packet that is not complete holds, in bytes.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.decoding.unfinished()
    }

    /// Drops a packet that is not complete, as the rest of it will not arrive.
    pub fn drop_unfinished(&mut self) {
        self.decoding = Decoding::Default(Assembler::new());
    }

    /// Drops all events that wait for current sockets.
    pub fn drop_all_events(&mut self) {
        for entry in &self.entries {
            self.backlog.drop_events(&entry.nsp);
        }
    }

    /// Returns true if events of this socket wait.
    pub fn keeps_events_of(&self, socket: &T) -> bool {
        let mut entries = self.entries.iter();
        entries
            .find(|entry| entry.state.socket() == Some(socket))
            .is_some_and(|entry| self.backlog.has_events(&entry.nsp))
    }

    /// Routes a request that need not wait.
    fn route(
        &mut self,
        nsp: ByteString,
        request: ClientRequest,
    ) -> Result<Option<Route<T>>, Violation> {
        match request {
            ClientRequest::Connect(auth) => self.connect(nsp, auth).map(Some),
            ClientRequest::Disconnect => self.disconnect(&nsp),
            ClientRequest::Event(id, event) => match self.state(&nsp) {
                Some(Membership::Joined(socket) | Membership::Leaving { socket, .. }) => {
                    let socket = socket.clone();
                    Ok(Some(Route::Event { socket, id, event }))
                }
                Some(Membership::Joining(_) | Membership::Left) => Ok(None),
                None => Err(Violation::NotJoined),
            },
        }
    }

    fn connect(
        &mut self,
        nsp: ByteString,
        auth: Option<ByteString>,
    ) -> Result<Route<T>, Violation> {
        let mut entries = self.entries.iter_mut();
        let entry = entries.find(|entry| entry.nsp == nsp);
        match entry.and_then(|entry| entry.state.leave()) {
            Some(socket) => {
                self.backlog.push(nsp, ClientRequest::Connect(auth));
                Ok(Route::Leave { socket })
            }
            None if self.state(&nsp).is_none() && self.occupied() >= self.max_namespaces => {
                Err(Violation::TooManyNamespaces(self.max_namespaces))
            }
            None => Ok(Route::Connect { nsp, auth }),
        }
    }

    fn occupied(&self) -> usize {
        let entries = self.entries.iter();
        entries
            .filter(|entry| !matches!(entry.state, Membership::Left))
            .count()
    }

    fn disconnect(&mut self, nsp: &ByteString) -> Result<Option<Route<T>>, Violation> {
        let mut entries = self.entries.iter_mut();
        let entry = entries.find(|entry| entry.nsp == *nsp);
        let Some(Entry { state, .. }) = entry else {
            return Err(Violation::NotJoined);
        };
        if matches!(state, Membership::Left) {
            self.entries.retain(|entry| entry.nsp != *nsp);
            return Ok(None);
        }
        let socket = state.leave().ok_or(Violation::NotJoined)?;
        Ok(Some(Route::Leave { socket }))
    }

    fn ack(
        &self,
        nsp: &ByteString,
        id: Option<u64>,
        args: Args,
    ) -> Result<Option<Route<T>>, Violation> {
        match (self.state(nsp), id) {
            (None, _) => Err(Violation::NotJoined),
            (Some(Membership::Joined(socket) | Membership::Joining(socket)), Some(id)) => {
                let socket = socket.clone();
                Ok(Some(Route::Ack { socket, id, args }))
            }
            _ => Ok(None),
        }
    }

    /// Removes the oldest entry that the server has left: no other is less likely to get a packet that was sent before
    /// the client received the DISCONNECT.
    fn forget_a_left_one(&mut self) {
        let mut entries = self.entries.iter();
        if let Some(left) = entries.position(|entry| matches!(entry.state, Membership::Left)) {
            self.entries.remove(left);
        }
    }

    fn state(&self, nsp: &ByteString) -> Option<&Membership<T>> {
        state_of(&self.entries, nsp)
    }

    fn entry_of(&mut self, socket: &T) -> Option<&mut Entry<T>> {
        let mut entries = self.entries.iter_mut();
        entries.find(|entry| entry.state.socket() == Some(socket))
    }
}

fn state_of<'a, T>(entries: &'a [Entry<T>], nsp: &ByteString) -> Option<&'a Membership<T>> {
    let entry = entries.iter().find(|entry| entry.nsp == *nsp);
    entry.map(|entry| &entry.state)
}

#[cfg(test)]
mod tests;
