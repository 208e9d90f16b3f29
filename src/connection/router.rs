//! Which namespaces a connection has joined, and where each packet goes.
//!
//! ```text
//!            CONNECT              admitted, connect handler returned
//!   absent ───────────▶ Joining ───────────────────────────────────▶ Joined
//!     ▲                    │ refused                                   │
//!     └────────────────────┴────────── DISCONNECT ─────────────────────┤
//!     CONNECT: joins anew                                              │ the server disconnects
//!   Left ◀─────────────────────────────────────────────────────────────┘
//! ```
//!
//! Events sent right behind CONNECT wait, in order, until the connect handler has returned. A packet for a namespace that
//! is absent breaks the protocol; one for a namespace that the server has `Left` crossed that news on its way, and is
//! dropped.

use std::collections::VecDeque;

use bytestring::ByteString;

use crate::protocol::engine_io::Message;
use crate::protocol::socket_io::{Assembler, Event, Limits, Packet};
use crate::protocol::{Args, DecodeError};

/// `T` is the handle of a socket; two handles are equal when they are of one socket.
#[derive(Debug)]
pub(crate) struct Router<T> {
    entries: Vec<Entry<T>>,
    assembler: Assembler,
    limits: Limits,
    max_namespaces: usize,
    /// Events that wait in all entries.
    queued: usize,
}

#[derive(Debug)]
struct Entry<T> {
    nsp: ByteString,
    state: State<T>,
}

#[derive(Debug)]
enum State<T> {
    Joining {
        socket: T,
        events: VecDeque<(Option<u64>, Event)>,
    },
    Joined(T),
    Left,
}

/// Where a packet goes.
#[derive(Debug)]
pub(crate) enum Route<T> {
    /// The client asks to join; the answer is [`Router::join`] or nothing.
    Connect {
        nsp: ByteString,
        auth: Option<ByteString>,
    },
    Event {
        socket: T,
        id: Option<u64>,
        event: Event,
    },
    Ack {
        socket: T,
        id: u64,
        args: Args,
    },
    /// The client has left; the entry is gone.
    Leave {
        socket: T,
    },
}

/// A broken rule: the connection is closed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Violation {
    #[error("malformed packet")]
    Malformed(#[from] DecodeError),
    #[error("namespace is joined already")]
    JoinedAlready,
    #[error("namespace is not joined")]
    NotJoined,
    #[error("more than {0} namespaces")]
    TooManyNamespaces(usize),
    #[error("a client does not send CONNECT_ERROR")]
    ConnectError,
}

impl<T: Clone + PartialEq> Router<T> {
    pub(crate) fn new(limits: Limits, max_namespaces: usize) -> Self {
        Self {
            entries: Vec::new(),
            assembler: Assembler::default(),
            limits,
            max_namespaces,
            queued: 0,
        }
    }

    /// Takes one message in. `None` means that nothing is to be done.
    pub(crate) fn feed(&mut self, message: Message) -> Result<Option<Route<T>>, Violation> {
        let Some(packet) = self.assembler.feed(message, &self.limits)? else {
            return Ok(None);
        };
        match packet {
            Packet::Connect { nsp, auth } => self.connect(nsp, auth).map(Some),
            Packet::Disconnect { nsp } => self.disconnect(&nsp),
            Packet::ConnectError { .. } => Err(Violation::ConnectError),
            Packet::Event { nsp, id, event } => match self.state(&nsp)? {
                State::Joined(socket) => Ok(Some(Route::Event {
                    socket: socket.clone(),
                    id,
                    event,
                })),
                State::Joining { events, .. } => {
                    events.push_back((id, event));
                    self.queued += 1;
                    Ok(None)
                }
                State::Left => Ok(None),
            },
            Packet::Ack { nsp, id, args } => match (self.state(&nsp)?, id) {
                (State::Joined(socket) | State::Joining { socket, .. }, Some(id)) => {
                    Ok(Some(Route::Ack {
                        socket: socket.clone(),
                        id,
                        args,
                    }))
                }
                _ => Ok(None),
            },
        }
    }

    /// Enters a socket whose admission is under way.
    pub(crate) fn join(&mut self, nsp: ByteString, socket: T) {
        self.entries.retain(|entry| entry.nsp != nsp);
        if self.entries.len() >= self.max_namespaces {
            self.forget_a_left_one();
        }
        self.entries.push(Entry {
            nsp,
            state: State::Joining {
                socket,
                events: VecDeque::new(),
            },
        });
    }

    /// The connect handler has returned: gives out the events that have waited for it.
    pub(crate) fn joined(&mut self, socket: &T) -> VecDeque<(Option<u64>, Event)> {
        let entry = self
            .entries
            .iter_mut()
            .find(|entry| entry.state.socket() == Some(socket));
        let Some(Entry { state, .. }) = entry else {
            return VecDeque::new();
        };
        if let State::Joining { events, .. } = state {
            let events = std::mem::take(events);
            self.queued -= events.len();
            *state = State::Joined(socket.clone());
            return events;
        }
        VecDeque::new()
    }

    /// The socket was refused.
    pub(crate) fn refused(&mut self, socket: &T) {
        self.drop_events(socket);
        self.entries
            .retain(|entry| entry.state.socket() != Some(socket));
    }

    /// The server has disconnected the socket; what its client has sent meanwhile is dropped.
    pub(crate) fn left(&mut self, socket: &T) {
        self.drop_events(socket);
        if let Some(entry) = self
            .entries
            .iter_mut()
            .find(|entry| entry.state.socket() == Some(socket))
        {
            entry.state = State::Left;
        }
    }

    /// The connection is over: all its sockets.
    pub(crate) fn close(&mut self) -> Vec<T> {
        self.queued = 0;
        let entries = std::mem::take(&mut self.entries);
        entries
            .into_iter()
            .filter_map(|entry| entry.state.socket().cloned())
            .collect()
    }

    /// All sockets.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().filter_map(|entry| entry.state.socket())
    }

    /// How many events wait for connect handlers.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    fn connect(&self, nsp: ByteString, auth: Option<ByteString>) -> Result<Route<T>, Violation> {
        match self.entries.iter().find(|entry| entry.nsp == nsp) {
            Some(Entry {
                state: State::Left, ..
            }) => Ok(Route::Connect { nsp, auth }),
            Some(_) => Err(Violation::JoinedAlready),
            None if self.sockets().count() >= self.max_namespaces => {
                Err(Violation::TooManyNamespaces(self.max_namespaces))
            }
            None => Ok(Route::Connect { nsp, auth }),
        }
    }

    fn disconnect(&mut self, nsp: &ByteString) -> Result<Option<Route<T>>, Violation> {
        let socket = self.state(nsp)?.socket().cloned();
        if let Some(socket) = &socket {
            self.drop_events(socket);
        }
        self.entries.retain(|entry| entry.nsp != nsp);
        Ok(socket.map(|socket| Route::Leave { socket }))
    }

    /// The oldest that the server has left: a packet that crossed that news is the least likely to be still on its way.
    fn forget_a_left_one(&mut self) {
        let left = self
            .entries
            .iter()
            .position(|entry| matches!(entry.state, State::Left));
        if let Some(left) = left {
            self.entries.remove(left);
        }
    }

    fn drop_events(&mut self, of: &T) {
        for entry in &mut self.entries {
            if let State::Joining { socket, events } = &mut entry.state
                && socket == of
            {
                self.queued -= events.len();
                events.clear();
            }
        }
    }

    fn state(&mut self, nsp: &ByteString) -> Result<&mut State<T>, Violation> {
        let entry = self.entries.iter_mut().find(|entry| entry.nsp == nsp);
        entry
            .map(|entry| &mut entry.state)
            .ok_or(Violation::NotJoined)
    }
}

impl<T> State<T> {
    fn socket(&self) -> Option<&T> {
        match self {
            Self::Joining { socket, .. } | Self::Joined(socket) => Some(socket),
            Self::Left => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> Router<u8> {
        Router::new(Limits::default(), 2)
    }

    fn feed(router: &mut Router<u8>, text: &'static str) -> Result<Option<Route<u8>>, Violation> {
        router.feed(Message::Text(text.into()))
    }

    #[test]
    fn events_behind_connect_wait_in_order_for_the_handler() {
        let mut router = router();
        assert!(matches!(
            feed(&mut router, "0"),
            Ok(Some(Route::Connect { .. }))
        ));
        router.join("/".into(), 1);
        assert!(matches!(feed(&mut router, r#"2["a"]"#), Ok(None)));
        assert!(matches!(feed(&mut router, r#"21["b"]"#), Ok(None)));
        assert_eq!(router.queued(), 2);
        let waited: Vec<_> = router
            .joined(&1)
            .into_iter()
            .map(|(id, e)| (id, e.name().to_owned()))
            .collect();
        assert_eq!(waited, [(None, "a".to_owned()), (Some(1), "b".to_owned())]);
        assert_eq!(router.queued(), 0);
        assert!(matches!(
            feed(&mut router, r#"2["c"]"#),
            Ok(Some(Route::Event { socket: 1, .. }))
        ));
    }

    #[test]
    fn a_namespace_is_joined_once_and_may_be_joined_again_after_leaving() {
        let mut router = router();
        router.join("/".into(), 1);
        router.joined(&1);
        assert!(matches!(
            feed(&mut router, "0"),
            Err(Violation::JoinedAlready)
        ));
        assert!(matches!(
            feed(&mut router, "1"),
            Ok(Some(Route::Leave { socket: 1 }))
        ));
        assert!(matches!(
            feed(&mut router, r#"2["a"]"#),
            Err(Violation::NotJoined)
        ));
        assert!(matches!(
            feed(&mut router, "0"),
            Ok(Some(Route::Connect { .. }))
        ));
    }

    #[test]
    fn what_crosses_a_disconnect_by_the_server_is_dropped() {
        let mut router = router();
        router.join("/".into(), 1);
        router.joined(&1);
        router.left(&1);
        assert!(matches!(feed(&mut router, r#"2["a"]"#), Ok(None)));
        assert!(matches!(feed(&mut router, "1"), Ok(None)));
    }

    #[test]
    fn namespaces_are_limited() {
        let mut router = router();
        router.join("/".into(), 1);
        router.join("/a".into(), 2);
        assert!(matches!(
            feed(&mut router, "0/b,"),
            Err(Violation::TooManyNamespaces(2))
        ));
    }

    #[test]
    fn a_refused_socket_leaves_nothing_behind() {
        let mut router = router();
        router.join("/".into(), 1);
        feed(&mut router, r#"2["a"]"#).unwrap();
        router.refused(&1);
        assert_eq!((router.queued(), router.close()), (0, vec![]));
    }
}
