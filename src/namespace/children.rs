//! The namespaces of a pattern on this server, as one.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use super::handler_table::{HandlerTable, ServerSideEventHandlers};
use super::running_namespace::RunningNamespace;
use crate::adapter::{Answers, BoxFuture, Facts, LocalSockets, Publication, ServerSide};
use crate::rooms::{Delivered, Room, RoomInterest, Scope, Target};
use crate::sync::Lock;
use proto::{Args, Sid};

/// The namespaces of a pattern, as the adapter of the pattern uses them.
pub(super) trait ListChildren<H: HandlerTable>: Send + Sync {
    /// Returns the existing namespaces on this server.
    fn list(&self) -> Vec<Arc<RunningNamespace<H>>>;
}

/// The sockets of all namespaces of a pattern on this server.
pub(super) struct Children<H: HandlerTable> {
    pub(super) pattern: Weak<dyn ListChildren<H>>,
    /// The counter of acknowledgement ids, which the namespaces share: one event with acknowledgements has the same id
    /// in all of them.
    pub(super) ack_ids: Arc<AtomicU64>,
    /// The handlers for events of other servers.
    pub(super) server: ServerSideEventHandlers<H>,
}

impl<H: HandlerTable> Children<H> {
    fn all(&self) -> Vec<Arc<RunningNamespace<H>>> {
        let pattern = self.pattern.upgrade();
        pattern.map(|pattern| pattern.list()).unwrap_or_default()
    }
}

impl<H: HandlerTable> LocalSockets for Children<H> {
    fn broadcast(&self, publication: Publication<'_>) -> Delivered {
        let Publication { args, target } = publication;
        let mut children = self.all();
        let last = children.pop();
        let others = children.iter().map(|child| {
            let args = args.clone();
            child.local.broadcast(Publication { args, target })
        });
        let delivered: Delivered = others.sum();
        let last = last.map(|child| child.local.broadcast(Publication { args, target }));
        [delivered].into_iter().chain(last).sum()
    }

    fn broadcast_with_ack(&self, publication: Publication<'_>, id: u64, answers: Arc<dyn Answers>) {
        let Publication { args, target } = publication;
        let ids = |child: Arc<RunningNamespace<H>>| {
            let ids: Vec<_> = child
                .local
                .facts(target)
                .iter()
                .map(|facts| facts.id)
                .collect();
            (child, ids)
        };
        let children: Vec<_> = self.all().into_iter().map(ids).collect();
        answers.asked(children.iter().flat_map(|(_, ids)| ids.clone()).collect());
        for (child, ids) in children {
            let announced = Arc::new(Announced {
                answers: Arc::clone(&answers),
                asked: Lock::default(),
            });
            let args = args.clone();
            let publication = Publication { args, target };
            child
                .local
                .broadcast_with_ack(publication, id, Arc::clone(&announced) as _);
            let asked = std::mem::take(&mut *announced.asked.lock());
            let left = ids.into_iter().filter(|id| !asked.contains(id));
            left.for_each(|id| answers.answer(id, None));
        }
    }

    fn forget_answers(&self, id: u64, of: &[Sid]) {
        for child in self.all() {
            child.local.forget_answers(id, of);
        }
    }

    fn next_ack_id(&self) -> u64 {
        self.ack_ids.fetch_add(1, Ordering::Relaxed)
    }

    fn facts(&self, target: &Target) -> Vec<Facts> {
        let children = self.all();
        let facts = children.iter().flat_map(|child| child.local.facts(target));
        facts.collect()
    }

    fn count(&self, target: &Target) -> usize {
        let children = self.all();
        children.iter().map(|child| child.local.count(target)).sum()
    }

    fn rooms(&self) -> Vec<(Room, usize)> {
        let mut rooms = HashMap::new();
        for child in self.all() {
            for (room, count) in child.local.rooms() {
                *rooms.entry(room).or_default() += count;
            }
        }
        rooms.into_iter().collect()
    }

    fn join(&self, target: &Target, rooms: &[Room]) {
        for child in self.all() {
            child.local.join(target, rooms);
        }
    }

    fn leave(&self, target: &Target, rooms: &[Room]) {
        for child in self.all() {
            child.local.leave(target, rooms);
        }
    }

    fn disconnect(&self, target: &Target, scope: Scope) {
        for child in self.all() {
            child.local.disconnect(target, scope);
        }
    }

    /// Runs the handlers once, whatever the number of namespaces.
    fn handle(&self, event: &str, args: Args) -> BoxFuture<Option<Args>> {
        self.server.handle(event, args)
    }

    fn has_room(&self, _: &str) -> bool {
        true
    }

    fn has_rooms(&self) -> bool {
        false
    }

    fn watch_rooms(&self, _: Box<dyn RoomInterest>) {}
}

/// A collector of answers that knows already which sockets are asked.
struct Announced {
    answers: Arc<dyn Answers>,
    /// The sockets that the event was sent to. Some may have left since they were announced.
    asked: Lock<HashSet<Sid>>,
}

impl Answers for Announced {
    fn asked(&self, ids: Vec<Sid>) {
        self.asked.lock().extend(ids);
    }

    fn answer(&self, id: Sid, answer: Option<Args>) {
        self.answers.answer(id, answer);
    }

    fn unsent(&self, id: Sid) {
        self.answers.unsent(id);
    }
}

impl<H: HandlerTable> fmt::Debug for Children<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Children").finish_non_exhaustive()
    }
}
