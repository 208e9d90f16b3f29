//! The removal of what is no longer stored.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use crate::rooms::{Link, Members};

/// The minimum interval of sweeps, since expired entries need not be removed at once.
const SWEEP: Duration = Duration::from_secs(1);

/// The removal of expired entries from the history of a namespace, by a task that runs while there are any.
#[derive(Debug)]
pub(crate) struct Sweeper<L: Link> {
    members: Weak<Members<L>>,
    /// True if there is a history at all.
    needed: bool,
    /// True while a task removes entries.
    running: AtomicBool,
}

impl<L: Link> Sweeper<L> {
    pub(crate) fn new(members: &Arc<Members<L>>) -> Arc<Self> {
        Arc::new(Self {
            members: Arc::downgrade(members),
            needed: members.history().is_some(),
            running: AtomicBool::new(false),
        })
    }

    /// Starts the task, unless it is running.
    pub(crate) fn sweep(self: &Arc<Self>) {
        if !self.needed || self.running.load(Ordering::Relaxed) {
            return;
        }
        // Without a runtime, expired entries are removed on the next access.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if !self.running.swap(true, Ordering::AcqRel) {
            let run = Run(Arc::clone(self));
            runtime.spawn(async move { run.sweep_up().await });
        }
    }
}

/// The task that removes expired entries from the history, until it is empty.
struct Run<L: Link>(Arc<Sweeper<L>>);

impl<L: Link> Run<L> {
    async fn sweep_up(&self) {
        let Self(sweeper) = self;
        while let Some(members) = sweeper.members.upgrade() {
            let Some(history) = members.history() else {
                return;
            };
            let now = Instant::now();
            let Some(next) = history.expire(now.into_std()) else {
                sweeper.running.store(false, Ordering::Release);
                // An entry that was added meanwhile has found this task running, and has started no other.
                if history.is_empty() || sweeper.running.swap(true, Ordering::AcqRel) {
                    return;
                }
                continue;
            };
            drop(members);
            sleep_until(Instant::from_std(next).max(now + SWEEP)).await;
        }
    }
}

/// Lets another task start, even if this one is cancelled or panics.
impl<L: Link> Drop for Run<L> {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::Release);
    }
}
