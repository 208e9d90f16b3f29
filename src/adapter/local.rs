//! The sockets of one namespace on this server.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use tokio::time::Instant;

use super::direct_writes::DirectWrites;
use super::{Answers, BoxFuture, Facts, LocalSockets, PacketEncoder, Publication, ServerSide};
use crate::metrics::{Counted, Counters, UndeliveredReason};
use crate::outbox::Pushed;
use crate::rooms::{
    Delivered, Link, Members, Room, RoomInterest, RoomLimits, Scope, Sweeper, Target,
};
use proto::{Args, Sid};

/// The sockets of one namespace on this server. An event is delivered to them at once.
pub(crate) struct LocalMembers<L: Link> {
    pub(crate) members: Arc<Members<L>>,
    pub(crate) encoder: PacketEncoder,
    pub(crate) room_limits: RoomLimits,
    /// The counter of acknowledgement ids, which the namespaces of a pattern share.
    pub(crate) ack_ids: Arc<AtomicU64>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) direct_writes: Arc<DirectWrites>,
    pub(crate) sweeper: Arc<Sweeper<L>>,
    /// True while a task looks after the events that wait for their positions.
    pub(crate) watching: AtomicBool,
    pub(crate) own: Weak<Self>,
    /// The handlers for events of other servers.
    pub(crate) server: Box<dyn ServerSide>,
}

impl<L: Link> LocalMembers<L> {
    /// Counts the result of a broadcast, once for all members.
    pub(super) fn counted(&self, delivered: Delivered) -> Delivered {
        self.counters.add(Counted::Deliveries, delivered.queued);
        self.count_undelivered(UndeliveredReason::Volatile, delivered.dropped);
        self.count_undelivered(UndeliveredReason::Full, delivered.full);
        delivered
    }

    fn count_undelivered(&self, reason: UndeliveredReason, count: usize) {
        if count > 0 {
            self.counters.add(Counted::Undelivered(reason), count);
        }
    }

    fn deliver(&self, publication: Publication<'_>) -> Delivered {
        let Publication { args, target } = publication;
        let mut writes = self.direct_writes.of_broadcast();
        let schedule_write = &mut |runtime, outbox: &_| writes.add(runtime, outbox);
        let encoder = &self.encoder;
        let Some(history) = self.members.history() else {
            let frame = encoder.for_target(target, encoder.event(args, None));
            return self.members.deliver(target, &frame, schedule_write);
        };
        if let Some(store) = &history.store
            && !target.options.is_volatile()
        {
            if target.rooms.as_ref().is_some_and(Vec::is_empty) {
                // Other servers take an empty list for all sockets.
                return Delivered::default();
            }
            let publication = Publication { args, target };
            return self.hand_over(history, &**store, publication);
        }
        let make =
            |offset: Option<&str>| encoder.for_target(target, encoder.event_at(&args, offset));
        let now = Instant::now().into_std();
        let delivered = self
            .members
            .deliver_and_store(history, target, now, &make, schedule_write);
        self.sweeper.sweep();
        delivered
    }
}

impl<L: Link> LocalSockets for LocalMembers<L> {
    fn broadcast(&self, publication: Publication<'_>) -> Delivered {
        self.counted(self.deliver(publication))
    }

    fn broadcast_with_ack(&self, publication: Publication<'_>, id: u64, answers: Arc<dyn Answers>) {
        let Publication { args, target } = publication;
        let frame = self.encoder.event(args, Some(id));
        let frame = self.encoder.for_target(target, frame);
        self.members.observe(target, || frame.clone());
        let mut delivered = Delivered::default();
        let members = self.members.select(target);
        answers.asked(members.iter().map(|member| member.id).collect());
        let turn = self.members.turn();
        for member in members {
            let (sid, sink) = (member.id, Arc::clone(&answers));
            member.expect_ack(id, Box::new(move |answer| sink.answer(sid, answer)));
            let pushed = member.push(frame.clone(), target.options.reliability);
            delivered.met(pushed);
            if pushed != Pushed::Queued {
                drop(member.acks.lock().take(id));
                answers.unsent(sid);
            }
        }
        drop(turn);
        self.counted(delivered);
    }

    fn forget_answers(&self, id: u64, of: &[Sid]) {
        for member in of.iter().filter_map(|sid| self.members.get(*sid)) {
            // The sink is dropped without holding a lock.
            let unanswered = member.acks.lock().take(id);
            drop(unanswered);
        }
    }

    fn next_ack_id(&self) -> u64 {
        self.ack_ids.fetch_add(1, Ordering::Relaxed)
    }

    fn facts(&self, target: &Target) -> Vec<Facts> {
        let members = self.members.select(target);
        let facts = members.iter().map(|member| {
            let socket = member.link.upgrade();
            let handshake = socket.as_ref().and_then(L::handshake);
            Facts {
                id: member.id,
                handshake: handshake.unwrap_or_else(|| "{}".into()),
                rooms: member.rooms(),
                data: socket.map_or_else(|| "{}".into(), |socket| socket.data()),
            }
        });
        facts.collect()
    }

    fn count(&self, target: &Target) -> usize {
        self.members.count(target)
    }

    fn rooms(&self) -> Vec<(Room, usize)> {
        self.members.rooms()
    }

    fn join(&self, target: &Target, rooms: &[Room]) {
        for member in self.members.select(target) {
            for room in rooms {
                let room = Arc::clone(room);
                if let Err(error) = self.members.join(&member, room, self.room_limits) {
                    tracing::debug!(socket = %member.id, error = error.to_string(), "room not joined");
                }
            }
        }
    }

    fn leave(&self, target: &Target, rooms: &[Room]) {
        for member in self.members.select(target) {
            rooms
                .iter()
                .for_each(|room| self.members.leave(&member, room));
        }
    }

    fn disconnect(&self, target: &Target, scope: Scope) {
        for member in self.members.select(target) {
            if let Some(socket) = member.link.upgrade() {
                socket.disconnect(scope);
            }
        }
    }

    fn handle(&self, event: &str, args: Args) -> BoxFuture<Option<Args>> {
        self.server.handle(event, args)
    }

    fn has_room(&self, room: &str) -> bool {
        self.members.has_room(room)
    }

    fn has_rooms(&self) -> bool {
        true
    }

    fn stores(&self, target: &Target) -> bool {
        let history = self.members.history();
        history.is_some_and(|history| history.store.is_some()) && !target.options.is_volatile()
    }

    fn watch_rooms(&self, interest: Box<dyn RoomInterest>) {
        self.members.set_interest(interest);
    }
}

impl<L: Link> std::fmt::Debug for LocalMembers<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalMembers")
            .field("members", &self.members.len())
            .finish_non_exhaustive()
    }
}
