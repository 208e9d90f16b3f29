//! A running namespace.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use super::options::NamespaceOptions;
use super::table::{HandlerTable, ServerEventHandlers};
use crate::adapter::{Adapter, Answers, LocalCluster, Memory, PacketEncoder, Publication};
use crate::ids::new_sid;
use crate::logs::ServerLogs;
use crate::metrics::{Counted, Counters, Place};
use crate::outbox::{EmitError, Pushed};
use crate::rooms::{Delivered, History, Log, Table, Target};
use proto::EncodedArgs;

/// A namespace that clients can join, with the table `H` of its handlers.
pub(crate) struct RunningNamespace<H: HandlerTable> {
    pub(crate) name: Arc<str>,
    pub(crate) handlers: Arc<H>,
    pub(crate) options: NamespaceOptions,
    pub(crate) members: Arc<Table<H::Link>>,
    pub(crate) encoder: PacketEncoder,
    pub(crate) adapter: Arc<dyn Adapter>,
    /// The counters of the whole server.
    pub(crate) counters: Arc<Counters>,
    ack_id: Arc<AtomicU64>,
    /// The namespaces of the pattern that this one was created for, if any.
    siblings: Option<Weak<dyn Siblings>>,
    /// True while a task removes expired entries from the history.
    sweeping: AtomicBool,
}

/// The namespaces of a pattern, as one of them sees them.
pub(crate) trait Siblings: Send + Sync {
    /// Removes the entry of a namespace that is being dropped.
    fn forget(&self, name: &str);
}

/// The reason for which a namespace is created.
pub(crate) enum Creation<'a> {
    /// It is registered under its name.
    Registered,
    /// A client requests a name that fits the pattern.
    Requested {
        pattern: &'a Arc<str>,
        siblings: Weak<dyn Siblings>,
    },
    /// This server emits to a name that fits a pattern, but only other servers have the namespace: no client joins it,
    /// and it cannot be found.
    Elsewhere,
}

const DELIVERIES: Place = Place::of(Counted::Deliveries);

/// The minimum interval of sweeps, since expired entries need not be removed at once.
const SWEEP: Duration = Duration::from_secs(1);

impl<H: HandlerTable> RunningNamespace<H> {
    pub(crate) fn new(
        name: Arc<str>,
        handlers: Arc<H>,
        options: NamespaceOptions,
        logs: &Arc<ServerLogs>,
        creation: Creation<'_>,
    ) -> Self {
        let counters = logs.counters();
        let observed = handlers.observes_outgoing();
        let history = options
            .recovery
            .map(|recovery| History::new(epoch(), recovery, options.detection));
        let members = Arc::new(Table::new(history, observed).ordered(options.ordered_broadcasts));
        let encoder = PacketEncoder {
            codec: options.codec.clone(),
            nsp: Arc::clone(&name),
            compressed_from: options.compressed_from,
        };
        let memory = Memory::new(
            Arc::clone(&members),
            encoder.clone(),
            options.max_rooms,
            Arc::clone(counters),
        );
        let server = ServerEventHandlers {
            nsp: Arc::clone(&name),
            handlers: Arc::clone(&handlers),
            logs: Arc::clone(logs),
        };
        let (adapter, ack_id) = adapter(&name, memory, options.cluster.as_ref(), server, &creation);
        // A namespace of other servers holds no sessions, so it needs no sweeper.
        let sweeping = matches!(creation, Creation::Elsewhere);
        let siblings = match creation {
            Creation::Requested { siblings, .. } => Some(siblings),
            Creation::Registered | Creation::Elsewhere => None,
        };
        Self {
            name,
            handlers,
            options,
            members,
            encoder,
            adapter,
            counters: Arc::clone(counters),
            ack_id,
            siblings,
            sweeping: AtomicBool::new(sweeping),
        }
    }

    /// Sends an event to all sockets of a target.
    pub(crate) fn broadcast(self: &Arc<Self>, target: &Target, args: EncodedArgs) -> Delivered {
        let delivered = self.adapter.broadcast(Publication { args, target });
        self.sweep();
        self.counted(delivered)
    }

    /// Sends an event to all sockets of a target and passes their acknowledgements to `answers`.
    pub(crate) fn ask(
        &self,
        target: &Target,
        args: EncodedArgs,
        id: u64,
        answers: Arc<dyn Answers>,
    ) {
        let publication = Publication { args, target };
        self.counted(self.adapter.broadcast_with_ack(publication, id, answers));
    }

    /// Counts the result of a broadcast, once for all members.
    fn counted(&self, delivered: Delivered) -> Delivered {
        let Delivered {
            queued,
            dropped,
            full,
        } = delivered;
        self.counters.add_all([(DELIVERIES, queued)]);
        for (reason, count) in [("volatile", dropped), ("full", full)] {
            if count > 0 {
                self.counters.add_for(Counted::Undelivered, reason, count);
            }
        }
        delivered
    }

    /// Counts an event that was sent to one socket. A failure is counted by the caller that reports the error.
    ///
    /// Returns true if the event was queued, false if it was volatile and dropped.
    pub(crate) fn sent(&self, pushed: Pushed) -> Result<bool, EmitError> {
        match pushed {
            Pushed::Queued => self.counters.add(Counted::Deliveries, 1),
            Pushed::Dropped => self.counters.add_for(Counted::Undelivered, "volatile", 1),
            Pushed::Full(_) | Pushed::Closed => {}
        }
        pushed.into_result()
    }

    /// Starts a task that removes expired entries from the history, unless one is running.
    pub(crate) fn sweep(self: &Arc<Self>) {
        if self.members.history().is_none() || self.sweeping.load(Ordering::Relaxed) {
            return;
        }
        // Without a runtime, expired entries are removed on the next access.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if !self.sweeping.swap(true, Ordering::AcqRel) {
            let sweeper = Sweeper(Arc::downgrade(self));
            runtime.spawn(async move { sweeper.sweep_up().await });
        }
    }

    /// Returns true if the namespace was created for a pattern, and the pattern exists.
    pub(crate) fn is_dynamic(&self) -> bool {
        let siblings = self.siblings.as_ref();
        siblings.is_some_and(|siblings| siblings.strong_count() > 0)
    }

    /// Returns the next id for acknowledgements. Ids are counted per namespace, so that one packet can be sent to many
    /// sockets.
    pub(crate) fn next_ack_id(&self) -> u64 {
        self.ack_id.fetch_add(1, Ordering::Relaxed)
    }
}

/// Returns the adapter of a namespace, and the counter of its acknowledgement ids.
fn adapter<H: HandlerTable>(
    name: &Arc<str>,
    memory: Memory<H::Link>,
    cluster: Option<&LocalCluster>,
    server: ServerEventHandlers<H>,
    creation: &Creation<'_>,
) -> (Arc<dyn Adapter>, Arc<AtomicU64>) {
    let Some(cluster) = cluster else {
        return (Arc::new(memory), Arc::default());
    };
    let server = Box::new(server);
    match creation {
        Creation::Registered => cluster.enter(name, None, memory, server),
        Creation::Requested { pattern, .. } => cluster.enter(name, Some(pattern), memory, server),
        Creation::Elsewhere => cluster.look(name, memory, server),
    }
}

/// The task that removes expired entries from the history, until it is empty.
struct Sweeper<H: HandlerTable>(Weak<RunningNamespace<H>>);

impl<H: HandlerTable> Sweeper<H> {
    async fn sweep_up(&self) {
        let Self(nsp) = self;
        while let Some(this) = nsp.upgrade() {
            let Some(history) = this.members.history() else {
                return;
            };
            let now = Instant::now();
            let Some(next) = history.expire(now.into_std()) else {
                this.sweeping.store(false, Ordering::Release);
                // An entry that was added meanwhile has found this sweeper running, and has started no other.
                if history.is_empty() || this.sweeping.swap(true, Ordering::AcqRel) {
                    return;
                }
                continue;
            };
            drop(this);
            sleep_until(Instant::from_std(next).max(now + SWEEP)).await;
        }
    }
}

/// Lets another sweeper start, even if this one is cancelled or panics.
impl<H: HandlerTable> Drop for Sweeper<H> {
    fn drop(&mut self) {
        if let Some(nsp) = self.0.upgrade() {
            nsp.sweeping.store(false, Ordering::Release);
        }
    }
}

/// Creates the random prefix that distinguishes the offsets of one history from those of others.
fn epoch() -> [u8; Log::EPOCH] {
    let id = new_sid();
    let first = id
        .as_ref()
        .and_then(|id| id.as_str().as_bytes().first_chunk());
    first.copied().unwrap_or([b'0'; Log::EPOCH])
}

impl<H: HandlerTable> Drop for RunningNamespace<H> {
    fn drop(&mut self) {
        let siblings = self.siblings.as_ref();
        if let Some(siblings) = siblings.and_then(Weak::upgrade) {
            siblings.forget(&self.name);
        }
    }
}

impl<H: HandlerTable> fmt::Debug for RunningNamespace<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningNamespace")
            .field("name", &self.name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
