//! The adapter of a single server.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::fanout::Fanout;
use super::{
    Adapter, AdapterError, Answers, BoxFuture, Facts, PacketEncoder, Publication, ServerReplies,
};
use crate::metrics::Counters;
use crate::outbox::Pushed;
use crate::rooms::{Delivered, Link, Room, Scope, Table, Target};
use proto::{Args, Sid};

/// The members on one server. It is object safe, so that a cluster need not know the type of their sockets.
pub(super) trait LocalMembers: Adapter {
    fn facts(&self, target: &Target) -> Vec<Facts>;
    fn size(&self, target: &Target) -> usize;
    /// Returns the rooms, with the number of sockets in each.
    fn room_sizes(&self) -> Vec<(Room, usize)>;
}

/// An adapter that delivers to the members on this server, at once.
pub(crate) struct Memory<L: Link> {
    members: Arc<Table<L>>,
    encoder: PacketEncoder,
    max_rooms: usize,
    fanout: Arc<Fanout>,
}

impl<L: Link> Memory<L> {
    pub(crate) fn new(
        members: Arc<Table<L>>,
        encoder: PacketEncoder,
        max_rooms: usize,
        counters: Arc<Counters>,
    ) -> Self {
        let fanout = Fanout::new(counters);
        Self {
            members,
            encoder,
            max_rooms,
            fanout,
        }
    }
}

impl<L: Link> LocalMembers for Memory<L> {
    fn facts(&self, target: &Target) -> Vec<Facts> {
        let members = self.members.select(target);
        let facts = members.iter().map(|member| Facts {
            id: member.id,
            rooms: member.rooms(),
        });
        facts.collect()
    }

    fn size(&self, target: &Target) -> usize {
        self.members.count(target)
    }

    fn room_sizes(&self) -> Vec<(Room, usize)> {
        self.members.rooms()
    }
}

impl<L: Link> Adapter for Memory<L> {
    fn broadcast(&self, publication: Publication<'_>) -> Delivered {
        let Publication { args, target } = publication;
        let mut promises = self.fanout.promises();
        let promise = &mut |place, outbox: &_| promises.add(place, outbox);
        let encoder = &self.encoder;
        let Some(history) = self.members.history() else {
            let frame = encoder.for_target(target, encoder.event(args, None));
            return self.members.deliver(target, &frame, promise);
        };
        let make =
            |offset: Option<&str>| encoder.for_target(target, encoder.event_at(&args, offset));
        let now = Instant::now().into_std();
        self.members
            .deliver_and_keep(history, target, now, &make, promise)
    }

    fn broadcast_with_ack(
        &self,
        publication: Publication<'_>,
        id: u64,
        answers: Arc<dyn Answers>,
    ) -> Delivered {
        let Publication { args, target } = publication;
        let frame = self.encoder.event(args, Some(id));
        let frame = self.encoder.for_target(target, frame);
        self.members.observe(target, || frame.clone());
        let mut delivered = Delivered::default();
        let members = self.members.select(target);
        answers.asked(members.iter().map(|member| member.id).collect());
        let _turn = self.members.turn();
        for member in members {
            let (sid, sink) = (member.id, Arc::clone(&answers));
            member.expect_ack(id, Box::new(move |answer| sink.answer(sid, answer)));
            let pushed = member.push(frame.clone(), target.volatile);
            delivered.met(pushed);
            if pushed != Pushed::Queued {
                drop(member.acks.lock().take(id));
                answers.unsent(sid);
            }
        }
        delivered
    }

    fn forget_answers(&self, id: u64, of: &[Sid]) {
        for member in of.iter().filter_map(|sid| self.members.get(*sid)) {
            // The sink is dropped without holding a lock.
            let unanswered = member.acks.lock().take(id);
            drop(unanswered);
        }
    }

    fn fetch(&self, target: &Target) -> BoxFuture<Result<Vec<Facts>, AdapterError>> {
        Box::pin(ready(Ok(self.facts(target))))
    }

    fn count(&self, target: &Target) -> BoxFuture<Result<usize, AdapterError>> {
        Box::pin(ready(Ok(self.size(target))))
    }

    fn rooms(&self) -> BoxFuture<Result<Vec<(Room, usize)>, AdapterError>> {
        Box::pin(ready(Ok(self.room_sizes())))
    }

    fn join(&self, target: &Target, rooms: &[Room]) {
        for member in self.members.select(target) {
            for room in rooms {
                let joined = self.members.join(&member, Arc::clone(room), self.max_rooms);
                if let Err(error) = joined {
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

    fn emit_to_servers(&self, event: &str, _: &Args) {
        tracing::debug!(event, "there are no other servers");
    }

    fn ask_servers(
        &self,
        event: &str,
        args: &Args,
        _: Option<Duration>,
    ) -> BoxFuture<ServerReplies> {
        self.emit_to_servers(event, args);
        Box::pin(ready(ServerReplies::default()))
    }
}

impl<L: Link> std::fmt::Debug for Memory<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory")
            .field("members", &self.members.len())
            .finish_non_exhaustive()
    }
}
