//! The recovery state of one socket.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;

use super::resume::StoredValues;
use crate::metrics::RecoveryOutcome;
use crate::outbox::Frame;
use crate::rooms::recovery::{Position, SavedSession};
use crate::rooms::{Away, Kept, Offset, Stay};
use crate::socket::handle::Inner;
use proto::Sid;

/// A stored session.
pub(in crate::socket) type Session = Away<Arc<StoredValues>>;

/// The recovery state of a socket.
#[derive(Debug)]
pub(crate) struct RecoveryState {
    /// The private id of the session. Only the client knows it, and sends it when it reconnects.
    pub(in crate::socket) pid: Sid,
    /// The number of the last event before the socket was first admitted.
    pub(in crate::socket) began: u64,
    /// The position of that event, if a store assigns positions.
    pub(in crate::socket) since: Position,
    /// The session to resume, until middleware have admitted the socket. It is claimed only then, so a refused client
    /// that knows the private id of another changes nothing.
    pub(in crate::socket) request: Option<ResumeRequest>,
    /// True if the socket has been admitted, and the private id is its own.
    pub(in crate::socket) holds: bool,
    /// True if the server has disconnected the socket before it was admitted.
    pub(in crate::socket) revoked: bool,
    /// True if the client has requested a session that is not stored any more.
    pub(in crate::socket) forgotten: bool,
    pub(in crate::socket) recovered: bool,
    pub(in crate::socket) claim: StoreClaim,
}

/// The claim of a session at a store that servers share. Without a store it stays open.
#[derive(Debug, Default)]
pub(in crate::socket) enum StoreClaim {
    #[default]
    Open,
    Taken(SavedSession),
    /// The store has not given the session out.
    Refused(RecoveryOutcome),
}

impl RecoveryState {
    /// Returns the label of the outcome in the counters; `None` if the client has not asked to resume a session.
    pub(in crate::socket) const fn outcome(&self) -> Option<RecoveryOutcome> {
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
    pub(in crate::socket) const fn failure(&self) -> RecoveryOutcome {
        match self.claim {
            StoreClaim::Refused(outcome) => outcome,
            StoreClaim::Open | StoreClaim::Taken(_) => RecoveryOutcome::Failed,
        }
    }

    /// Returns the id of the socket to resume.
    pub(crate) fn id(&self) -> Option<Sid> {
        self.request.as_ref().map(|request| request.away.id)
    }

    /// Returns the stays in rooms of the session to resume, and the number of the event after which they are known.
    pub(in crate::socket) fn stays(&self) -> Option<(Vec<Stay>, u64)> {
        let away = &self.request.as_ref()?.away;
        Some((away.stays.clone(), away.known_after))
    }

    /// Returns true if the session may not be claimed any more: the server has revoked it, or its store does not give
    /// it out.
    pub(in crate::socket) const fn is_refused(&self) -> bool {
        self.revoked || matches!(self.claim, StoreClaim::Refused(_))
    }

    /// Takes the session that was claimed at the store.
    pub(in crate::socket) fn take_claimed(&mut self) -> Option<SavedSession> {
        match std::mem::take(&mut self.claim) {
            StoreClaim::Taken(session) => Some(session),
            other => {
                self.claim = other;
                None
            }
        }
    }

    pub(in crate::socket) const fn recovered(&self) -> bool {
        self.recovered
    }
}

/// The request of a client to resume a session.
#[derive(Debug)]
pub(in crate::socket) struct ResumeRequest {
    /// The state of the session at the time of the request.
    pub(in crate::socket) away: Session,
    /// The offset of the last event that the client has seen, as sent by the client.
    pub(in crate::socket) offset: Option<Box<str>>,
    /// The part of a session that another server has saved; `None` if the session is of this server.
    pub(in crate::socket) elsewhere: Option<Elsewhere>,
}

/// The events of a session of another server that its client has missed.
#[derive(Debug)]
pub(in crate::socket) struct Elsewhere {
    /// The position up to which all events have been seen, or read from the store.
    pub(in crate::socket) after: Position,
    /// The missed events that were read from the store.
    pub(in crate::socket) missed: Vec<Frame>,
}

/// The members of a CONNECT's auth that ask to resume a session.
#[derive(Deserialize)]
pub(in crate::socket) struct ResumeAuth<'a> {
    #[serde(borrow)]
    pub(in crate::socket) pid: Cow<'a, str>,
    /// The offset; absent if the client has seen no event.
    #[serde(borrow, default)]
    pub(in crate::socket) offset: Option<Cow<'a, str>>,
}

impl ResumeRequest {
    /// Returns the number of the last event that the client has seen, if all later events are still stored.
    pub(in crate::socket) fn after(&self, kept: &Kept<Inner>, away: &Session) -> Option<u64> {
        let began = away.began;
        let after = match self.offset.as_deref().map(|offset| kept.log.parse(offset)) {
            None | Some(Some(Offset::Elsewhere)) => began,
            // Clients retain the offset of their previous socket.
            Some(Some(Offset::At(number))) => number.max(began),
            Some(Some(Offset::Unknown) | None) => return None,
        };
        (kept.log.reaches(after) && after >= away.known_after).then_some(after)
    }
}
