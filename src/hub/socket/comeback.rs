//! A socket whose client may lose its connection and come back.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::{Either, select};
use serde::Deserialize;
use tokio::time::Instant;

use super::Socket;
use super::life::{Connected, Ended};
use crate::engine::{EmitError, Outbox, Pushed, Sending};
use crate::hub::emit::{How, frame_at};
use crate::hub::{Grant, Nsp, new_sid};
use crate::metrics::Counted;
use crate::panics::let_go;
use crate::protocol::{EncodedArgs, Sid};
use crate::rooms::{
    Asker, Audience, Away, Claim, Forgotten, History, Kept, Link, Offset, Scope, Stay,
};

/// The private side of a socket.
#[derive(Debug)]
pub(crate) struct Comeback {
    /// Known to its client alone, who brings it when it comes back.
    pid: Sid,
    /// The last event before it was admitted first.
    began: u64,
    /// What it comes back to, until it is admitted.
    claimed: Option<Claimed>,
    /// The server has disconnected what it comes back to, before it was admitted.
    revoked: bool,
    /// Its client has come for a socket that is not kept any more.
    forgotten: bool,
    recovered: bool,
}

#[derive(Debug)]
struct Claimed {
    away: Away,
    /// The last event that its client has seen.
    after: u64,
}

/// What the client says in its CONNECT, among what else there is.
#[derive(Deserialize)]
struct Wanted<'a> {
    #[serde(borrow)]
    pid: Cow<'a, str>,
    /// Not there if it has seen no event.
    #[serde(borrow, default)]
    offset: Option<Cow<'a, str>>,
}

/// What users keep with a socket that is away.
struct Data {
    grant: Grant,
    /// A namespace that was made for its name is there as long as somebody may come back to it.
    _nsp: Option<Arc<Nsp>>,
}

impl Drop for Data {
    fn drop(&mut self) {
        self.grant.drain(..).for_each(let_go);
    }
}

impl Comeback {
    /// Of a new socket, or of one that its client says to come back to. None if there are no random bytes.
    pub(crate) fn new(history: &History, auth: Option<&str>) -> Option<Self> {
        let fresh = new_sid()?;
        let wanted = auth.and_then(|auth| serde_json::from_str::<Wanted<'_>>(auth).ok());
        let forgotten = wanted.is_some();
        let claimed = wanted.and_then(|wanted| wanted.claim(history));
        Some(match claimed {
            None => Self {
                pid: fresh,
                began: 0,
                claimed: None,
                revoked: false,
                forgotten,
                recovered: false,
            },
            Some((pid, claimed)) => Self {
                pid,
                began: claimed.away.began,
                claimed: Some(claimed),
                revoked: false,
                forgotten: false,
                recovered: true,
            },
        })
    }

    /// How the counters call it: nothing if its client did not try to come back.
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

    /// The socket's id, if it comes back.
    pub(crate) fn id(&self) -> Option<Sid> {
        self.claimed.as_ref().map(|claimed| claimed.away.id)
    }

    /// When it was in which room, of the events after one.
    pub(super) fn stays(&self) -> Option<(Vec<Stay>, u64)> {
        let away = &self.claimed.as_ref()?.away;
        Some((away.stays.clone(), away.known_after))
    }

    pub(super) const fn recovered(&self) -> bool {
        self.recovered
    }
}

impl Wanted<'_> {
    fn claim(&self, history: &History) -> Option<(Sid, Claimed)> {
        let pid = self.pid.parse().ok()?;
        // The first time it may be held by a socket whose connection is not known to be lost.
        for _ in 0..2 {
            let mut forgotten = Forgotten::default();
            let mut kept = history.lock();
            let claim = kept.sessions.claim(pid, now(), &mut forgotten);
            let after = match &claim {
                Claim::Away(away) => self.after(&kept, away),
                Claim::Held(_) | Claim::Nothing => None,
            };
            if after.is_none() && matches!(claim, Claim::Away(_)) {
                kept.sessions.end(pid);
            }
            // What users keep with it is dropped with no lock held.
            drop(kept);
            match claim {
                Claim::Nothing => return None,
                Claim::Held(socket) => socket.supersede(),
                Claim::Away(away) => {
                    let claimed = |after| Claimed { away, after };
                    return after.map(|after| (pid, claimed(after)));
                }
            }
        }
        None
    }

    /// The last event that it has seen, if what came later is still there.
    fn after(&self, kept: &Kept, away: &Away) -> Option<u64> {
        let began = away.began;
        let after = match self.offset.as_deref().map(|offset| kept.log.parse(offset)) {
            None | Some(Some(Offset::Elsewhere)) => began,
            // Clients keep the offset of a socket that they had before.
            Some(Some(Offset::At(number))) => number.max(began),
            Some(None) => return None,
        };
        (kept.log.reaches(after) && after >= away.known_after).then_some(after)
    }
}

impl Socket {
    /// Takes back what is kept of it, if it comes back.
    pub(super) fn take_back(&self) {
        let (Some(history), Some(comeback)) = (self.0.nsp.members.history(), &self.0.comeback)
        else {
            return;
        };
        let claiming = comeback.lock();
        let Some(claimed) = &claiming.claimed else {
            return;
        };
        let (pid, data) = (claiming.pid, Arc::clone(&claimed.away.data));
        drop(claiming);
        let mut kept = history.lock();
        let wanted = kept.sessions.knows(pid);
        if wanted {
            kept.sessions.hold(pid, self.0.member.link.clone());
        }
        drop(kept);
        if !wanted {
            // The server has disconnected it since it was claimed.
            comeback.lock().revoked = true;
            return;
        }
        if let Some(Data { grant, .. }) = data.downcast_ref() {
            self.grant(grant.clone());
        }
    }

    /// Joins the namespace, as the socket that it was if it comes back.
    pub(super) fn come_back(&self, history: &History) -> Connected {
        let Some(comeback) = &self.0.comeback else {
            return Connected::Over;
        };
        let mut kept = history.lock();
        // Nobody ends it while the history is locked.
        if self.ended().is_some() {
            return Connected::Over;
        }
        let mut comeback = comeback.lock();
        let claimed = comeback.claimed.take();
        let missed = match &claimed {
            Some(_) if comeback.revoked => None,
            Some(claimed) => {
                let (id, stays) = (self.id(), &self.0.member.stays().0);
                kept.log.since(claimed.after, Asker { id, stays })
            }
            None => {
                comeback.began = kept.log.last();
                Some(Vec::new())
            }
        };
        let (pid, outcome) = (comeback.pid, comeback.outcome());
        drop(comeback);
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
        // What users keep with it is dropped, and what they listen to is told, with no lock held.
        drop(kept);
        if claimed.is_some() {
            tracing::debug!(socket = %self.id(), ?connected, "came back");
        }
        connected
    }

    /// The server does not want it back, if it is away. If its client has come back already, that socket is disconnected; if it
    /// is just coming back, it begins anew.
    pub(super) fn revoke(&self, scope: Scope) {
        let (Some(history), Some(comeback)) = (self.0.nsp.members.history(), &self.0.comeback)
        else {
            return;
        };
        let pid = comeback.lock().pid;
        let mut forgotten = Forgotten::default();
        let mut kept = history.lock();
        let holder = kept.sessions.revoke(pid, &mut forgotten);
        let itself = holder.as_ref().is_some_and(|holder| self.is_behind(holder));
        // While the history is locked it cannot be admitted.
        comeback.lock().revoked |= itself;
        drop(kept);
        drop(forgotten);
        match holder {
            // It has been admitted just before, or will not be.
            Some(_) if itself && self.connected() => self.disconnect_from(scope),
            Some(holder) if !itself => holder.disconnect(scope),
            _ => {}
        }
    }

    /// Keeps what its client may come back to.
    pub(super) fn keep(&self, kept: &mut Kept, ended: Ended, forgotten: &mut Forgotten) {
        let Some(comeback) = &self.0.comeback else {
            return;
        };
        let mut comeback = comeback.lock();
        let claimed = comeback.claimed.take();
        let tells = self.0.client.revision.is_four();
        let away = if tells && ended.was_connected && ended.reason.is_recoverable() {
            let (stays, known_after) = self.0.member.stays();
            let data = Data {
                grant: self.0.request.added(),
                _nsp: self.0.nsp.is_of_family().then(|| Arc::clone(&self.0.nsp)),
            };
            Some(Away {
                id: self.id(),
                began: comeback.began,
                stays,
                known_after,
                data: Arc::new(data),
                until: kept.sessions.until(now()),
            })
        } else {
            // It was not let in, but may try again.
            claimed
                .filter(|_| !comeback.revoked)
                .map(|claimed| claimed.away)
        };
        match away {
            Some(away) => kept.sessions.keep(comeback.pid, away, forgotten),
            None => kept.sessions.end(comeback.pid),
        }
    }

    /// Queues an event, or keeps it for when the client comes back.
    pub(super) fn send_and_keep(
        &self,
        history: &History,
        args: &EncodedArgs,
        how: How,
    ) -> Result<bool, EmitError> {
        let connected = self.connected();
        if self.0.nsp.members.observed && connected {
            self.0
                .member
                .observe(&frame_at(args, self.namespace(), None));
        }
        let mut forgotten = Forgotten::default();
        let mut kept = history.lock();
        let volatile = how.volatile;
        let number = kept.log.last() + u64::from(!volatile);
        let frame = frame_at(args, self.namespace(), Some(&kept.log.offset(number)));
        let frame = how.apply(frame);
        let mut pushed = match self.holder() {
            Some(outbox) => outbox.push(frame.clone(), volatile),
            None => Pushed::Closed,
        };
        if pushed == Pushed::Closed && !volatile && self.is_known(&kept) {
            pushed = Pushed::Queued;
        }
        if pushed == Pushed::Queued && !volatile {
            let audience = Audience::Socket(self.id());
            kept.append(now(), audience, frame.clone(), &mut forgotten);
        }
        // Frames hold bytes of users, which are dropped with no lock held.
        drop(kept);
        drop(forgotten);
        self.0.nsp.sweep();
        self.0.nsp.sent(pushed)
    }

    /// The same, as soon as there is room.
    pub(super) async fn send_and_keep_when_writable(
        &self,
        history: &History,
        args: EncodedArgs,
        how: How,
    ) -> Result<(), EmitError> {
        if self.0.nsp.members.observed && self.connected() {
            self.0
                .member
                .observe(&frame_at(&args, self.namespace(), None));
        }
        let mut unsent = Unsent {
            history,
            number: None,
        };
        let mut sending: Option<Sending<'_>> = None;
        let sent = std::future::poll_fn(|cx: &mut Context<'_>| {
            if let Some(sending) = &mut sending {
                return Pin::new(sending).poll(cx);
            }
            let mut forgotten = Forgotten::default();
            let mut kept = history.lock();
            if !self.connected() {
                // Its client may have come back to another socket.
                drop(kept);
                return Poll::Ready(self.send_and_keep(history, &args, how).map(drop));
            }
            let number = kept.log.last() + 1;
            let frame = frame_at(&args, self.namespace(), Some(&kept.log.offset(number)));
            let frame = how.apply(frame);
            let audience = Audience::Socket(self.id());
            kept.append(now(), audience, frame.clone(), &mut forgotten);
            unsent.number = Some(number);
            // It has its place in the queue, or in the line for it, before another event has the next number.
            let sent = Pin::new(sending.insert(self.0.member.outbox.send(frame))).poll(cx);
            drop(kept);
            drop(forgotten);
            sent
        });
        let sent = match select(pin!(sent), pin!(self.closed())).await {
            Either::Left((sent, _)) => sent,
            Either::Right(_) => Err(EmitError::Closed),
        };
        let known = unsent.number.is_some() && self.is_known(&history.lock());
        if sent.is_ok() || known {
            let counted = unsent.number.take().is_none();
            self.0.nsp.sweep();
            return if counted {
                sent
            } else {
                self.0.nsp.sent(Pushed::Queued).map(drop)
            };
        }
        sent
    }

    /// Where its client is now: with this socket, or with the one that it has come back to.
    fn holder(&self) -> Option<Arc<Outbox>> {
        if self.connected() {
            return Some(Arc::clone(&self.0.member.outbox));
        }
        let holder = self.0.nsp.members.get(self.id())?;
        Some(Arc::clone(&holder.outbox))
    }

    fn is_behind(&self, link: &Arc<dyn Link>) -> bool {
        Self::from_link(Arc::clone(link)).is_some_and(|socket| socket == *self)
    }

    /// Whether its client is here or may come back.
    fn is_known(&self, kept: &Kept) -> bool {
        let comeback = self.0.comeback.as_ref();
        comeback.is_some_and(|comeback| kept.sessions.knows(comeback.lock().pid))
    }
}

/// An event that is kept, but whose sender may still change its mind.
struct Unsent<'a> {
    history: &'a History,
    number: Option<u64>,
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let withdrawn = self.history.lock().log.withdraw(number);
            drop(withdrawn);
        }
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Data").field(&self.grant.len()).finish()
    }
}
