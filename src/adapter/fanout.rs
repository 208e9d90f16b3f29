//! Writes to many connections from a few tasks, instead of from the task of each connection.

use std::sync::Arc;

use crate::metrics::Counters;
use crate::outbox::Outbox;
use crate::panics::{guarded, log_panic};
use crate::sync::Lock;

/// The maximum number of connections that one task writes to. A broadcast to more has several tasks, which the threads
/// of the runtime share.
const PART: usize = 64;

/// The maximum capacity with which an empty list is reused.
const KEPT: usize = 16 * PART;

/// The outboxes of a namespace that have to be written to their connections, by the
/// [place](crate::outbox::Direct::place) that serves these.
///
/// They are written there, and not where the broadcast was made: that may be a thread without a runtime, or one whose
/// runtime does not run at the moment.
#[derive(Debug)]
pub(crate) struct Fanout {
    lanes: Lock<Vec<Lane>>,
    counters: Arc<Counters>,
}

/// The outboxes of one place. There is one place for each runtime, and most servers have one runtime.
#[derive(Debug)]
struct Lane {
    place: u64,
    outboxes: Vec<Arc<Outbox>>,
    /// True if a task is going to write them.
    scheduled: bool,
}

/// Returns the lane of a place, and creates it if there is none.
fn lane(lanes: &mut Vec<Lane>, place: u64) -> Option<&mut Lane> {
    if lanes.iter().all(|lane| lane.place != place) {
        lanes.push(Lane {
            place,
            outboxes: Vec::new(),
            scheduled: false,
        });
    }
    lanes.iter_mut().find(|lane| lane.place == place)
}

impl Fanout {
    pub(crate) fn new(counters: Arc<Counters>) -> Arc<Self> {
        let lanes = Lock::default();
        Arc::new(Self { lanes, counters })
    }

    /// Returns an empty list to which a broadcast adds its promised outboxes.
    pub(super) const fn promises(self: &Arc<Self>) -> Promises<'_> {
        Promises {
            first: None,
            others: Vec::new(),
            fanout: self,
        }
    }

    /// Takes the promised outboxes of a place. The caller has to write them or to pass them to [`begin`](Self::begin).
    fn take(&self, place: u64) -> Vec<Arc<Outbox>> {
        let mut lanes = self.lanes.lock();
        let lane = lane(&mut lanes, place);
        lane.map(|lane| std::mem::take(&mut lane.outboxes))
            .unwrap_or_default()
    }

    /// Adds outboxes to those of a place, and ensures that a task writes them: soon, but behind the handlers that are
    /// ready to run, so that what these emit is written in the same pass.
    fn begin(self: &Arc<Self>, place: u64, mut outboxes: Vec<Arc<Outbox>>) {
        // Nothing is written to connections that have closed.
        let direct = outboxes.iter().rev().find_map(|outbox| outbox.direct());
        let mut lanes = self.lanes.lock();
        let Some(lane) = lane(&mut lanes, place) else {
            return;
        };
        if lane.outboxes.is_empty() {
            lane.outboxes = outboxes;
        } else {
            lane.outboxes.append(&mut outboxes);
        }
        if std::mem::replace(&mut lane.scheduled, true) {
            return;
        }
        drop(lanes);
        let batch = Batch::new(Outboxes::OfPlace(Arc::clone(self), place));
        match direct {
            Some(direct) => direct.run(Box::new(move || batch.write())),
            None => batch.write(),
        }
    }

    fn write_all(&self, place: u64) {
        let mut lanes = self.lanes.lock();
        let mut list = Vec::new();
        if let Some(lane) = lane(&mut lanes, place) {
            lane.scheduled = false;
            list = std::mem::take(&mut lane.outboxes);
        }
        drop(lanes);
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
        let mut lanes = self.lanes.lock();
        if lanes.len() > 1 {
            // The runtime of a place may have ended.
            lanes.retain(|lane| lane.scheduled || !lane.outboxes.is_empty());
        } else if let Some(lane) = lane(&mut lanes, place)
            && lane.outboxes.capacity() == 0
            && list.capacity() <= KEPT
        {
            lane.outboxes = list;
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

/// The outboxes that one broadcast promises to write. They are written even if the broadcast panics.
pub(super) struct Promises<'a> {
    /// The first place, with the outboxes already promised in it in front. They are only taken when a broadcast has an
    /// outbox of its own to add, as otherwise broadcasts of many threads would wait for each other.
    first: Option<(u64, Vec<Arc<Outbox>>)>,
    /// Places other than the first.
    others: Vec<(u64, Vec<Arc<Outbox>>)>,
    fanout: &'a Arc<Fanout>,
}

impl Promises<'_> {
    pub(super) fn add(&mut self, place: u64, outbox: &Arc<Outbox>) {
        let outbox = Arc::clone(outbox);
        let fanout = self.fanout;
        let (first, list) = self
            .first
            .get_or_insert_with(|| (place, fanout.take(place)));
        if *first == place {
            return list.push(outbox);
        }
        if let Some((_, list)) = self.others.iter_mut().find(|(known, _)| *known == place) {
            return list.push(outbox);
        }
        let mut list = fanout.take(place);
        list.push(outbox);
        self.others.push((place, list));
    }
}

impl Drop for Promises<'_> {
    fn drop(&mut self) {
        for (place, outboxes) in self.first.take().into_iter().chain(self.others.drain(..)) {
            self.fanout.begin(place, outboxes);
        }
    }
}

/// Outboxes that a task is going to write. They are written even if its runtime drops the task instead.
struct Batch(Option<Outboxes>);

enum Outboxes {
    /// All that are promised in a place when they are written.
    OfPlace(Arc<Fanout>, u64),
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
            Some(Outboxes::OfPlace(fanout, place)) => fanout.write_all(place),
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
