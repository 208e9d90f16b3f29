//! Sockets that resume a session of this server, or begin one that can be resumed.

use std::pin::pin;
use std::sync::{Arc, MutexGuard};

use futures_util::future::select;

use super::state::{Elsewhere, RecoveryState, ResumeAuth, ResumeRequest, StoreClaim};
use super::suspend::StoredValues;
use crate::clock::now;
use crate::ids::new_sid;
use crate::metrics::Counted;
use crate::outbox::Frame;
use crate::rooms::recovery::{Location, Position};
use crate::rooms::{Asker, Claim, Forgotten, History, HistoryState, Link};
use crate::socket::Socket;
use crate::socket::handle::Inner;
use crate::socket::state::ConnectOutcome;
use crate::socket::values::{SocketValue, SocketValues};
use proto::Sid;

/// Values that are dropped once the history is no longer locked.
#[derive(Default)]
struct Undone {
    forgotten: Forgotten<Arc<StoredValues>>,
    /// The values that users have stored with the claimed session.
    values: Option<Arc<StoredValues>>,
    /// Earlier attempts to resume the session, whose connections count as lost.
    others: Vec<Arc<Inner>>,
}

impl RecoveryState {
    /// Creates the state of a new socket, or of one whose client asks to resume a session. `None` if there are no
    /// random bytes.
    pub(crate) fn new(history: &History<Inner>, auth: Option<&str>) -> Option<Self> {
        let fresh = new_sid()?;
        let named = auth.and_then(|auth| serde_json::from_str::<ResumeAuth<'_>>(auth).ok());
        let forgotten = named.is_some();
        let found = named.and_then(|named| named.find(history));
        let (pid, began, request) = match found {
            None => (fresh, 0, None),
            Some((pid, request)) => (pid, request.suspended.began, Some(request)),
        };
        Some(Self {
            pid,
            began,
            since: request
                .as_ref()
                .map_or_else(Position::default, |request| request.suspended.since),
            holds: false,
            revoked: false,
            forgotten: forgotten && request.is_none(),
            recovered: request.is_some(),
            request,
            claim: StoreClaim::Open,
        })
    }
}

impl ResumeAuth<'_> {
    /// Looks the session up, without changing it.
    pub(super) fn find(&self, history: &History<Inner>) -> Option<(Sid, ResumeRequest)> {
        let pid = self.pid.parse().ok()?;
        let locked = history.lock();
        let claim = locked.sessions.look(pid, now());
        let suspended = match &claim {
            Claim::Nothing => None,
            Claim::Suspended(suspended) => Some(suspended.clone()),
            Claim::Held(link) => Socket(Arc::clone(link)).suspended_session(&locked),
        };
        let offset = self.offset.as_deref().map(Box::from);
        let request = suspended.map(|suspended| ResumeRequest {
            suspended,
            offset,
            elsewhere: None,
        });
        let may = request
            .as_ref()
            .and_then(|request| request.after(&locked, &request.suspended));
        // Values of users are dropped without holding a lock.
        drop(locked);
        drop(claim);
        may.and(request).map(|request| (pid, request))
    }
}

impl Socket {
    /// Takes the values of the session to resume, so that middleware can read them, and registers the attempt.
    pub(in crate::socket) fn take_stored_values(&self) {
        let Some(recovery) = &self.0.recovery else {
            return;
        };
        let state = recovery.lock();
        let pid = state.pid;
        let values =
            { state.request.as_ref() }.map(|request| Arc::clone(&request.suspended.values));
        drop(state);
        let Some(stored) = values else { return };
        if let Some(history) = self.0.namespace.members.history() {
            let link = self.0.member.link.clone();
            history.lock().sessions.add_attempt(pid, link);
        }
        self.add_values(stored.values.clone());
    }

    /// Resolves when no later attempt to resume the same session is undecided: the latest one that is admitted wins and
    /// ends earlier ones.
    pub(crate) async fn await_turn(&self) {
        while let Some(later) = self.later_attempt() {
            select(pin!(later.closed()), pin!(self.closed())).await;
        }
    }

    fn later_attempt(&self) -> Option<Self> {
        let history = self.0.namespace.members.history()?;
        let pid = { self.0.recovery.as_ref()?.lock() }.requested()?;
        if self.ended().is_some() {
            return None;
        }
        let attempts = { history.lock() }.sessions.attempts(pid);
        let attempts = attempts.into_iter().rev().map(Self);
        let mut later = attempts.take_while(|attempt| attempt != self);
        later.find(|attempt| attempt.ended().is_none())
    }

    /// Returns the socket whose session this one resumes, if that socket is still connected.
    fn predecessor(&self, locked: &HistoryState<Inner>) -> Option<Arc<Inner>> {
        let recovery = self.0.recovery.as_ref()?.lock();
        recovery
            .request
            .as_ref()
            .filter(|_| !recovery.is_refused())?;
        locked.sessions.holder(recovery.pid)
    }

    /// Returns true if a later attempt to resume the same session has been admitted, which is about to end this socket.
    fn is_overtaken(&self, locked: &HistoryState<Inner>) -> bool {
        let Some(recovery) = &self.0.recovery else {
            return false;
        };
        let recovery = recovery.lock();
        let (pid, link) = (recovery.pid, &self.0.member.link);
        recovery.request.is_some() && !locked.sessions.has_attempt(pid, link)
    }

    /// Claims the session to resume. Returns the missed events, or `None` if the session or some of the events are not
    /// stored any more.
    fn claim(
        &self,
        pid: Sid,
        request: &ResumeRequest,
        locked: &mut HistoryState<Inner>,
        undone: &mut Undone,
    ) -> Option<Vec<Frame>> {
        if let Some(elsewhere) = &request.elsewhere {
            return self.claim_from_elsewhere(pid, elsewhere, locked, undone);
        }
        let suspended = locked.sessions.claim(pid, now(), &mut undone.forgotten)?;
        let missed = request.after(locked, &suspended).and_then(|after| {
            let (before, now) = (&request.suspended.stays, suspended.stays.clone());
            self.0
                .member
                .rebase(before, now, suspended.known_after, &locked.log);
            let (stays, known_after) = &self.0.member.stays();
            if after < *known_after {
                return None;
            }
            let id = self.id();
            locked.log.since(after, Asker { id, stays })
        });
        if missed.is_some() {
            undone.others = locked.sessions.overtake(pid, &self.0.member.link);
        }
        undone.values = Some(Arc::clone(&suspended.values));
        undone.forgotten.keep(suspended);
        missed
    }

    /// Takes over a session of another server. Returns the missed events, or `None` if some of those that this server
    /// has delivered since they were read are not stored any more.
    fn claim_from_elsewhere(
        &self,
        pid: Sid,
        elsewhere: &Elsewhere,
        locked: &mut HistoryState<Inner>,
        undone: &mut Undone,
    ) -> Option<Vec<Frame>> {
        let Location::At(number) = locked.log.locate(elsewhere.after) else {
            return None;
        };
        let (stays, known_after) = &self.0.member.stays();
        if number < *known_after {
            return None;
        }
        let id = self.id();
        let newer = locked.log.since(number, Asker { id, stays })?;
        undone.others = locked.sessions.overtake(pid, &self.0.member.link);
        Some([elsewhere.missed.as_slice(), &newer].concat())
    }

    /// Takes the values that were stored with the session after this socket has asked for it, unless middleware have
    /// stored another value of the type with this socket.
    fn take_newer(&self, before: &StoredValues, now: &StoredValues) {
        let (StoredValues { values: before, .. }, StoredValues { values: now, .. }) = (before, now);
        let was_stored = |value: &SocketValue| before.iter().any(|other| other.is_same(value));
        let own = self.0.request.added();
        let is_unchanged = |value: &SocketValue| {
            let own = own.iter().find(|other| other.is_like(value));
            own.is_none_or(was_stored)
        };
        let newer = now.iter().filter(|value| !was_stored(value));
        let newer: SocketValues = newer.filter(|value| is_unchanged(value)).cloned().collect();
        if !newer.is_empty() {
            self.add_values(newer);
        }
    }

    /// Joins the namespace, and resumes the session if there is one.
    pub(in crate::socket) fn connect_with(&self, history: &History<Inner>) -> ConnectOutcome {
        let Some(recovery) = &self.0.recovery else {
            return ConnectOutcome::Over;
        };
        let Some(mut locked) = self.lock_as_successor(history) else {
            return ConnectOutcome::Over;
        };
        let mut undone = Undone::default();
        let mut state = recovery.lock();
        let request = state.request.take();
        let missed = self.take_session(&mut state, request.as_ref(), &mut locked, &mut undone);
        let (pid, outcome, failure) = (state.pid, state.outcome(), state.failure());
        drop(state);
        let connected = match missed {
            Some(missed) => self.join_with(pid, missed, &mut locked),
            None => ConnectOutcome::Outdated,
        };
        // Values of users are dropped, and attempts that lost are ended, without holding a lock.
        drop(locked);
        let outcome = match connected {
            ConnectOutcome::Yes => outcome,
            ConnectOutcome::Over => None,
            ConnectOutcome::Outdated => Some(failure),
        };
        if let Some(outcome) = outcome {
            self.counters().add(Counted::Recoveries(outcome), 1);
        }
        if history.store.is_some() {
            self.0.namespace.sweep();
        }
        if let (Some(request), Some(values)) = (&request, &undone.values) {
            self.take_newer(&request.suspended.values, values);
        }
        undone.others.iter().for_each(|other| other.supersede());
        if request.is_some() {
            tracing::debug!(socket = %self.id(), ?connected, "resumption of a session has ended");
        }
        connected
    }

    /// Makes the requested session, or a new one if none is requested, the session of this socket. Returns the missed
    /// events, or `None` if the session cannot be resumed.
    fn take_session(
        &self,
        state: &mut RecoveryState,
        request: Option<&ResumeRequest>,
        locked: &mut HistoryState<Inner>,
        undone: &mut Undone,
    ) -> Option<Vec<Frame>> {
        let missed = match request {
            Some(_) if state.is_refused() => None,
            Some(request) => self.claim(state.pid, request, locked, undone),
            None => {
                state.began = locked.log.last();
                state.since = locked.log.last_position();
                Some(Vec::new())
            }
        };
        let link = &self.0.member.link;
        locked.sessions.remove_attempt(state.pid, link);
        if let Some(session) = state.take_claimed().filter(|_| state.revoked) {
            locked.sessions.put_back(state.pid, session);
        }
        state.holds = missed.is_some();
        missed
    }

    /// Locks the history once no other socket has the session. Returns `None` if this socket has ended, or a later
    /// attempt has been admitted.
    fn lock_as_successor<'h>(
        &self,
        history: &'h History<Inner>,
    ) -> Option<MutexGuard<'h, HistoryState<Inner>>> {
        loop {
            let locked = history.lock();
            // The socket cannot end while the history is locked.
            if self.ended().is_some() || self.is_overtaken(&locked) {
                return None;
            }
            let Some(predecessor) = self.predecessor(&locked) else {
                return Some(locked);
            };
            drop(locked);
            // This socket is admitted, so a connection that still has the session counts as lost.
            predecessor.supersede();
        }
    }

    /// Joins the namespace with the private id of the session, and queues the missed events.
    fn join_with(
        &self,
        pid: Sid,
        missed: Vec<Frame>,
        locked: &mut HistoryState<Inner>,
    ) -> ConnectOutcome {
        locked.sessions.hold(pid, self.0.member.link.clone());
        let opened = self.open(Some(pid), missed);
        if locked.sessions.store().is_some()
            && let Some(session) = self.suspended_session(locked)
        {
            locked.sessions.publish(pid, &session);
        }
        self.0.namespace.members.insert(&self.0.member);
        if opened {
            ConnectOutcome::Yes
        } else {
            ConnectOutcome::Over
        }
    }
}
