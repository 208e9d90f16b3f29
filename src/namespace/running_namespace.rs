//! A running namespace.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use super::handler_table::{HandlerTable, ServerSideEventHandlers};
use super::options::NamespaceOptions;
use super::recipients::Recipients;
use crate::adapter::{DirectWrites, LocalMembers, PacketEncoder, ServerRole};
use crate::ids::new_sid;
use crate::logs::ServerLogs;
use crate::metrics::{Counted, Counters, UndeliveredReason};
use crate::outbox::{EmitError, Pushed};
use crate::rooms::{History, Link, Log, Members, Sweeper};

/// A namespace that clients can join, with the table `H` of its handlers.
pub(crate) struct RunningNamespace<H: HandlerTable> {
    pub(crate) name: Arc<str>,
    pub(crate) handlers: Arc<H>,
    pub(crate) options: NamespaceOptions,
    pub(crate) members: Arc<Members<H::Link>>,
    pub(crate) encoder: PacketEncoder,
    /// The sockets of the namespace on this server.
    pub(crate) local: Arc<LocalMembers<H::Link>>,
    /// The sockets of the namespace on all servers.
    pub(crate) recipients: Recipients,
    /// The counters of the whole server.
    pub(crate) counters: Arc<Counters>,
    ack_ids: Arc<AtomicU64>,
    /// The namespaces of the pattern that this one was created for, if any.
    siblings: Option<Weak<dyn Siblings>>,
    sweeper: Arc<Sweeper<H::Link>>,
    /// True if a socket has joined the namespace.
    joined: AtomicBool,
}

/// The namespaces of a pattern, as one of them sees them.
pub(crate) trait Siblings: Send + Sync {
    /// Removes the entry of a namespace that is being dropped.
    fn forget(&self, name: &str);
}

/// The pattern that a namespace is created for.
pub(crate) struct Parent {
    pub(super) siblings: Weak<dyn Siblings>,
    /// The counter of acknowledgement ids, which the namespaces of the pattern share.
    pub(super) ack_ids: Arc<AtomicU64>,
}

impl<H: HandlerTable> RunningNamespace<H> {
    pub(crate) fn new(
        name: Arc<str>,
        handlers: Arc<H>,
        options: NamespaceOptions,
        logs: &Arc<ServerLogs>,
        parent: Option<Parent>,
    ) -> Self {
        let counters = logs.counters();
        let observed = handlers.observes_outgoing();
        let members = Arc::new(members(&name, &options).observed(observed));
        let encoder = PacketEncoder {
            codec: options.codec.clone(),
            nsp: Arc::clone(&name),
            compressed_from: options.compressed_from,
        };
        let (siblings, ack_ids) = match parent {
            Some(Parent { siblings, ack_ids }) => (Some(siblings), ack_ids),
            None => (None, Arc::default()),
        };
        let sweeper = Sweeper::new(&members);
        let local = Arc::new_cyclic(|own| LocalMembers {
            members: Arc::clone(&members),
            encoder: encoder.clone(),
            room_limits: options.room_limits,
            ack_ids: Arc::clone(&ack_ids),
            counters: Arc::clone(counters),
            direct_writes: DirectWrites::new(Arc::clone(counters)),
            sweeper: Arc::clone(&sweeper),
            watching: AtomicBool::new(false),
            own: Weak::clone(own),
            server: Box::new(ServerSideEventHandlers {
                nsp: Arc::clone(&name),
                handlers: Arc::clone(&handlers),
                logs: Arc::clone(logs),
                surplus: options.surplus,
            }),
        });
        if let Some(store) = members.history().and_then(|history| history.store.as_ref()) {
            let feed: Weak<LocalMembers<H::Link>> = Arc::downgrade(&local);
            store.start(feed);
        }
        let recipients = Recipients::new(
            Arc::clone(&name),
            Arc::clone(&local),
            ServerRole::Member,
            &options,
            Arc::clone(counters),
        );
        Self {
            name,
            handlers,
            options,
            members,
            encoder,
            local,
            recipients,
            counters: Arc::clone(counters),
            ack_ids,
            siblings,
            sweeper,
            joined: AtomicBool::new(false),
        }
    }

    /// Records that a socket has joined. Returns true for the first one.
    pub(crate) fn mark_joined(&self) -> bool {
        !self.joined.swap(true, Ordering::AcqRel)
    }

    /// Counts an event that was sent to one socket. A failure is counted by the caller that reports the error.
    ///
    /// Returns true if the event was queued, false if it was volatile and dropped.
    pub(crate) fn sent(&self, pushed: Pushed) -> Result<bool, EmitError> {
        match pushed {
            Pushed::Queued => self.counters.add(Counted::Deliveries, 1),
            Pushed::Dropped => self
                .counters
                .add(Counted::Undelivered(UndeliveredReason::Volatile), 1),
            Pushed::Full(_) | Pushed::Closed => {}
        }
        pushed.into_result()
    }

    /// Starts a task that removes expired entries from the history, unless one is running.
    pub(crate) fn sweep(&self) {
        self.sweeper.sweep();
    }

    /// Returns true if the namespace was created for a pattern, and the pattern exists.
    pub(crate) fn is_dynamic(&self) -> bool {
        let siblings = self.siblings.as_ref();
        siblings.is_some_and(|siblings| siblings.strong_count() > 0)
    }

    /// Returns the next id for acknowledgements. Ids are counted per namespace, so that one packet can be sent to many
    /// sockets.
    pub(crate) fn next_ack_id(&self) -> u64 {
        self.ack_ids.fetch_add(1, Ordering::Relaxed)
    }
}

/// Creates the members of a namespace, with a history if it has recovery.
fn members<L: Link>(name: &Arc<str>, options: &NamespaceOptions) -> Members<L> {
    let history = options.recovery.map(|recovery| {
        let store = { options.stores.as_ref() }.and_then(|stores| stores.open(name));
        History::new(epoch(), recovery, options.detection, store)
    });
    Members::new(history).ordered(options.ordered_broadcasts)
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
