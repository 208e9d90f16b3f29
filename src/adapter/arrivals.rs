//! Events that wait for their positions in a store.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::time::sleep_until;

use super::{LocalMembers, Publication};
use crate::clock::now;
use crate::metrics::{ClusterDirection, Counted};
use crate::outbox::Outbox;
use crate::rooms::recovery::{Arrival, Delivery, Feed, LoggedEvent, Position, Store};
use crate::rooms::{Delivered, Forgotten, History, Link};
use proto::Sid;

impl<L: Link> LocalMembers<L> {
    /// Hands an event to the store. It is delivered when its position is known, or without one when it has waited too
    /// long.
    #[cold]
    pub(super) fn hand_over(
        &self,
        history: &History<L>,
        store: &dyn Store,
        publication: Publication<'_>,
    ) -> Delivered {
        let Publication { args, target } = publication;
        // The copy has the size of its content; the original has a large buffer of the thread.
        let event = LoggedEvent {
            target: target.clone(),
            args: args.clone(),
        };
        drop(args);
        let delivered =
            self.delivering(|delivery| self.members.hand_over(history, store, event, delivery));
        self.watch_waiting();
        delivered
    }

    /// Calls `deliver` with the tools that it needs.
    fn delivering<T>(&self, deliver: impl FnOnce(&mut Delivery<'_>) -> T) -> T {
        let encoder = &self.encoder;
        let mut writes = self.direct_writes.of_broadcast();
        let mut delivery = Delivery {
            now: now(),
            make: &|event, offset| {
                encoder.for_target(&event.target, encoder.event_at(&event.args, offset))
            },
            schedule_write: &mut |runtime, outbox: &Arc<Outbox>| writes.add(runtime, outbox),
        };
        deliver(&mut delivery)
    }

    /// Delivers the events that have waited too long, without offsets. Returns the time at which the next one has.
    fn deliver_overdue(&self) -> Option<Instant> {
        let history = self.members.history()?;
        let limit = history.options.position_timeout;
        let (delivered, next) =
            self.delivering(|delivery| self.members.deliver_overdue(history, limit, delivery));
        self.counted(delivered);
        next
    }

    /// Starts a task that delivers the events which wait too long, unless it is running.
    fn watch_waiting(&self) {
        if self.watching.load(Ordering::Relaxed) {
            return;
        }
        // Without a runtime, the next event that is emitted on one starts the task.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if self.watching.swap(true, Ordering::AcqRel) {
            return;
        }
        let watch = Watch(self.own.clone());
        runtime.spawn(async move { watch.run().await });
    }
}

/// The task that delivers the events which wait too long, until none waits.
struct Watch<L: Link>(Weak<LocalMembers<L>>);

impl<L: Link> Watch<L> {
    async fn run(&self) {
        while let Some(local) = self.0.upgrade() {
            let Some(next) = local.deliver_overdue() else {
                local.watching.store(false, Ordering::Release);
                // An event that was added meanwhile has found this task running, and has started no other.
                if local.deliver_overdue().is_none() || local.watching.swap(true, Ordering::AcqRel)
                {
                    return;
                }
                continue;
            };
            drop(local);
            sleep_until(next.into()).await;
        }
    }
}

/// Lets another task start, even if this one is cancelled or panics.
impl<L: Link> Drop for Watch<L> {
    fn drop(&mut self) {
        if let Some(local) = self.0.upgrade() {
            local.watching.store(false, Ordering::Release);
        }
    }
}

impl<L: Link> Feed for LocalMembers<L> {
    fn begins(&self, after: Position) {
        if let Some(history) = self.members.history() {
            history.lock().log.begin(after);
            history.arrivals.notify_waiters();
        }
    }

    fn arrived(&self, position: Position, arrival: Arrival) {
        let Some(history) = self.members.history() else {
            return;
        };
        let Some(store) = &history.store else { return };
        let direction = match &arrival {
            Arrival::Own(_) | Arrival::Delivered => ClusterDirection::Sent,
            Arrival::Foreign(_) => ClusterDirection::Received,
        };
        self.counters.add(Counted::ClusterMessages(direction), 1);
        let arrived = (position, arrival);
        let delivered =
            self.delivering(|delivery| self.members.arrive(history, &**store, arrived, delivery));
        self.counted(delivered);
        self.sweeper.sweep();
        history.arrivals.notify_waiters();
    }

    fn claimed(&self, pid: Sid) {
        let Some(history) = self.members.history() else {
            return;
        };
        let mut forgotten = Forgotten::default();
        let holder = history.lock().sessions.surrender(pid, &mut forgotten);
        drop(forgotten);
        if let Some(holder) = holder {
            holder.surrender();
        }
    }
}
