//! Writing to many connections: by a few tasks, where it need not be the one of each connection.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::yield_now;

use crate::engine::Outbox;
use crate::metrics::Counters;
use crate::sync::Lock;

/// One task writes to so many connections. A broadcast to more has several, which the threads of the runtime share.
const PART: usize = 64;

/// A list for more than so many is not kept when it is empty.
const KEPT: usize = 16 * PART;

/// The outboxes of a namespace that are promised to be written to their connections.
#[derive(Debug)]
pub(super) struct Fanout {
    promised: Lock<Promised>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Promised {
    outboxes: Vec<Arc<Outbox>>,
    /// A task is going to write them.
    begun: bool,
}

impl Fanout {
    pub(super) fn new(counters: Arc<Counters>) -> Arc<Self> {
        let promised = Lock::default();
        Arc::new(Self { promised, counters })
    }

    /// Where a broadcast adds its promises.
    pub(super) const fn promises(self: &Arc<Self>) -> Promises<'_> {
        Promises {
            outboxes: None,
            fanout: self,
        }
    }

    /// Sees to it that these are written: soon, but behind the handlers that are ready to run. What they emit goes along.
    fn begin(self: &Arc<Self>, mut outboxes: Vec<Arc<Outbox>>) {
        let mut promised = self.promised.lock();
        if promised.outboxes.is_empty() {
            promised.outboxes = outboxes;
        } else {
            promised.outboxes.append(&mut outboxes);
        }
        if std::mem::replace(&mut promised.begun, true) {
            return;
        }
        drop(promised);
        let all = All(Arc::clone(self));
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async {
                yield_now().await;
                drop(all);
            });
        }
    }

    fn write_all(&self) {
        let mut promised = self.promised.lock();
        promised.begun = false;
        let mut list = std::mem::take(&mut promised.outboxes);
        drop(promised);
        let runtime = Handle::try_current();
        while list.len() > PART {
            let part = Part {
                outboxes: list.split_off(list.len() - PART),
                counters: Arc::clone(&self.counters),
            };
            if let Ok(runtime) = &runtime {
                runtime.spawn(async { drop(part) });
            }
        }
        write(&mut list, &self.counters);
        let mut promised = self.promised.lock();
        if promised.outboxes.capacity() == 0 && list.capacity() <= KEPT {
            promised.outboxes = list;
        }
    }
}

fn write(outboxes: &mut Vec<Arc<Outbox>>, counters: &Counters) {
    let (mut packets, mut bytes) = (0, 0);
    for outbox in outboxes.drain(..) {
        let written = outbox.write_direct();
        packets += written.packets;
        bytes += written.bytes;
    }
    if packets > 0 {
        counters.add_sent(packets, bytes);
    }
}

/// What a broadcast promises. It is kept also if that ends in the middle.
pub(super) struct Promises<'a> {
    /// Behind those of others. Not asked for before there is one of its own: broadcasts of many threads would wait for each other.
    outboxes: Option<Vec<Arc<Outbox>>>,
    fanout: &'a Arc<Fanout>,
}

impl Promises<'_> {
    pub(super) fn add(&mut self, outbox: &Arc<Outbox>) {
        let known = || std::mem::take(&mut self.fanout.promised.lock().outboxes);
        let outboxes = self.outboxes.get_or_insert_with(known);
        outboxes.push(Arc::clone(outbox));
    }
}

impl Drop for Promises<'_> {
    fn drop(&mut self) {
        if let Some(outboxes) = self.outboxes.take() {
            self.fanout.begin(outboxes);
        }
    }
}

/// Writes all that is promised when it is dropped: also if the runtime that was to do it is gone, or there is none.
struct All(Arc<Fanout>);

impl Drop for All {
    fn drop(&mut self) {
        self.0.write_all();
    }
}

/// Writes some of it, likewise.
struct Part {
    outboxes: Vec<Arc<Outbox>>,
    counters: Arc<Counters>,
}

impl Drop for Part {
    fn drop(&mut self) {
        write(&mut self.outboxes, &self.counters);
    }
}
