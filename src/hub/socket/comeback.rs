//! Sockets whose sessions can be resumed after a lost connection.

use std::any::Any;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::select;

use super::Socket;
use super::life::{Connected, Ended};
use super::wish::{Wanted, Wish};
use crate::hub::{Grant, SocketNamespace, Stored, new_sid, now};
use crate::metrics::Counted;
use crate::outbox::{Frame, Outbox};
use crate::panics::let_go;
use crate::rooms::{Asker, Away, Forgotten, History, Kept, Link, Scope, Stay};
use proto::Sid;

/// The recovery state of a socket.
#[derive(Debug)]
pub(crate) struct Comeback {
    /// The private id of the session. Only the client knows it, and sends it when it reconnects.
    pid: Sid,
    /// The number of the last event before the socket was first admitted.
    began: u64,
    /// The session to resume, until middleware have admitted the socket. It is claimed only then, so a refused client
    /// that knows the private id of another changes nothing.
    wanted: Option<Wish>,
    /// True if the socket has been admitted, and the private id is its own.
    holds: bool,
    /// True if the server has disconnected the socket before it was admitted.
    revoked: bool,
    /// True if the client has requested a session that is not stored any more.
    forgotten: bool,
    recovered: bool,
}

/// Values that are dropped once the history is no longer locked.
#[derive(Default)]
struct Undone {
    forgotten: Forgotten,
    /// The values that users have stored with the claimed session.
    data: Option<Arc<dyn Any + Send + Sync>>,
    /// Earlier attempts to resume the session, whose connections count as lost.
    others: Vec<Arc<dyn Link>>,
}

/// The values that users have stored with a session.
struct Data {
    grant: Grant,
    /// The dynamic namespace of the session, which exists as long as the session may be resumed.
    _nsp: Option<Arc<SocketNamespace>>,
}

impl Drop for Data {
    fn drop(&mut self) {
        self.grant.drain(..).for_each(let_go);
    }
}

impl Comeback {
    /// Creates the state of a new socket, or of one whose client asks to resume a session. `None` if there are no
    /// random bytes.
    pub(crate) fn new(history: &History, auth: Option<&str>) -> Option<Self> {
        let fresh = new_sid()?;
        let named = auth.and_then(|auth| serde_json::from_str::<Wanted<'_>>(auth).ok());
        let forgotten = named.is_some();
        let found = named.and_then(|named| named.find(history));
        let (pid, began, wanted) = match found {
            None => (fresh, 0, None),
            Some((pid, wish)) => (pid, wish.away.began, Some(wish)),
        };
        Some(Self {
            pid,
            began,
            holds: false,
            revoked: false,
            forgotten: forgotten && wanted.is_none(),
            recovered: wanted.is_some(),
            wanted,
        })
    }

    /// Returns the label of the outcome in the counters; `None` if the client has not asked to resume a session.
    const fn outcome(&self) -> Option<&'static str> {
        match self {
            Self {
                recovered: true, ..
            } => Some("recovered"),
            Self {
                forgotten: true, ..
            } => Some("failed"),
            Self { .. } => None,
        }
    }

    /// Returns the id of the socket to resume.
    pub(crate) fn id(&self) -> Option<Sid> {
        self.wanted.as_ref().map(|wish| wish.away.id)
    }

    /// Returns the stays in rooms of the session to resume, and the number of the event after which they are known.
    pub(super) fn stays(&self) -> Option<(Vec<Stay>, u64)> {
        let away = &self.wanted.as_ref()?.away;
        Some((away.stays.clone(), away.known_after))
    }

    pub(super) const fn recovered(&self) -> bool {
        self.recovered
    }
}

impl Socket {
    /// Takes the values of the session to resume, so that middleware can read them, and registers the attempt.
    pub(super) fn take_back(&self) {
        let Some(comeback) = &self.0.comeback else {
            return;
        };
        let state = comeback.lock();
        let wish = state.wanted.as_ref();
        let Some((pid, data)) = wish.map(|wish| (state.pid, Arc::clone(&wish.away.data))) else {
            return;
        };
        drop(state);
        if let Some(history) = self.0.nsp.members.history() {
            let link = self.0.member.link.clone();
            history.lock().sessions.seek(pid, link);
        }
        if let Some(Data { grant, .. }) = data.downcast_ref() {
            self.grant(grant.clone());
        }
    }

    /// Resolves when no later attempt to resume the same session is undecided: the latest one that is admitted wins and
    /// ends earlier ones.
    pub(crate) async fn await_turn(&self) {
        while let Some(later) = self.later_attempt() {
            select(pin!(later.closed()), pin!(self.closed())).await;
        }
    }

    fn later_attempt(&self) -> Option<Self> {
        let (history, comeback) = (self.0.nsp.members.history()?, self.0.comeback.as_ref()?);
        let state = comeback.lock();
        let pid = state.wanted.as_ref().map(|_| state.pid)?;
        drop(state);
        if self.ended().is_some() {
            return None;
        }
        let kept = history.lock();
        let seekers = kept.sessions.seekers(pid);
        drop(kept);
        let seekers = seekers.into_iter().rev().filter_map(Self::from_link);
        let mut later = seekers.take_while(|seeker| seeker != self);
        later.find(|seeker| seeker.ended().is_none())
    }

    /// Returns the session that would be stored if the connection were lost now.
    pub(super) fn as_if_away(&self, kept: &Kept) -> Option<Away> {
        let began = self.0.comeback.as_ref()?.lock().began;
        let (stays, known_after) = self.0.member.stays();
        let data = Data {
            grant: self.0.request.added(),
            _nsp: self.0.nsp.is_dynamic().then(|| Arc::clone(&self.0.nsp)),
        };
        Some(Away {
            id: self.id(),
            began,
            stays,
            known_after,
            data: Arc::new(data),
            until: kept.sessions.until(now()),
        })
    }

    /// Returns the socket whose session this one resumes, if that socket is still connected.
    fn predecessor(&self, kept: &Kept) -> Option<Arc<dyn Link>> {
        let comeback = self.0.comeback.as_ref()?.lock();
        comeback.wanted.as_ref().filter(|_| !comeback.revoked)?;
        kept.sessions.holder(comeback.pid)
    }

    /// Returns true if a later attempt to resume the same session has been admitted, which is about to end this socket.
    fn is_overtaken(&self, kept: &Kept) -> bool {
        let Some(comeback) = &self.0.comeback else {
            return false;
        };
        let comeback = comeback.lock();
        let seeks = || kept.sessions.seeks(comeback.pid, &self.0.member.link);
        comeback.wanted.is_some() && !seeks()
    }

    /// Claims the session to resume. Returns the missed events, or `None` if the session or some of the events are not
    /// stored any more.
    fn claim(
        &self,
        pid: Sid,
        wish: &Wish,
        kept: &mut Kept,
        undone: &mut Undone,
    ) -> Option<Vec<Frame>> {
        let away = kept.sessions.claim(pid, now(), &mut undone.forgotten)?;
        let missed = wish.after(kept, &away).and_then(|after| {
            let (before, now) = (&wish.away.stays, away.stays.clone());
            self.0
                .member
                .rebase(before, now, away.known_after, &kept.log);
            let (stays, known_after) = &self.0.member.stays();
            if after < *known_after {
                return None;
            }
            let id = self.id();
            kept.log.since(after, Asker { id, stays })
        });
        if missed.is_some() {
            undone.others = kept.sessions.overtake(pid, &self.0.member.link);
        }
        undone.data = Some(Arc::clone(&away.data));
        undone.forgotten.keep(away);
        missed
    }

    /// Takes the values that were stored with the session after this socket has asked for it, unless middleware have
    /// stored another value of the type with this socket.
    fn take_newer(&self, before: &Arc<dyn Any + Send + Sync>, now: &Arc<dyn Any + Send + Sync>) {
        let (Some(before), Some(now)) = (before.downcast_ref(), now.downcast_ref()) else {
            return;
        };
        let (Data { grant: before, .. }, Data { grant: now, .. }) = (before, now);
        let was_kept = |kept: &Stored| before.iter().any(|other| other.is_same(kept));
        let own = self.0.request.added();
        let is_unchanged = |kept: &Stored| {
            let own = own.iter().find(|other| other.is_like(kept));
            own.is_none_or(was_kept)
        };
        let newer = now.iter().filter(|kept| !was_kept(kept));
        let newer: Grant = newer.filter(|kept| is_unchanged(kept)).cloned().collect();
        if !newer.is_empty() {
            self.grant(newer);
        }
    }

    /// Joins the namespace, and resumes the session if there is one.
    pub(super) fn come_back(&self, history: &History) -> Connected {
        let Some(comeback) = &self.0.comeback else {
            return Connected::Over;
        };
        let mut undone = Undone::default();
        let mut kept = loop {
            let kept = history.lock();
            // The socket cannot end while the history is locked.
            if self.ended().is_some() || self.is_overtaken(&kept) {
                return Connected::Over;
            }
            let Some(predecessor) = self.predecessor(&kept) else {
                break kept;
            };
            drop(kept);
            // This socket is admitted, so a connection that still has the session counts as lost.
            predecessor.supersede();
        };
        let mut state = comeback.lock();
        let wish = state.wanted.take();
        let missed = match &wish {
            Some(_) if state.revoked => None,
            Some(wish) => self.claim(state.pid, wish, &mut kept, &mut undone),
            None => {
                state.began = kept.log.last();
                Some(Vec::new())
            }
        };
        kept.sessions.stop_seeking(state.pid, &self.0.member.link);
        let (pid, outcome) = (state.pid, state.outcome());
        state.holds = missed.is_some();
        drop(state);
        let connected = match missed {
            None => {
                self.counters().add_for(Counted::Recoveries, "failed", 1);
                Connected::Outdated
            }
            Some(missed) => {
                kept.sessions.hold(pid, self.0.member.link.clone());
                let opened = self.open(Some(pid), missed);
                self.0.nsp.members.insert(&self.0.member);
                if opened {
                    if let Some(outcome) = outcome {
                        self.counters().add_for(Counted::Recoveries, outcome, 1);
                    }
                    Connected::Yes
                } else {
                    Connected::Over
                }
            }
        };
        // Values of users are dropped, and attempts that lost are ended, without holding a lock.
        drop(kept);
        if let (Some(wish), Some(data)) = (&wish, &undone.data) {
            self.take_newer(&wish.away.data, data);
        }
        undone.others.iter().for_each(|other| other.supersede());
        if wish.is_some() {
            tracing::debug!(socket = %self.id(), ?connected, "came back");
        }
        connected
    }

    /// Revokes the session of a socket that is away. If its client has already resumed it, that socket is disconnected;
    /// if it is about to, it gets a new socket.
    pub(super) fn revoke(&self, scope: Scope) {
        let (Some(history), Some(comeback)) = (self.0.nsp.members.history(), &self.0.comeback)
        else {
            return;
        };
        let mut state = comeback.lock();
        if !state.holds {
            // The session that it asks for does not belong to it yet.
            state.revoked = true;
            return;
        }
        let pid = state.pid;
        drop(state);
        let mut forgotten = Forgotten::default();
        let mut kept = history.lock();
        let holder = kept.sessions.revoke(pid, &mut forgotten);
        let seekers = kept.sessions.seekers(pid);
        let itself = holder.as_ref().is_some_and(|holder| self.is_behind(holder));
        drop(kept);
        drop(forgotten);
        match holder {
            // The socket was admitted after `disconnect_from` had found it not connected.
            Some(_) if itself && self.connected() => self.disconnect_from(scope),
            Some(holder) if !itself => holder.disconnect(scope),
            _ => {}
        }
        seekers.iter().for_each(|seeker| seeker.disconnect(scope));
    }

    /// Stores the session of a socket that has ended, if its client may resume it.
    pub(super) fn keep(&self, kept: &mut Kept, ended: Ended, forgotten: &mut Forgotten) {
        let Some(comeback) = &self.0.comeback else {
            return;
        };
        let mut comeback = comeback.lock();
        // An attempt to resume leaves the session unchanged.
        let wish = comeback.wanted.take();
        if let Some(wish) = wish {
            kept.sessions
                .stop_seeking(comeback.pid, &self.0.member.link);
            forgotten.keep(wish.away);
        }
        if !comeback.holds {
            return;
        }
        let pid = comeback.pid;
        drop(comeback);
        let tells = self.0.client.revision.is_four();
        let recoverable = tells && ended.was_connected && ended.reason.is_recoverable();
        match recoverable.then(|| self.as_if_away(kept)).flatten() {
            Some(away) => kept.sessions.keep(pid, away, forgotten),
            None => kept.sessions.end(pid),
        }
    }

    /// Returns the outbox of the client: that of this socket, or of the socket that has resumed its session.
    pub(super) fn holder(&self) -> Option<Arc<Outbox>> {
        if self.connected() {
            return Some(Arc::clone(&self.0.member.outbox));
        }
        // Before it is admitted, the socket of that id is the one whose session it asks for.
        let holds = { self.0.comeback.as_ref()?.lock() }.holds;
        let holder = self.0.nsp.members.get(self.id()).filter(|_| holds)?;
        Some(Arc::clone(&holder.outbox))
    }

    /// Returns true if the client is connected or may resume the session.
    pub(super) fn is_known(&self, kept: &Kept) -> bool {
        let Some(comeback) = &self.0.comeback else {
            return false;
        };
        // Until the socket is admitted, the private id may belong to another one.
        let state = comeback.lock();
        state.holds && kept.sessions.knows(state.pid)
    }

    fn is_behind(&self, link: &Arc<dyn Link>) -> bool {
        Self::from_link(Arc::clone(link)).is_some_and(|socket| socket == *self)
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Data").field(&self.grant.len()).finish()
    }
}
