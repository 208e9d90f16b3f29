//! The private ids of sockets, and the stored state of those whose connection is lost.
//!
//! ```text
//!             admitted                connection lost
//!   unknown ───────────▶ held by a socket ─────────▶ away ──▶ unknown: too late, or too many
//!                               ▲                     │
//!                               └─────────────────────┘
//!                                claimed, when middleware have admitted it
//! ```

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::{Forgotten, Stay};
use crate::protocol::Sid;
use crate::rooms::Link;

/// The stored state of a socket.
#[derive(Clone)]
pub(crate) struct Away {
    pub(crate) id: Sid,
    /// The number of the last event before the socket was first admitted.
    pub(crate) began: u64,
    pub(crate) stays: Vec<Stay>,
    /// The number of the event after which the stays are known.
    pub(crate) known_after: u64,
    /// The values that users have stored with the socket.
    pub(crate) data: Arc<dyn Any + Send + Sync>,
    /// The time at which the state expires.
    pub(crate) until: Instant,
}

enum Place {
    Held(Weak<dyn Link>),
    Away(Away),
    /// A client has claimed the socket, and is about to hold it.
    Claimed,
}

/// The result of a claim for a private id.
pub(crate) enum Claim {
    /// A connected socket has the id: its connection is not known to be lost.
    Held(Arc<dyn Link>),
    /// The stored state, which has been removed. Call [`hold`](Sessions::hold) or [`end`](Sessions::end) next.
    Away(Away),
    Nothing,
}

/// The sessions of a namespace, by private id.
#[derive(Default)]
pub(crate) struct Sessions {
    // The server makes all these ids, so the hasher need not withstand chosen keys.
    places: FxHashMap<Sid, Place>,
    /// The stored sessions, the first to expire first.
    away: BTreeSet<(Instant, Sid)>,
    /// Sockets that middleware have not admitted yet and that want to resume a session, the latest last.
    seekers: FxHashMap<Sid, Vec<Weak<dyn Link>>>,
    keep: Duration,
    max: usize,
}

impl Sessions {
    pub(super) fn new(keep: Duration, max: usize) -> Self {
        Self {
            keep,
            max,
            ..Self::default()
        }
    }

    /// Registers a socket that has connected or resumed.
    pub(crate) fn hold(&mut self, pid: Sid, link: Weak<dyn Link>) {
        self.places.insert(pid, Place::Held(link));
    }

    /// Returns true if the socket is connected or may resume.
    pub(crate) fn knows(&self, pid: Sid) -> bool {
        self.places.contains_key(&pid)
    }

    /// Returns the time at which a session expires whose connection is lost now.
    pub(crate) fn until(&self, now: Instant) -> Instant {
        // A time that the clock cannot represent expires at once.
        now.checked_add(self.keep).unwrap_or(now)
    }

    /// Stores a session whose connection is lost, or that could not resume.
    pub(crate) fn keep(&mut self, pid: Sid, away: Away, forgotten: &mut Forgotten) {
        self.away.insert((away.until, pid));
        self.places.insert(pid, Place::Away(away));
        while self.away.len() > self.max {
            self.forget_first(forgotten);
        }
    }

    /// Returns true if no socket is connected and none may resume.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Revokes a session, so that no client can resume it. Returns the socket that has its id, if it is connected.
    pub(crate) fn revoke(&mut self, pid: Sid, forgotten: &mut Forgotten) -> Option<Arc<dyn Link>> {
        match self.places.get(&pid)? {
            Place::Held(link) => link.upgrade(),
            // The client that has claimed it finds it removed.
            Place::Claimed => {
                self.places.remove(&pid);
                None
            }
            Place::Away(away) => {
                self.away.remove(&(away.until, pid));
                if let Some(Place::Away(away)) = self.places.remove(&pid) {
                    forgotten.sessions.push(away);
                }
                None
            }
        }
    }

    /// Removes a session that will not resume.
    pub(crate) fn end(&mut self, pid: Sid) {
        if let Some(Place::Held(_) | Place::Claimed) = self.places.get(&pid) {
            self.places.remove(&pid);
        }
    }

    /// Registers a socket that wants to resume the session with this private id.
    pub(crate) fn seek(&mut self, pid: Sid, link: Weak<dyn Link>) {
        self.seekers.entry(pid).or_default().push(link);
    }

    /// Unregisters a socket whose attempt to resume has been decided.
    pub(crate) fn stop_seeking(&mut self, pid: Sid, link: &Weak<dyn Link>) {
        if let Some(seekers) = self.seekers.get_mut(&pid) {
            seekers.retain(|other| !other.ptr_eq(link));
            if seekers.is_empty() {
                self.seekers.remove(&pid);
            }
        }
    }

    /// Returns the sockets that want to resume the session with this private id, the latest last.
    pub(crate) fn seekers(&self, pid: Sid) -> Vec<Arc<dyn Link>> {
        let seekers = self.seekers.get(&pid).into_iter().flatten();
        seekers.filter_map(Weak::upgrade).collect()
    }

    /// Returns what a claim would find for a private id, without claiming it.
    pub(crate) fn look(&self, pid: Sid, now: Instant) -> Claim {
        match self.places.get(&pid) {
            None | Some(Place::Claimed) => Claim::Nothing,
            Some(Place::Held(link)) => link.upgrade().map_or(Claim::Nothing, Claim::Held),
            Some(Place::Away(away)) if away.until <= now => Claim::Nothing,
            Some(Place::Away(away)) => Claim::Away(away.clone()),
        }
    }

    pub(crate) fn claim(&mut self, pid: Sid, now: Instant, forgotten: &mut Forgotten) -> Claim {
        match self.places.remove(&pid) {
            None => Claim::Nothing,
            Some(Place::Claimed) => {
                self.places.insert(pid, Place::Claimed);
                Claim::Nothing
            }
            Some(Place::Held(link)) => match link.upgrade() {
                Some(held) => {
                    self.places.insert(pid, Place::Held(link));
                    Claim::Held(held)
                }
                None => Claim::Nothing,
            },
            Some(Place::Away(away)) => {
                self.away.remove(&(away.until, pid));
                if away.until <= now {
                    forgotten.sessions.push(away);
                    Claim::Nothing
                } else {
                    self.places.insert(pid, Place::Claimed);
                    Claim::Away(away)
                }
            }
        }
    }

    pub(crate) fn expire(&mut self, now: Instant, forgotten: &mut Forgotten) {
        while self.next_expiry().is_some_and(|at| at <= now) {
            self.forget_first(forgotten);
        }
    }

    pub(super) fn forget_away(&mut self, forgotten: &mut Forgotten) {
        while !self.away.is_empty() {
            self.forget_first(forgotten);
        }
    }

    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.away.first().map(|(at, _)| *at)
    }

    fn forget_first(&mut self, forgotten: &mut Forgotten) {
        let Some((_, pid)) = self.away.pop_first() else {
            return;
        };
        if let Some(Place::Away(away)) = self.places.remove(&pid) {
            forgotten.sessions.push(away);
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("known", &self.places.len())
            .field("away", &self.away.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Away")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Frame;
    use crate::rooms::Scope;

    struct Nobody;

    impl Link for Nobody {
        fn disconnect(&self, _: Scope) {}
        fn outgoing(&self, _: &Frame) {}
        fn supersede(&self) {}
    }

    fn id(n: u8) -> Sid {
        Sid::from_random([n; 15])
    }

    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn now() -> Instant {
        Instant::now()
    }

    fn away(until: Instant) -> Away {
        Away {
            id: id(9),
            began: 0,
            stays: Vec::new(),
            known_after: 0,
            data: Arc::new(()),
            until,
        }
    }

    fn what(sessions: &mut Sessions, pid: Sid, now: Instant) -> &'static str {
        match sessions.claim(pid, now, &mut Forgotten::default()) {
            Claim::Held(_) => "held",
            Claim::Away(_) => "away",
            Claim::Nothing => "nothing",
        }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn who_is_claimed_is_known_until_it_is_held_or_ended() {
        let (now, mut forgotten) = (now(), Forgotten::default());
        let mut sessions = Sessions::new(MINUTE, 10);
        assert_eq!(what(&mut sessions, id(1), now), "nothing");
        sessions.keep(id(1), away(now + MINUTE), &mut forgotten);
        assert_eq!(what(&mut sessions, id(1), now), "away");
        // Another client claims it at the same time.
        assert_eq!(what(&mut sessions, id(1), now), "nothing");
        assert!(sessions.knows(id(1)));
        let socket: Arc<dyn Link> = Arc::new(Nobody);
        sessions.hold(id(1), Arc::downgrade(&socket));
        assert_eq!(what(&mut sessions, id(1), now), "held");
        sessions.end(id(1));
        assert!(!sessions.knows(id(1)));
        assert_eq!(what(&mut sessions, id(1), now), "nothing");
    }

    #[test]
    fn who_is_not_wanted_any_more_is_gone_also_while_its_client_comes_for_it() {
        let (now, mut forgotten) = (now(), Forgotten::default());
        let mut sessions = Sessions::new(MINUTE, 10);
        for claimed in [false, true] {
            sessions.keep(id(1), away(now + MINUTE), &mut forgotten);
            if claimed {
                assert_eq!(what(&mut sessions, id(1), now), "away");
            }
            assert!(sessions.revoke(id(1), &mut forgotten).is_none());
            assert!(!sessions.knows(id(1)));
        }
        let socket: Arc<dyn Link> = Arc::new(Nobody);
        sessions.hold(id(1), Arc::downgrade(&socket));
        assert!(sessions.revoke(id(1), &mut forgotten).is_some());
        assert!(sessions.knows(id(1)), "it is here");
    }

    #[test]
    fn who_stays_away_too_long_is_forgotten() {
        let (now, mut forgotten) = (now(), Forgotten::default());
        let mut sessions = Sessions::new(MINUTE, 10);
        for (n, seconds) in [(1, 10), (2, 5), (3, 20)] {
            sessions.keep(
                id(n),
                away(now + Duration::from_secs(seconds)),
                &mut forgotten,
            );
        }
        assert_eq!(sessions.next_expiry(), Some(now + Duration::from_secs(5)));
        sessions.expire(now + Duration::from_secs(10), &mut forgotten);
        assert_eq!(forgotten.sessions.len(), 2);
        assert!(!sessions.knows(id(1)) && sessions.knows(id(3)));
        // Nothing has removed it yet, and it has expired all the same.
        assert_eq!(what(&mut sessions, id(3), now + MINUTE), "nothing");
        assert!(!sessions.knows(id(3)));
        assert_eq!(sessions.next_expiry(), None);
    }

    #[test]
    fn of_too_many_the_first_to_be_forgotten_goes() {
        let (now, mut forgotten) = (now(), Forgotten::default());
        let mut sessions = Sessions::new(MINUTE, 2);
        for n in 1..=3 {
            let until = now + Duration::from_secs(n.into());
            sessions.keep(id(n), away(until), &mut forgotten);
        }
        assert_eq!(
            [1, 2, 3].map(|n| sessions.knows(id(n))),
            [false, true, true]
        );
        assert_eq!(forgotten.sessions.len(), 1);
    }
}
