//! The members of the rooms of a namespace: joins and leaves.
//!
//! Every member is also in the room of its own id, as in Node; that room is not stored but looked up.
//!
//! Locks are taken in one order: the turn of a broadcast, the history, a member's rooms, then the list of all members
//! or a shard. A delivery takes neither of the last two while it visits members: it holds a snapshot.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;
use std::sync::{Arc, MutexGuard, OnceLock};

use futures_util::future::{self, OptionFuture};
use rustc_hash::FxHashMap;

use super::events::Watchers;
use super::member::MemberState;
use super::{
    Confirmed, History, JoinError, Link, Member, Room, RoomEvent, RoomEvents, RoomHold,
    RoomInterest, RoomLimits, Stay,
};
use crate::sync::Lock;
use proto::Sid;

const SHARDS: usize = 16;

/// The members of one namespace on this server.
pub(crate) struct Members<L: Link> {
    all: Lock<MemberList<L>>,
    shards: [Shard<L>; SHARDS],
    hasher: RandomState,
    watchers: Watchers,
    /// The part of a cluster that needs to know which rooms have members here, if there is one.
    interest: OnceLock<Box<dyn RoomInterest>>,
    /// The events that are stored for clients that lose their connection.
    history: Option<Box<History<L>>>,
    /// True if hooks are called for outgoing events.
    pub(crate) observed: bool,
    /// The lock of a broadcast while it is queued, if all members are to get broadcasts in one order.
    turn: Option<Lock<()>>,
}

/// A part of the rooms. It has cache lines of its own, so that threads that work on different rooms do not slow each
/// other down.
#[repr(align(128))]
struct Shard<L>(Lock<HashMap<Room, MemberList<L>>>);

/// A set of members that can be iterated as a slice, without a lock, while others join and leave.
struct MemberList<L> {
    list: Arc<Vec<Arc<Member<L>>>>,
    /// The positions in `list`. The server makes all ids, so the hasher need not withstand chosen keys.
    index: FxHashMap<Sid, usize>,
}

impl<L> Default for MemberList<L> {
    fn default() -> Self {
        Self {
            list: Arc::default(),
            index: FxHashMap::default(),
        }
    }
}

impl<L> MemberList<L> {
    fn insert(&mut self, member: &Arc<Member<L>>) {
        if let Entry::Vacant(slot) = self.index.entry(member.id) {
            slot.insert(self.list.len());
            Arc::make_mut(&mut self.list).push(Arc::clone(member));
        }
    }

    fn remove(&mut self, id: Sid) {
        let Some(at) = self.index.remove(&id) else {
            return;
        };
        let list = Arc::make_mut(&mut self.list);
        list.swap_remove(at);
        if let Some(moved) = list.get(at) {
            self.index.insert(moved.id, at);
        }
    }

    fn get(&self, id: Sid) -> Option<&Arc<Member<L>>> {
        self.list.get(*self.index.get(&id)?)
    }
}

impl<L: Link> Members<L> {
    pub(crate) fn new(history: Option<History<L>>) -> Self {
        Self {
            all: Lock::default(),
            shards: std::array::from_fn(|_| Shard(Lock::default())),
            hasher: RandomState::new(),
            watchers: Watchers::default(),
            interest: OnceLock::new(),
            history: history.map(Box::new),
            observed: false,
            turn: None,
        }
    }

    /// Sets whether hooks are called for outgoing events.
    pub(crate) fn observed(mut self, observed: bool) -> Self {
        self.observed = observed;
        self
    }

    /// Sets whether all members get the broadcasts of several threads in the same order.
    pub(crate) fn ordered(mut self, ordered: bool) -> Self {
        self.turn = ordered.then(Lock::default);
        self
    }

    /// Waits for other broadcasts, if they have an order. No code of users may run while the guard is held: it might
    /// broadcast.
    pub(crate) fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        self.turn.as_ref().map(Lock::lock)
    }

    pub(crate) fn history(&self) -> Option<&History<L>> {
        self.history.as_deref()
    }

    /// Reports the rooms that are created and deleted from now on.
    pub(crate) fn set_interest(&self, interest: Box<dyn RoomInterest>) {
        // There is one adapter for a table.
        let _ = self.interest.set(interest);
    }

    /// Opens a stream of the events of the rooms.
    pub(crate) fn watch(&self) -> RoomEvents {
        self.watchers.watch()
    }

    /// Admits a member to the namespace, and to the rooms that it has joined meanwhile. Does nothing if it has already
    /// left.
    pub(crate) fn insert(&self, member: &Arc<Member<L>>) {
        let mut joined = member.joined.lock();
        if joined.state != MemberState::Expected {
            return;
        }
        joined.state = MemberState::Here;
        self.all.lock().insert(member);
        if let Some(interest) = self.interest_in_own() {
            interest.created(member.id.as_str());
        }
        for room in &joined.rooms {
            self.put_in(Arc::clone(room), member);
        }
        joined.held = None;
    }

    /// Returns the observer if it needs the rooms of members' own ids.
    fn interest_in_own(&self) -> Option<&dyn RoomInterest> {
        let interest = self.interest.get().map(|interest| &**interest);
        interest.filter(|interest| interest.includes_own())
    }

    /// Returns true if the member can only be admitted when messages of other servers arrive.
    pub(crate) fn has_to_hold(&self, member: &Member<L>) -> bool {
        let has_rooms = || !member.joined.lock().rooms.is_empty();
        self.interest.get().is_some_and(|interest| {
            interest.includes_own() || interest.ready().is_some() || has_rooms()
        })
    }

    /// Has a cluster subscribe to the rooms of a member that is about to be admitted. Returns a future that resolves
    /// when their messages, and those for the namespace, arrive.
    pub(crate) fn hold(&self, member: &Member<L>) -> Option<Confirmed> {
        let interest = self.interest.get()?;
        let mut joined = member.joined.lock();
        if joined.state != MemberState::Expected {
            return None;
        }
        let own = { interest.includes_own() }.then(|| member.id.as_str().to_owned());
        let rooms = joined.rooms.iter().map(|room| String::from(&**room));
        let rooms: Vec<_> = own.into_iter().chain(rooms).collect();
        let ready = interest.ready();
        if rooms.is_empty() {
            return ready;
        }
        let RoomHold { guard, confirmed } = interest.hold(rooms);
        joined.held = Some(guard);
        Some(Box::pin(async move {
            let ready = OptionFuture::from(ready);
            future::join(confirmed, ready).await;
        }))
    }

    /// Returns a future that resolves when the messages for a room arrive from other servers. Returns `None` if there
    /// is nothing to wait for.
    pub(crate) fn confirmation(&self, room: &str) -> Option<Confirmed> {
        self.interest.get()?.confirmation(room)
    }

    /// Removes a member from the namespace and from all its rooms, which stay readable on the member.
    pub(crate) fn remove(&self, member: &Member<L>) {
        let mut joined = member.joined.lock();
        joined.held = None;
        if std::mem::replace(&mut joined.state, MemberState::Gone) != MemberState::Here {
            return;
        }
        self.all.lock().remove(member.id);
        if let Some(interest) = self.interest_in_own() {
            interest.deleted(member.id.as_str());
        }
        for room in &joined.rooms {
            self.take_out(room, member.id);
        }
    }

    /// Adds a member to a room, unless it has left the namespace, or is in `limit` rooms already.
    pub(crate) fn join(
        &self,
        member: &Arc<Member<L>>,
        room: Room,
        limits: RoomLimits,
    ) -> Result<(), JoinError> {
        if *room == *member.id.as_str() {
            return Ok(());
        }
        let locked = self.history().map(History::lock);
        let mut joined = member.joined.lock();
        if !joined.add(&room, limits)? {
            return Ok(());
        }
        if let Some(locked) = &locked {
            joined.stays.push(Stay {
                room: Arc::clone(&room),
                after: locked.log.last(),
                until: None,
            });
        }
        let is_here = joined.state == MemberState::Here;
        if is_here {
            self.put_in(room, member);
        }
        drop(joined);
        drop(locked);
        if is_here {
            self.publish(member);
        }
        Ok(())
    }

    pub(crate) fn leave(&self, member: &Member<L>, room: &str) {
        let locked = self.history().map(History::lock);
        let mut joined = member.joined.lock();
        let was_in = joined.remove(room, locked.as_ref().map(|locked| &locked.log));
        let has_left = was_in && joined.state == MemberState::Here;
        if has_left {
            self.take_out(room, member.id);
        }
        drop(joined);
        drop(locked);
        if has_left {
            self.publish(member);
        }
    }

    /// Writes the session of a member to the store, if there is one, so that another server that claims it knows the
    /// rooms and the time of its end.
    pub(crate) fn publish(&self, member: &Member<L>) {
        let Some(history) = self.history().filter(|history| history.store.is_some()) else {
            return;
        };
        // This may be the last reference to the socket, which is dropped without holding a lock.
        if let Some(link) = member.link.upgrade() {
            history.lock().sessions.publish_held(&link);
        }
    }

    /// Returns a snapshot of all members.
    pub(super) fn everybody(&self) -> Arc<Vec<Arc<Member<L>>>> {
        Arc::clone(&self.all.lock().list)
    }

    /// Returns a snapshot of the members of a stored room.
    pub(super) fn room(&self, room: &str) -> Option<Arc<Vec<Arc<Member<L>>>>> {
        self.shard(room)
            .lock()
            .get(room)
            .map(|members| Arc::clone(&members.list))
    }

    /// Returns the member whose id is the name of the room.
    pub(super) fn own_room(&self, room: &str) -> Option<Arc<Member<L>>> {
        self.get(room.parse().ok()?)
    }

    /// Returns true if a room has members, or is that of a member's own id.
    pub(crate) fn has_room(&self, room: &str) -> bool {
        self.shard(room).lock().contains_key(room) || self.own_room(room).is_some()
    }

    pub(crate) fn get(&self, id: Sid) -> Option<Arc<Member<L>>> {
        self.all.lock().get(id).cloned()
    }

    /// Returns the number of members of the namespace.
    pub(crate) fn len(&self) -> usize {
        self.all.lock().list.len()
    }

    /// Returns the stored rooms and the number of members of each, without the rooms of the members' own ids.
    pub(crate) fn rooms(&self) -> Vec<(Room, usize)> {
        let mut rooms = Vec::new();
        for Shard(shard) in &self.shards {
            let shard = shard.lock();
            let sizes = shard
                .iter()
                .map(|(room, members)| (Arc::clone(room), members.list.len()));
            rooms.extend(sizes);
        }
        rooms
    }

    fn put_in(&self, room: Room, member: &Arc<Member<L>>) {
        let id = member.id;
        // The stream gets the events under the lock, so that those of each room are in order.
        let mut shard = self.shard(&room).lock();
        let members = match shard.entry(Arc::clone(&room)) {
            Entry::Occupied(members) => members.into_mut(),
            Entry::Vacant(vacant) => {
                self.report_created(vacant.key());
                vacant.insert(MemberList::default())
            }
        };
        members.insert(member);
        self.watchers.send(|| RoomEvent::Joined { room, id });
    }

    fn take_out(&self, room: &str, id: Sid) {
        let mut shard = self.shard(room).lock();
        if let Some(members) = shard.get_mut(room) {
            members.remove(id);
            let left = members.list.is_empty();
            let event = || RoomEvent::Left {
                room: room.into(),
                id,
            };
            self.watchers.send(event);
            if left {
                shard.remove(room);
                self.report_deleted(room);
            }
        }
    }

    fn report_created(&self, room: &Room) {
        let event = || RoomEvent::Created {
            room: Arc::clone(room),
        };
        self.watchers.send(event);
        if let Some(interest) = self.interest.get() {
            interest.created(room);
        }
    }

    fn report_deleted(&self, room: &str) {
        if let Some(interest) = self.interest.get() {
            interest.deleted(room);
        }
        self.watchers
            .send(|| RoomEvent::Deleted { room: room.into() });
    }

    fn shard(&self, room: &str) -> &Lock<HashMap<Room, MemberList<L>>> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "any bits of the hash will do"
        )]
        let at = self.hasher.hash_one(room) as usize % SHARDS;
        #[expect(
            clippy::indexing_slicing,
            reason = "the remainder is below the number of shards"
        )]
        &self.shards[at].0
    }
}
