//! The state of one namespace of a connection.

use super::backlog::ClientRequest;

#[derive(Debug)]
pub(super) enum Membership<T> {
    Joining(T),
    Joined(T),
    /// The client has left, but some of the events that it sent before are not handled yet.
    Leaving {
        socket: T,
        /// True if the connect handler has returned.
        joined: bool,
    },
    Left,
}

/// Returns true if a request need not wait. It is, or would be, the first one of its namespace in the backlog.
#[inline]
pub(super) fn may_start<T>(
    request: &ClientRequest,
    state: Option<&Membership<T>>,
    ready: impl Fn(&T) -> bool,
) -> bool {
    match (request, state) {
        (ClientRequest::Event(..), Some(Membership::Joining(_))) => false,
        (ClientRequest::Event(..), Some(Membership::Joined(socket))) => ready(socket),
        (ClientRequest::Event(..), Some(Membership::Leaving { socket, joined })) => {
            *joined && ready(socket)
        }
        (ClientRequest::Connect(_), Some(Membership::Leaving { .. })) => false,
        _ => true,
    }
}

impl<T: Clone> Membership<T> {
    /// Marks the client as leaving. Returns the socket, if there is one that was not leaving yet.
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

impl<T> Membership<T> {
    /// Returns true if the client has joined, or is about to.
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
