//! The delivery to the members of a target.

use std::collections::HashSet;
use std::iter::Sum;
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Instant;

use super::member::WrittenBy;
use super::{Audience, Forgotten, History, Link, Member, Members, Target};
use crate::outbox::{Frame, Outbox, Pushed, RuntimeId};
use proto::Sid;

/// From this number of members on, writing to them in turn is cheaper than waking the task of each.
const MANY: usize = 8;

/// The outcome of a delivery: the number of members for each result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) queued: usize,
    /// Volatile events for which the transport was not ready.
    pub(crate) dropped: usize,
    /// Events that were refused because the outbox was full.
    pub(crate) full: usize,
    /// True if the event was for other servers too, and could not be published.
    pub(crate) is_unpublished: bool,
}

impl Delivered {
    pub(crate) const fn met(&mut self, pushed: Pushed) {
        match pushed {
            Pushed::Queued => self.queued += 1,
            Pushed::Dropped => self.dropped += 1,
            Pushed::Full(_) => self.full += 1,
            Pushed::Closed => {}
        }
    }
}

impl AddAssign for Delivered {
    fn add_assign(&mut self, other: Self) {
        self.queued += other.queued;
        self.dropped += other.dropped;
        self.full += other.full;
        self.is_unpublished |= other.is_unpublished;
    }
}

impl Sum for Delivered {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, one| {
            sum += one;
            sum
        })
    }
}

impl<L: Link> Members<L> {
    /// Queues a frame for every member of the target. Wakes their connections' tasks, or passes their outboxes to
    /// `schedule_write`, which ensures that they are written. Does not allocate if the target is one room or the whole
    /// namespace.
    pub(crate) fn deliver(
        &self,
        target: &Target,
        frame: &Frame,
        schedule_write: &mut impl FnMut(RuntimeId, &Arc<Outbox>),
    ) -> Delivered {
        // This comes before any write is scheduled: hooks of users may take their time.
        self.observe(target, || frame.clone());
        let mut delivered = Delivered::default();
        let is_logged = tracing::enabled!(tracing::Level::DEBUG);
        let turn = self.turn();
        let mut full = Vec::new();
        let reliability = target.options.reliability;
        self.for_each(target, |member, written_by| {
            let pushed = member.queue(frame.clone(), reliability, written_by, schedule_write);
            if let Pushed::Full(bytes) = pushed
                && is_logged
            {
                full.push((member.id, bytes));
            }
            delivered.met(pushed);
        });
        // A log subscriber of the application might emit, so the lock is released first.
        drop(turn);
        for (socket, bytes) in full {
            tracing::debug!(%socket, bytes, "broadcast dropped: outbox is full");
        }
        delivered
    }

    /// Queues a frame like [`deliver`](Self::deliver), and stores it in the history for disconnected clients. `make`
    /// makes it, with or without an offset.
    pub(crate) fn deliver_and_store(
        &self,
        history: &History<L>,
        target: &Target,
        now: Instant,
        make: &impl Fn(Option<&str>) -> Frame,
        schedule_write: &mut impl FnMut(RuntimeId, &Arc<Outbox>),
    ) -> Delivered {
        self.observe(target, || make(None));
        let mut delivered = Delivered::default();
        let mut forgotten = Forgotten::default();
        let turn = self.turn();
        let mut locked = history.lock();
        let number = locked.log.last() + u64::from(!target.options.is_volatile());
        let frame = make(Some(&locked.log.offset(number)));
        self.for_each(target, |member, written_by| {
            // Refusals are not logged here: a log subscriber might emit, and the history is locked.
            delivered.met(member.queue(
                frame.clone(),
                target.options.reliability,
                written_by,
                schedule_write,
            ));
        });
        if !target.options.is_volatile() {
            let audience = Audience::Target(target.clone());
            // The stored frame is separate, so that forms cached for connected clients are not stored with it.
            locked.append(now, audience, frame.unshared(), &mut forgotten);
        }
        // Frames hold bytes of users, which are dropped without holding a lock.
        drop(locked);
        drop(turn);
        drop(forgotten);
        delivered
    }

    /// Calls the hooks for an outgoing event, for each member of the target. `frame` is called only if there are hooks.
    pub(crate) fn observe(&self, target: &Target, frame: impl FnOnce() -> Frame) {
        if self.observed {
            let frame = frame();
            self.for_each(target, |member, _| member.observe(&frame));
        }
    }

    /// Returns the members of the target, each once.
    pub(crate) fn select(&self, target: &Target) -> Vec<Arc<Member<L>>> {
        let mut selected = Vec::new();
        self.for_each(target, |member, _| selected.push(Arc::clone(member)));
        selected
    }

    /// Returns the number of members of the target.
    pub(crate) fn count(&self, target: &Target) -> usize {
        let simple = target.except.is_empty() && target.except_id.is_none();
        if simple && target.rooms.is_none() {
            return self.len();
        }
        let mut count = 0;
        self.for_each(target, |_, _| count += 1);
        count
    }

    /// Visits each member once, and passes the task that is to write an event to it.
    pub(super) fn for_each(
        &self,
        target: &Target,
        mut visit: impl FnMut(&Arc<Member<L>>, WrittenBy),
    ) {
        let except = self.excepted(target);
        let mut visit = |member: &Arc<Member<L>>, written_by| {
            if target.except_id != Some(member.id) && !except.contains(&member.id) {
                visit(member, written_by);
            }
        };
        let mut visit_all = |list: &[Arc<Member<L>>]| {
            let written_by = if list.len() < MANY {
                WrittenBy::OwnTask
            } else {
                WrittenBy::SharedTask
            };
            list.iter().for_each(|member| visit(member, written_by));
        };
        match target.rooms.as_deref() {
            None => visit_all(&self.everybody()),
            Some([room]) => {
                // Other sockets may have joined a room that has a socket's id as its name; the socket itself is never
                // stored in it.
                visit_all(self.own_room(room).as_slice());
                if let Some(list) = self.room(room) {
                    visit_all(&list);
                }
            }
            Some(rooms) => {
                let (mut seen, mut all) = (HashSet::new(), Vec::new());
                for room in rooms {
                    let own = self.own_room(room);
                    let members = self.room(room);
                    let members = members.iter().flat_map(|list| list.iter());
                    let new = members.chain(&own).filter(|member| seen.insert(member.id));
                    all.extend(new.cloned());
                }
                visit_all(&all);
            }
        }
    }

    fn excepted(&self, target: &Target) -> HashSet<Sid> {
        let mut ids = HashSet::new();
        for room in &target.except {
            ids.extend(self.own_room(room).map(|own| own.id));
            ids.extend(
                self.room(room)
                    .iter()
                    .flat_map(|list| list.iter().map(|member| member.id)),
            );
        }
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::Outbox;
    use crate::rooms::{JoinError, Room, RoomLimits, StubLink};

    fn member(n: u8) -> Arc<Member<StubLink>> {
        let link = std::sync::Weak::<StubLink>::new();
        Arc::new(Member::new(
            Sid::from_random([n; 15]),
            Arc::new(Outbox::new(10, 1000)),
            link,
        ))
    }

    fn table(members: &[(&Arc<Member<StubLink>>, &[&str])]) -> Members<StubLink> {
        let table = Members::new(None);
        for (member, rooms) in members {
            table.insert(member);
            for room in *rooms {
                table
                    .join(member, (*room).into(), RoomLimits::NONE)
                    .unwrap();
            }
        }
        table
    }

    fn ids(table: &Members<StubLink>, rooms: &[&str], except: &[&str]) -> Vec<Sid> {
        let names = |names: &[&str]| names.iter().map(|&name| name.into()).collect::<Vec<Room>>();
        let target = Target {
            rooms: (!rooms.is_empty()).then(|| names(rooms)),
            except: names(except),
            ..Target::default()
        };
        let mut ids: Vec<_> = table
            .select(&target)
            .iter()
            .map(|member| member.id)
            .collect();
        ids.sort();
        ids
    }

    fn sorted<const N: usize>(members: [&Arc<Member<StubLink>>; N]) -> Vec<Sid> {
        let mut ids: Vec<_> = members.iter().map(|member| member.id).collect();
        ids.sort();
        ids
    }

    #[test]
    fn rooms_are_united_and_exceptions_taken_out() {
        let (a, b, c) = (member(1), member(2), member(3));
        let table = table(&[(&a, &["x", "y"]), (&b, &["y"]), (&c, &[])]);
        assert_eq!(ids(&table, &[], &[]), sorted([&a, &b, &c]));
        assert_eq!(ids(&table, &["x", "y"], &[]), sorted([&a, &b]));
        assert_eq!(ids(&table, &["y"], &["x"]), sorted([&b]));
        assert_eq!(ids(&table, &[], &["y"]), sorted([&c]));
        assert_eq!(ids(&table, &["nowhere"], &[]), []);
    }

    #[test]
    fn a_socket_is_in_the_room_of_its_own_id() {
        let (a, b) = (member(1), member(2));
        let own = a.id.to_string();
        let table = table(&[(&a, &[]), (&b, &[])]);
        assert_eq!(ids(&table, &[&own], &[]), sorted([&a]));
        assert_eq!(ids(&table, &[], &[&own]), sorted([&b]));
        table
            .join(&b, own.as_str().into(), RoomLimits::NONE)
            .unwrap();
        assert_eq!(ids(&table, &[&own], &[]), sorted([&a, &b]));
    }

    #[test]
    fn who_leaves_is_nowhere_and_keeps_the_list_of_its_rooms() {
        let (a, b, c) = (member(1), member(2), member(3));
        let table = table(&[(&a, &["x"]), (&b, &["x"]), (&c, &["x"])]);
        table.leave(&b, "x");
        assert_eq!(ids(&table, &["x"], &[]), sorted([&a, &c]));
        table.remove(&a);
        assert_eq!(ids(&table, &["x"], &[]), sorted([&c]));
        assert_eq!(ids(&table, &[], &[]), sorted([&b, &c]));
        assert_eq!(a.rooms(), ["x".into()]);
    }

    #[test]
    fn rooms_of_a_member_are_limited() {
        let a = member(1);
        let table = table(&[(&a, &["x"])]);
        let one = RoomLimits {
            rooms: 1,
            ..RoomLimits::NONE
        };
        let full = table.join(&a, "y".into(), one);
        assert_eq!(full, Err(JoinError::TooManyRooms(1)));
        assert_eq!(table.join(&a, "x".into(), one), Ok(()));
        assert_eq!(ids(&table, &["y"], &[]), []);
    }
}
