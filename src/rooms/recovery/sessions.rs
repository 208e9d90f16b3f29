//! The sessions of sockets, by private id: those of connected sockets, and suspended ones, whose connection is lost.
//!
//! ```text
//!             admitted                connection lost
//!   unknown ───────────▶ held by a socket ─────────▶ suspended ──▶ unknown: too late, or too many
//!                               ▲                        │
//!                               └────────────────────────┘
//!                                claimed, when middleware have admitted it
//! ```

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::{Forgotten, Position, SavedSession, Stay, Store};
use crate::rooms::{Link, open_rooms};
use proto::Sid;

/// The interval at which sessions of connected sockets are written to a store.
const PUBLISH: Duration = Duration::from_secs(10);

/// The session of a socket whose connection is lost.
#[derive(Clone)]
pub(crate) struct SuspendedSession<V> {
    pub(crate) id: Sid,
    /// The number of the last event before the socket was first admitted.
    pub(crate) began: u64,
    /// The position of that event, if a store assigns positions.
    pub(crate) since: Position,
    pub(crate) stays: Vec<Stay>,
    /// The number of the event after which the stays are known.
    pub(crate) known_after: u64,
    /// The values that users have stored with the socket.
    pub(crate) values: V,
    /// The JSON of the data that the application has attached.
    pub(crate) data: Arc<str>,
    /// The time at which the socket ends, in milliseconds since 1970, if the application has set one.
    pub(crate) expires: Option<u64>,
    /// The time at which the state expires.
    pub(crate) until: Instant,
}

impl<V> SuspendedSession<V> {
    /// Returns the part of the session that a store keeps.
    pub(crate) fn saved(&self, floor: Position) -> SavedSession {
        SavedSession {
            id: self.id,
            rooms: open_rooms(&self.stays),
            data: String::from(&*self.data),
            since: Some(self.since),
            floor,
            expires: self.expires,
        }
    }
}

enum Entry<L: Link> {
    Held(Weak<L>),
    Suspended(SuspendedSession<L::Values>),
}

/// The state of the session with a private id.
pub(crate) enum Claim<L: Link> {
    /// A connected socket has the id: its connection is not known to be lost.
    Held(Arc<L>),
    /// The stored state.
    Suspended(SuspendedSession<L::Values>),
    Nothing,
}

/// The sessions of a namespace, by private id.
pub(crate) struct SessionMap<L: Link> {
    // The server makes all these ids, so the hasher need not withstand chosen keys.
    entries: FxHashMap<Sid, Entry<L>>,
    /// The stored sessions, the first to expire first.
    suspended: BTreeSet<(Instant, Sid)>,
    /// Sockets that middleware have not admitted yet and that want to resume a session, the latest last.
    attempts: FxHashMap<Sid, Vec<Weak<L>>>,
    keep: Duration,
    max: usize,
    /// The store that other servers use too, if there is one.
    store: Option<Arc<dyn Store>>,
    /// True if the store may not know the floor, since no event has had a position since it was raised.
    stale: bool,
    /// The first position that clients must have seen to resume.
    floor: Position,
    /// The time of the last regular publication, if there was one.
    published: Option<Instant>,
}

impl<L: Link> SessionMap<L> {
    pub(super) fn new(keep: Duration, max: usize, store: Option<Arc<dyn Store>>) -> Self {
        Self {
            entries: FxHashMap::default(),
            suspended: BTreeSet::new(),
            attempts: FxHashMap::default(),
            keep,
            max,
            store,
            stale: false,
            floor: Position::default(),
            published: None,
        }
    }

    /// Registers a socket that has connected or resumed.
    pub(crate) fn hold(&mut self, pid: Sid, link: Weak<L>) {
        self.entries.insert(pid, Entry::Held(link));
    }

    /// Returns true if the socket is connected or may resume.
    pub(crate) fn knows(&self, pid: Sid) -> bool {
        self.entries.contains_key(&pid)
    }

    /// Returns the time at which a session expires whose connection is lost now.
    pub(crate) fn until(&self, now: Instant) -> Instant {
        // A time that the clock cannot represent expires at once.
        now.checked_add(self.keep).unwrap_or(now)
    }

    /// Stores a session whose connection is lost, or that could not resume.
    pub(crate) fn keep(
        &mut self,
        pid: Sid,
        suspended: SuspendedSession<L::Values>,
        forgotten: &mut Forgotten<L::Values>,
    ) {
        if let Some(store) = &self.store {
            store.save(pid, suspended.saved(self.floor), self.keep);
        }
        self.suspended.insert((suspended.until, pid));
        self.entries.insert(pid, Entry::Suspended(suspended));
        while self.suspended.len() > self.max {
            self.forget_first(forgotten);
        }
    }

    /// Returns true if no socket is connected and none may resume.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Revokes a session, so that no client can resume it. Returns the socket that has its id, if it is connected.
    pub(crate) fn revoke(
        &mut self,
        pid: Sid,
        forgotten: &mut Forgotten<L::Values>,
    ) -> Option<Arc<L>> {
        forgotten.sessions.extend(self.take_out(pid));
        if let Some(store) = &self.store {
            store.discard(pid);
        }
        self.holder(pid)
    }

    /// Removes a session that will not resume.
    pub(crate) fn end(&mut self, pid: Sid) {
        if let Some(Entry::Held(_)) = self.entries.get(&pid) {
            self.entries.remove(&pid);
            if let Some(store) = &self.store {
                store.discard(pid);
            }
        }
    }

    /// Returns the store that other servers use too.
    pub(crate) fn store(&self) -> Option<&Arc<dyn Store>> {
        self.store.as_ref()
    }

    /// Writes the session of a connected socket to the store, so that another server can claim it.
    pub(crate) fn publish(&self, pid: Sid, session: &SuspendedSession<L::Values>) {
        self.save(pid, session.saved(self.floor));
    }

    /// Writes the session of a connected socket that has one to the store. That of a socket that has just ended is
    /// stored already, and may belong to another server by now.
    pub(crate) fn publish_held(&self, link: &Arc<L>) {
        let Some((pid, session)) = link.saved(self.floor) else {
            return;
        };
        let is_its_own = |held: &Weak<L>| std::ptr::eq(held.as_ptr(), Arc::as_ptr(link));
        if matches!(self.entries.get(&pid), Some(Entry::Held(held)) if is_its_own(held)) {
            self.save(pid, session);
        }
    }

    fn save(&self, pid: Sid, session: SavedSession) {
        if let Some(store) = &self.store {
            store.save(pid, session, self.keep);
        }
    }

    /// Records that an event was delivered without a position: nobody can resume who has not seen a later one.
    pub(super) fn cut(&mut self, floor: Position, forgotten: &mut Forgotten<L::Values>) {
        self.floor = floor;
        if !std::mem::replace(&mut self.stale, true) {
            self.revise(forgotten);
        }
    }

    /// Corrects the sessions in the store when events have positions again, as it may have missed that they had none.
    pub(super) fn renew(&mut self, forgotten: &mut Forgotten<L::Values>) {
        if std::mem::take(&mut self.stale) {
            self.revise(forgotten);
        }
    }

    fn revise(&self, forgotten: &mut Forgotten<L::Values>) {
        let Some(store) = &self.store else { return };
        self.publish_all(forgotten);
        self.suspended
            .iter()
            .for_each(|(_, pid)| store.discard(*pid));
    }

    /// Writes the sessions of all connected sockets to the store at intervals, so that none expires there, and a server
    /// that claims one knows the rooms.
    pub(super) fn publish_due(&mut self, now: Instant, forgotten: &mut Forgotten<L::Values>) {
        if self.next_publication().is_some_and(|at| at <= now) {
            self.published = Some(now);
            self.publish_all(forgotten);
        } else if self.published.is_none() {
            self.published = Some(now);
        }
    }

    /// Returns the time of the next regular publication, if there are sessions and a store.
    pub(super) fn next_publication(&self) -> Option<Instant> {
        self.store.as_ref().filter(|_| !self.is_empty())?;
        let last = self.published?;
        last.checked_add(PUBLISH.min(self.keep / 2))
    }

    fn publish_all(&self, forgotten: &mut Forgotten<L::Values>) {
        for entry in self.entries.values() {
            let Entry::Held(link) = entry else { continue };
            if let Some(link) = link.upgrade() {
                self.publish_held(&link);
                // This may be the last reference to the socket.
                forgotten.links.push(link);
            }
        }
    }

    /// Removes a session that another server has claimed. Returns the socket that has it.
    pub(crate) fn surrender(
        &mut self,
        pid: Sid,
        forgotten: &mut Forgotten<L::Values>,
    ) -> Option<Arc<L>> {
        forgotten.sessions.extend(self.take_out(pid));
        let holder = self.holder(pid);
        self.entries.remove(&pid);
        holder
    }

    /// Returns a claimed session to the store, since its claimant does not join. A session that has found another
    /// socket meanwhile stays that socket's.
    pub(crate) fn put_back(&self, pid: Sid, session: SavedSession) {
        if self.holder(pid).is_none() {
            self.save(pid, session);
        }
    }

    /// Registers a socket that wants to resume the session with this private id.
    pub(crate) fn add_attempt(&mut self, pid: Sid, link: Weak<L>) {
        self.attempts.entry(pid).or_default().push(link);
    }

    /// Unregisters a socket whose attempt to resume has been decided.
    pub(crate) fn remove_attempt(&mut self, pid: Sid, link: &Weak<L>) {
        if let Some(attempts) = self.attempts.get_mut(&pid) {
            attempts.retain(|other| !other.ptr_eq(link));
            if attempts.is_empty() {
                self.attempts.remove(&pid);
            }
        }
    }

    /// Returns true until the attempt succeeds, fails or is overtaken.
    pub(crate) fn has_attempt(&self, pid: Sid, link: &Weak<L>) -> bool {
        let mut attempts = self.attempts.get(&pid).into_iter().flatten();
        attempts.any(|other| other.ptr_eq(link))
    }

    /// Removes the attempt of an admitted socket, and earlier ones. Returns the sockets of the earlier ones.
    pub(crate) fn overtake(&mut self, pid: Sid, link: &Weak<L>) -> Vec<Arc<L>> {
        let Some(attempts) = self.attempts.get_mut(&pid) else {
            return Vec::new();
        };
        let Some(at) = attempts.iter().position(|other| other.ptr_eq(link)) else {
            return Vec::new();
        };
        let later = attempts.split_off(at + 1);
        let mut decided = std::mem::replace(attempts, later);
        decided.pop();
        if attempts.is_empty() {
            self.attempts.remove(&pid);
        }
        decided.iter().filter_map(Weak::upgrade).collect()
    }

    /// Returns the sockets that want to resume the session with this private id, the latest last.
    pub(crate) fn attempts(&self, pid: Sid) -> Vec<Arc<L>> {
        let attempts = self.attempts.get(&pid).into_iter().flatten();
        attempts.filter_map(Weak::upgrade).collect()
    }

    /// Returns the socket that has this private id, if it is connected.
    pub(crate) fn holder(&self, pid: Sid) -> Option<Arc<L>> {
        match self.entries.get(&pid)? {
            Entry::Held(link) => link.upgrade(),
            Entry::Suspended(_) => None,
        }
    }

    /// Returns what a claim would find for a private id, without claiming it.
    pub(crate) fn look(&self, pid: Sid, now: Instant) -> Claim<L> {
        match self.entries.get(&pid) {
            None => Claim::Nothing,
            Some(Entry::Held(link)) => link.upgrade().map_or(Claim::Nothing, Claim::Held),
            Some(Entry::Suspended(suspended)) if suspended.until <= now => Claim::Nothing,
            Some(Entry::Suspended(suspended)) => Claim::Suspended(suspended.clone()),
        }
    }

    /// Removes and returns a suspended session. The socket that resumes it has to be
    /// [held](Self::hold) next.
    pub(crate) fn claim(
        &mut self,
        pid: Sid,
        now: Instant,
        forgotten: &mut Forgotten<L::Values>,
    ) -> Option<SuspendedSession<L::Values>> {
        let suspended = self.take_out(pid)?;
        if suspended.until <= now {
            forgotten.sessions.push(suspended);
            return None;
        }
        Some(suspended)
    }

    pub(crate) fn expire(&mut self, now: Instant, forgotten: &mut Forgotten<L::Values>) {
        while self.next_expiry().is_some_and(|at| at <= now) {
            self.forget_first(forgotten);
        }
    }

    pub(super) fn forget_suspended(&mut self, forgotten: &mut Forgotten<L::Values>) {
        while !self.suspended.is_empty() {
            self.forget_first(forgotten);
        }
    }

    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.suspended.first().map(|(at, _)| *at)
    }

    fn forget_first(&mut self, forgotten: &mut Forgotten<L::Values>) {
        if let Some((_, pid)) = self.suspended.first().copied() {
            forgotten.sessions.extend(self.take_out(pid));
        }
    }

    fn take_out(&mut self, pid: Sid) -> Option<SuspendedSession<L::Values>> {
        self.entries
            .get(&pid)
            .filter(|entry| matches!(entry, Entry::Suspended(_)))?;
        let Entry::Suspended(suspended) = self.entries.remove(&pid)? else {
            return None;
        };
        self.suspended.remove(&(suspended.until, pid));
        Some(suspended)
    }
}

impl<L: Link> fmt::Debug for SessionMap<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionMap")
            .field("known", &self.entries.len())
            .field("suspended", &self.suspended.len())
            .finish_non_exhaustive()
    }
}

impl<V> fmt::Debug for SuspendedSession<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SuspendedSession")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rooms::StubLink;

    fn id(n: u8) -> Sid {
        Sid::from_random([n; 15])
    }

    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn now() -> Instant {
        Instant::now()
    }

    fn suspended(until: Instant) -> SuspendedSession<()> {
        SuspendedSession {
            id: id(9),
            began: 0,
            since: Position::default(),
            stays: Vec::new(),
            known_after: 0,
            values: (),
            data: "{}".into(),
            expires: None,
            until,
        }
    }

    fn what(sessions: &mut SessionMap<StubLink>, pid: Sid, now: Instant) -> &'static str {
        let what = match sessions.look(pid, now) {
            Claim::Held(_) => "held",
            Claim::Suspended(_) => "suspended",
            Claim::Nothing => "nothing",
        };
        let claimed = sessions.claim(pid, now, &mut Forgotten::default());
        assert_eq!(claimed.is_some(), what == "suspended");
        what
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_session_is_claimed_once() {
        let (now, mut forgotten) = (now(), Forgotten::default());
        let mut sessions: SessionMap<StubLink> = SessionMap::new(MINUTE, 10, None);
        assert_eq!(what(&mut sessions, id(1), now), "nothing");
        sessions.keep(id(1), suspended(now + MINUTE), &mut forgotten);
        assert!(sessions.knows(id(1)));
        assert_eq!(what(&mut sessions, id(1), now), "suspended");
        assert_eq!(what(&mut sessions, id(1), now), "nothing");
        let socket = Arc::new(StubLink(0));
        sessions.hold(id(1), Arc::downgrade(&socket));
        assert_eq!(what(&mut sessions, id(1), now), "held");
        sessions.end(id(1));
        assert!(!sessions.knows(id(1)));
        assert_eq!(what(&mut sessions, id(1), now), "nothing");
    }

    #[test]
    fn a_revoked_session_is_forgotten_unless_a_socket_holds_it() {
        let (now, mut forgotten) = (now(), Forgotten::default());
        let mut sessions: SessionMap<StubLink> = SessionMap::new(MINUTE, 10, None);
        sessions.keep(id(1), suspended(now + MINUTE), &mut forgotten);
        assert!(sessions.revoke(id(1), &mut forgotten).is_none());
        assert!(!sessions.knows(id(1)));
        assert_eq!(
            (forgotten.sessions.len(), sessions.next_expiry()),
            (1, None)
        );
        let socket = Arc::new(StubLink(0));
        sessions.hold(id(1), Arc::downgrade(&socket));
        assert!(sessions.revoke(id(1), &mut forgotten).is_some());
        assert!(sessions.knows(id(1)), "it is here");
    }

    #[test]
    fn an_admitted_socket_overtakes_those_that_asked_before_it_alone() {
        let mut sessions: SessionMap<StubLink> = SessionMap::new(MINUTE, 10, None);
        let links = [1, 2, 3, 4].map(|n| Arc::new(StubLink(n)));
        let [first, second, third, fourth] = links.each_ref().map(Arc::downgrade);
        for link in [&first, &second, &third, &fourth] {
            sessions.add_attempt(id(1), link.clone());
        }
        sessions.remove_attempt(id(1), &second);
        assert!(sessions.overtake(id(1), &second).is_empty());
        let before = sessions.overtake(id(1), &third);
        assert!(matches!(&before[..], [one] if Arc::ptr_eq(one, &links[0])));
        assert!(!sessions.has_attempt(id(1), &first) && !sessions.has_attempt(id(1), &third));
        assert!(sessions.has_attempt(id(1), &fourth));
        assert!(sessions.overtake(id(1), &fourth).is_empty());
        assert!(sessions.attempts.is_empty());
    }

    #[test]
    fn who_stays_away_too_long_is_forgotten() {
        let (now, mut forgotten) = (now(), Forgotten::default());
        let mut sessions: SessionMap<StubLink> = SessionMap::new(MINUTE, 10, None);
        for (n, seconds) in [(1, 10), (2, 5), (3, 20)] {
            sessions.keep(
                id(n),
                suspended(now + Duration::from_secs(seconds)),
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
        let mut sessions: SessionMap<StubLink> = SessionMap::new(MINUTE, 2, None);
        for n in 1..=3 {
            let until = now + Duration::from_secs(n.into());
            sessions.keep(id(n), suspended(until), &mut forgotten);
        }
        assert_eq!(
            [1, 2, 3].map(|n| sessions.knows(id(n))),
            [false, true, true]
        );
        assert_eq!(forgotten.sessions.len(), 1);
    }
}
