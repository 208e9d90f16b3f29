//! The state of one namespace of a connection.

use super::backlog::Request;

#[derive(Debug)]
pub(super) enum State<T> {
    Joining(T),
    Joined(T),
    /// The client has left, but not all it sent before has been handled.
    Leaving {
        socket: T,
        /// Its connect handler has returned.
        joined: bool,
    },
    Left,
}

/// Whether a request that is its namespace's first in the backlog, or would be, needs not wait.
#[inline]
pub(super) fn may_go<T>(
    request: &Request,
    state: Option<&State<T>>,
    ready: impl Fn(&T) -> bool,
) -> bool {
    match (request, state) {
        (Request::Event(..), Some(State::Joining(_))) => false,
        (Request::Event(..), Some(State::Joined(socket))) => ready(socket),
        (Request::Event(..), Some(State::Leaving { socket, joined })) => *joined && ready(socket),
        (Request::Connect(_), Some(State::Leaving { .. })) => false,
        _ => true,
    }
}

impl<T: Clone> State<T> {
    /// Its client leaves. Gives the socket, if one is there.
    pub(super) fn leave(&mut self) -> Option<T> {
        let (socket, joined) = match self {
            Self::Joining(socket) => (socket.clone(), false),
            Self::Joined(socket) => (socket.clone(), true),
            Self::Leaving { .. } | Self::Left => return None,
        };
        *self = Self::Leaving {
            socket: socket.clone(),
            joined,
        };
        Some(socket)
    }
}

impl<T> State<T> {
    /// Whether its client has joined, or is about to.
    pub(super) const fn is_here(&self) -> bool {
        matches!(self, Self::Joining(_) | Self::Joined(_))
    }

    pub(super) fn socket(&self) -> Option<&T> {
        match self {
            Self::Joining(socket) | Self::Joined(socket) | Self::Leaving { socket, .. } => {
                Some(socket)
            }
            Self::Left => None,
        }
    }
}
