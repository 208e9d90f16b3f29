//! Writes to many connections from a few tasks, instead of from the task of each connection.

use std::sync::Arc;

use crate::metrics::Counters;
use crate::outbox::{Outbox, RuntimeId};
use crate::panics::{guarded, log_panic};
use crate::sync::Lock;

/// The maximum number of connections that one task writes to. A broadcast to more has several tasks, which the threads
/// of the runtime share.
const PART: usize = 64;

/// The maximum capacity with which an empty list is reused.
const KEPT: usize = 16 * PART;

/// The outboxes of a namespace that have to be written to their connections, by the runtime that serves these.
///
/// They are written on that runtime, and not where the broadcast was made: that may be a thread without a runtime, or
/// one whose runtime does not run at the moment.
#[derive(Debug)]
pub(crate) struct DirectWrites {
    /// The outboxes of each runtime. Most servers have one.
    pending: Lock<Vec<Pending>>,
    counters: Arc<Counters>,
}

/// The outboxes of one runtime that have to be written.
#[derive(Debug)]
struct Pending {
    runtime: RuntimeId,
    outboxes: Vec<Arc<Outbox>>,
    /// True if a task is going to write them.
    scheduled: bool,
}

/// Returns the entry of a runtime, and creates it if there is none.
fn entry(pending: &mut Vec<Pending>, runtime: RuntimeId) -> Option<&mut Pending> {
    if pending.iter().all(|entry| entry.runtime != runtime) {
        pending.push(Pending {
            runtime,
            outboxes: Vec::new(),
            scheduled: false,
        });
    }
    pending.iter_mut().find(|entry| entry.runtime == runtime)
}

impl DirectWrites {
    pub(crate) fn new(counters: Arc<Counters>) -> Arc<Self> {
        let pending = Lock::default();
        Arc::new(Self { pending, counters })
    }

    /// Returns an empty list to which a broadcast adds the outboxes that have to be written.
    pub(super) const fn of_broadcast(self: &Arc<Self>) -> BroadcastWrites<'_> {
        BroadcastWrites {
            first: None,
            others: Vec::new(),
            writes: self,
        }
    }

    /// Takes the outboxes of a runtime. The caller has to write them or to pass them to [`schedule`](Self::schedule).
    fn take(&self, runtime: RuntimeId) -> Vec<Arc<Outbox>> {
        let mut pending = self.pending.lock();
        let entry = entry(&mut pending, runtime);
        entry
            .map(|entry| std::mem::take(&mut entry.outboxes))
            .unwrap_or_default()
    }

    /// Adds outboxes to those of a runtime, and ensures that a task writes them: soon, but behind the handlers that are
    /// ready to run, so that what these emit is written in the same pass.
    fn schedule(self: &Arc<Self>, runtime: RuntimeId, mut outboxes: Vec<Arc<Outbox>>) {
        // Nothing is written to connections that have closed.
        let direct = outboxes.iter().rev().find_map(|outbox| outbox.direct());
        let mut pending = self.pending.lock();
        let Some(entry) = entry(&mut pending, runtime) else {
            return;
        };
        if entry.outboxes.is_empty() {
            entry.outboxes = outboxes;
        } else {
            entry.outboxes.append(&mut outboxes);
        }
        if std::mem::replace(&mut entry.scheduled, true) {
            return;
        }
        drop(pending);
        let batch = Batch::new(Outboxes::OfRuntime(Arc::clone(self), runtime));
        match direct {
            Some(direct) => direct.run(Box::new(move || batch.write())),
            None => batch.write(),
        }
    }

    fn write_all(&self, runtime: RuntimeId) {
        let mut pending = self.pending.lock();
        let mut list = Vec::new();
        if let Some(entry) = entry(&mut pending, runtime) {
            entry.scheduled = false;
            list = std::mem::take(&mut entry.outboxes);
        }
        drop(pending);
        while list.len() > PART {
            let part = list.split_off(list.len() - PART);
            let direct = part.iter().find_map(|outbox| outbox.direct());
            let batch = Batch::new(Outboxes::Some(part, Arc::clone(&self.counters)));
            match direct {
                Some(direct) => direct.run(Box::new(move || batch.write())),
                None => batch.write(),
            }
        }
        write(&mut list, &self.counters);
        let mut pending = self.pending.lock();
        if pending.len() > 1 {
            // A runtime may have ended.
            pending.retain(|entry| entry.scheduled || !entry.outboxes.is_empty());
        } else if let Some(entry) = entry(&mut pending, runtime)
            && entry.outboxes.capacity() == 0
            && list.capacity() <= KEPT
        {
            entry.outboxes = list;
        }
    }
}

fn write(outboxes: &mut Vec<Arc<Outbox>>, counters: &Counters) {
    let (mut packets, mut bytes) = (0, 0);
    for outbox in outboxes.drain(..) {
        // A task that waits for the write may have a waker that panics, which must not affect the others.
        match guarded(|| outbox.write_direct()) {
            Ok(written) => {
                packets += written.packets;
                bytes += written.bytes;
            }
            Err(panicked) => log_panic("waker", &panicked),
        }
    }
    if packets > 0 {
        counters.add_sent(packets, bytes);
    }
}

/// The outboxes of one broadcast that have to be written. The write is scheduled when this value is dropped, which also
/// happens if the broadcast panics.
pub(super) struct BroadcastWrites<'a> {
    /// The first runtime, with the outboxes that already wait for it in front. They are only taken when a broadcast has
    /// an outbox of its own to add, as otherwise broadcasts of many threads would wait for each other.
    first: Option<(RuntimeId, Vec<Arc<Outbox>>)>,
    /// Runtimes other than the first.
    others: Vec<(RuntimeId, Vec<Arc<Outbox>>)>,
    writes: &'a Arc<DirectWrites>,
}

impl BroadcastWrites<'_> {
    pub(super) fn add(&mut self, runtime: RuntimeId, outbox: &Arc<Outbox>) {
        let outbox = Arc::clone(outbox);
        let writes = self.writes;
        let (first, list) = self
            .first
            .get_or_insert_with(|| (runtime, writes.take(runtime)));
        if *first == runtime {
            return list.push(outbox);
        }
        if let Some((_, list)) = self.others.iter_mut().find(|(known, _)| *known == runtime) {
            return list.push(outbox);
        }
        let mut list = writes.take(runtime);
        list.push(outbox);
        self.others.push((runtime, list));
    }
}

impl Drop for BroadcastWrites<'_> {
    fn drop(&mut self) {
        for (runtime, outboxes) in self.first.take().into_iter().chain(self.others.drain(..)) {
            self.writes.schedule(runtime, outboxes);
        }
    }
}

/// Outboxes that a task is going to write. They are written even if its runtime drops the task instead.
struct Batch(Option<Outboxes>);

enum Outboxes {
    /// All that wait for a runtime when they are written.
    OfRuntime(Arc<DirectWrites>, RuntimeId),
    Some(Vec<Arc<Outbox>>, Arc<Counters>),
}

impl Batch {
    const fn new(outboxes: Outboxes) -> Self {
        Self(Some(outboxes))
    }

    fn write(mut self) {
        self.write_once();
    }

    fn write_once(&mut self) {
        match self.0.take() {
            Some(Outboxes::OfRuntime(writes, runtime)) => writes.write_all(runtime),
            Some(Outboxes::Some(mut outboxes, counters)) => write(&mut outboxes, &counters),
            None => {}
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.write_once();
    }
}
