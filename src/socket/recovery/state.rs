//! The recovery state of one socket.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;

use super::suspend::StoredValues;
use crate::metrics::RecoveryOutcome;
use crate::outbox::Frame;
use crate::rooms::recovery::{Position, SavedSession};
use crate::rooms::{HistoryState, Offset, Stay, SuspendedSession};
use crate::socket::handle::Inner;
use proto::Sid;

/// The suspended session of a socket.
pub(super) type SuspendedSocket = SuspendedSession<Arc<StoredValues>>;

/// The recovery state of a socket.
#[derive(Debug)]
pub(crate) struct RecoveryState {
    /// The private id of the session. Only the client knows it, and sends it when it reconnects.
    pub(super) pid: Sid,
    /// The number of the last event before the socket was first admitted.
    pub(super) began: u64,
    /// The position of that event, if a store assigns positions.
    pub(super) since: Position,
    /// The session to resume, until middleware have admitted the socket. It is claimed only then, so a refused client
    /// that knows the private id of another changes nothing.
    pub(super) request: Option<ResumeRequest>,
    /// True if the socket has been admitted, and the private id is its own.
    pub(super) holds: bool,
    /// True if the server has disconnected the socket before it was admitted.
    pub(super) revoked: bool,
    /// True if the client has requested a session that is not stored any more.
    pub(super) forgotten: bool,
    pub(super) recovered: bool,
    pub(super) claim: StoreClaim,
}

/// The claim of a session at a store that servers share. Without a store it stays open.
#[derive(Debug, Default)]
pub(super) enum StoreClaim {
    #[default]
    Open,
    Taken(SavedSession),
    /// The store has not given the session out.
    Refused(RecoveryOutcome),
}

impl RecoveryState {
    /// Returns the label of the outcome in the counters; `None` if the client has not asked to resume a session.
    pub(super) const fn outcome(&self) -> Option<RecoveryOutcome> {
        match self {
            Self {
                recovered: true, ..
            } => Some(RecoveryOutcome::Recovered),
            Self {
                forgotten: true, ..
            } => Some(self.failure()),
            Self { .. } => None,
        }
    }

    /// Returns the label, in the counters, of a session that is not resumed.
    pub(super) const fn failure(&self) -> RecoveryOutcome {
        match self.claim {
            StoreClaim::Refused(outcome) => outcome,
            StoreClaim::Open | StoreClaim::Taken(_) => RecoveryOutcome::Failed,
        }
    }

    /// Returns the private id of the session to resume.
    pub(super) fn requested(&self) -> Option<Sid> {
        self.request.as_ref().map(|_| self.pid)
    }

    /// Returns the id of the socket to resume.
    pub(crate) fn id(&self) -> Option<Sid> {
        self.request.as_ref().map(|request| request.suspended.id)
    }

    /// Returns the stays in rooms of the session to resume, and the number of the event after which they are known.
    pub(in crate::socket) fn stays(&self) -> Option<(Vec<Stay>, u64)> {
        let suspended = &self.request.as_ref()?.suspended;
        Some((suspended.stays.clone(), suspended.known_after))
    }

    /// Returns true if the session may not be claimed any more: the server has revoked it, or its store does not give
    /// it out.
    pub(super) const fn is_refused(&self) -> bool {
        self.revoked || matches!(self.claim, StoreClaim::Refused(_))
    }

    /// Takes the session that was claimed at the store.
    pub(super) fn take_claimed(&mut self) -> Option<SavedSession> {
        match std::mem::take(&mut self.claim) {
            StoreClaim::Taken(session) => Some(session),
            other => {
                self.claim = other;
                None
            }
        }
    }

    /// Returns the private id of the session, and the position of the last event before the socket was first admitted,
    /// if the session is the socket's own.
    pub(in crate::socket) fn own_session(&self) -> Option<(Sid, Position)> {
        self.holds.then_some((self.pid, self.since))
    }

    /// Leaves the session to the server that has claimed it.
    pub(in crate::socket) const fn surrender(&mut self) {
        self.holds = false;
    }

    pub(in crate::socket) const fn recovered(&self) -> bool {
        self.recovered
    }
}

/// The request of a client to resume a session.
#[derive(Debug)]
pub(super) struct ResumeRequest {
    /// The state of the session at the time of the request.
    pub(super) suspended: SuspendedSocket,
    /// The offset of the last event that the client has seen, as sent by the client.
    pub(super) offset: Option<Box<str>>,
    /// The part of a session that another server has saved; `None` if the session is of this server.
    pub(super) elsewhere: Option<Elsewhere>,
}

/// The events of a session of another server that its client has missed.
#[derive(Debug)]
pub(super) struct Elsewhere {
    /// The position up to which all events have been seen, or read from the store.
    pub(super) after: Position,
    /// The missed events that were read from the store.
    pub(super) missed: Vec<Frame>,
}

/// The members of a CONNECT's auth that ask to resume a session.
#[derive(Deserialize)]
pub(super) struct ResumeAuth<'a> {
    #[serde(borrow)]
    pub(super) pid: Cow<'a, str>,
    /// The offset; absent if the client has seen no event.
    #[serde(borrow, default)]
    pub(super) offset: Option<Cow<'a, str>>,
}

impl ResumeRequest {
    /// Returns the number of the last event that the client has seen, if all later events are still stored.
    pub(super) fn after(
        &self,
        locked: &HistoryState<Inner>,
        suspended: &SuspendedSocket,
    ) -> Option<u64> {
        let began = suspended.began;
        let after = match self
            .offset
            .as_deref()
            .map(|offset| locked.log.parse(offset))
        {
            None | Some(Some(Offset::Elsewhere)) => began,
            // Clients retain the offset of their previous socket.
            Some(Some(Offset::At(number))) => number.max(began),
            Some(Some(Offset::Unknown) | None) => return None,
        };
        (locked.log.reaches(after) && after >= suspended.known_after).then_some(after)
    }
}
