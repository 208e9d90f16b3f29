//! A running namespace.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::StatusCode;
use rustc_hash::FxHashMap;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use super::emit::{frame_at, packet_frame};
use super::nsps::Family;
use super::servers::{Ears, ServerHandler};
use super::{
    AckBody, Admission, BoxHandler, Done, EventContext, OutgoingHooks, ServerLogs, Socket, new_sid,
};
use crate::adapter::BoxFuture;
use crate::adapter::{Adapter, Answers, LocalCluster, Memory};
use crate::metrics::{Counted, Counters, Place};
use crate::outbox::{EmitError, Frame, Pushed};
use crate::rooms::{Delivered, History, Log, Recovery, Table, Target};
use proto::socket_io::Codec;
use proto::{EncodedArgs, Sid};

/// The handlers that are registered for a namespace.
#[derive(Default)]
pub(crate) struct Handlers {
    pub(crate) middleware: Vec<BoxHandler<Admission>>,
    pub(crate) connect: Option<BoxHandler<Done>>,
    pub(crate) any: Vec<BoxHandler<AckBody>>,
    pub(crate) before: Vec<BoxHandler<AckBody>>,
    /// The map of handlers by event name. Its keys are chosen by the application, so the hasher need not resist chosen
    /// keys.
    pub(crate) events: FxHashMap<Box<str>, BoxHandler<AckBody>>,
    pub(crate) fallback: Option<BoxHandler<AckBody>>,
    pub(crate) disconnect: Option<BoxHandler<Done>>,
    /// The namespace's own tower layers, which wrap each handler.
    pub(crate) layered: Option<Arc<dyn Dispatch>>,
    pub(crate) outgoing: OutgoingHooks,
    /// The handlers for events of other servers.
    pub(crate) servers: FxHashMap<Box<str>, ServerHandler>,
    pub(crate) on_rejection: Option<Arc<dyn Fn(&Rejected<'_>) + Send + Sync>>,
    pub(crate) on_error: Option<Arc<dyn Fn(&Failed<'_>) + Send + Sync>>,
}

/// Calls a handler through layers.
pub(crate) trait Dispatch: Send + Sync {
    fn dispatch(&self, cx: EventContext, handler: BoxHandler<AckBody>) -> BoxFuture<AckBody>;
}

/// The rule that decides when the next event of a socket may start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// Handlers start in arrival order; after its first wait, a handler interleaves with later ones, as in Node.
    #[default]
    Started,
    /// Handlers run one at a time: each starts when the one before it has returned. A handler that waits for another
    /// event of the same socket never finishes; acknowledgements and heartbeats are not affected. `on_connect` and
    /// `on_disconnect` are not events: the latter may run beside the last one.
    Completed,
}

/// The answer to an event that has no handler, if the client requests an acknowledgement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unhandled {
    /// The error `{"error":"no handler for \"x\""}`.
    #[default]
    Error,
    /// No answer, as in Node: the client's callback is never called.
    Silent,
}

/// The format of the arguments of a client's callback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AckFormat {
    /// The value itself, or `{"error": …}`.
    #[default]
    Value,
    /// `{"data": value}` or `{"error": …}`. Several values become an array, and no value becomes `null`.
    Tagged,
    /// Two arguments, as in Node's own APIs: `null, value` or `error`.
    ErrorFirst,
}

/// A rejection of the arguments of an event; see [`Namespace::on_rejection`](crate::Namespace::on_rejection).
#[derive(Debug)]
#[non_exhaustive]
pub struct Rejected<'a> {
    /// The socket that sent the event.
    pub socket: &'a Socket,
    /// The event's name.
    pub event: &'a str,
    /// The status that the extractor's rejection has over HTTP.
    pub status: StatusCode,
    /// The error message that the client receives.
    pub message: &'a str,
}

/// A failure of a handler; see [`Namespace::on_error`](crate::Namespace::on_error).
#[derive(Debug)]
#[non_exhaustive]
pub struct Failed<'a> {
    /// The socket that the handler was called for.
    pub socket: &'a Socket,
    /// The event's name, or `connect` or `disconnect` for these handlers.
    pub event: &'a str,
    /// The status that the error of an event's handler has over HTTP; 500 for all others.
    pub status: StatusCode,
    /// The message of the error: the `message` or the `error` of its JSON body, or its text. The client receives no
    /// more than this, and less for a panic.
    pub message: &'a str,
    /// True if the handler has panicked. The panic's message is in the server's log.
    pub panicked: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct NspOptions {
    pub(crate) codec: Codec,
    pub(crate) order: Order,
    pub(crate) max_pending: usize,
    pub(crate) unhandled: Unhandled,
    pub(crate) ack_format: AckFormat,
    pub(crate) max_rooms: usize,
    pub(crate) max_room_len: usize,
    pub(crate) ack_timeout: Duration,
    pub(crate) recovery: Option<Recovery>,
    /// True if all sockets receive the broadcasts of several threads in one order.
    pub(crate) ordered_broadcasts: bool,
    /// The minimum size of a message to be compressed, if any is.
    pub(crate) compressed_from: Option<usize>,
    /// The cluster that this server may share with other servers.
    pub(crate) cluster: Option<LocalCluster>,
    /// The maximum time until a lost connection is detected.
    pub(crate) detection: Duration,
}

pub(crate) struct Nsp {
    pub(crate) name: Arc<str>,
    pub(crate) handlers: Arc<Handlers>,
    pub(crate) options: NspOptions,
    pub(crate) members: Arc<Table>,
    pub(crate) adapter: Arc<dyn Adapter>,
    /// The counters of the whole server.
    pub(crate) counters: Arc<Counters>,
    ack_id: Arc<AtomicU64>,
    /// The pattern that the namespace was created for, if any.
    family: Weak<Family>,
    /// True while a task removes expired entries from the history.
    sweeping: AtomicBool,
}

/// The way in which a namespace was created.
#[derive(Clone, Copy)]
pub(crate) enum Origin<'a> {
    Registered,
    /// Created for a name that fits the pattern.
    Made(&'a Arc<Family>),
    /// Created for a name that fits a pattern, but only other servers have the namespace: no client joins it, and it
    /// cannot be found.
    Elsewhere,
}

const DELIVERIES: Place = Place::of(Counted::Deliveries);

/// The minimum interval of sweeps, since expired entries need not be removed at once.
const SWEEP: Duration = Duration::from_secs(1);

impl Nsp {
    pub(crate) fn new(
        name: Arc<str>,
        handlers: Arc<Handlers>,
        options: NspOptions,
        logs: &Arc<ServerLogs>,
        origin: Origin<'_>,
    ) -> Self {
        let counters = logs.counters();
        let observed = !handlers.outgoing.is_empty();
        let history = options
            .recovery
            .map(|recovery| History::new(epoch(), recovery, options.detection));
        let members = Arc::new(Table::new(history, observed).ordered(options.ordered_broadcasts));
        let memory = Memory::new(
            Arc::clone(&members),
            options.max_rooms,
            Arc::clone(counters),
        );
        let (adapter, ack_id): (Arc<dyn Adapter>, _) = match &options.cluster {
            None => (Arc::new(memory), Arc::default()),
            Some(cluster) => {
                let ears = Ears {
                    nsp: Arc::clone(&name),
                    handlers: Arc::clone(&handlers),
                    logs: Arc::clone(logs),
                };
                let server = Box::new(ears);
                match origin {
                    Origin::Registered => cluster.enter(&name, None, memory, server),
                    Origin::Made(family) => {
                        cluster.enter(&name, Some(&family.name), memory, server)
                    }
                    Origin::Elsewhere => cluster.look(&name, memory, server),
                }
            }
        };
        let family = match origin {
            Origin::Made(family) => Arc::downgrade(family),
            Origin::Registered | Origin::Elsewhere => Weak::new(),
        };
        Self {
            name,
            handlers,
            options,
            members,
            adapter,
            counters: Arc::clone(counters),
            ack_id,
            family,
            // A namespace of other servers holds no sessions, so it needs no sweeper.
            sweeping: AtomicBool::new(matches!(origin, Origin::Elsewhere)),
        }
    }

    /// Sends an event to all sockets of a target.
    pub(crate) fn broadcast(self: &Arc<Self>, target: &Target, args: EncodedArgs) -> Delivered {
        let Some(history) = self.members.history() else {
            let frame = self.for_target(target, packet_frame(args, self, None));
            return self.counted(self.adapter.broadcast(target, &frame));
        };
        let make = |offset: Option<&str>| self.for_target(target, frame_at(&args, self, offset));
        let delivered = self.adapter.broadcast_and_keep(history, target, &make);
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
        let frame = self.for_target(target, packet_frame(args, self, Some(id)));
        self.counted(self.adapter.broadcast_with_ack(target, &frame, id, answers));
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

    /// Prepares a frame for all sockets of a target: compressed once, or not at all.
    pub(crate) fn for_target(&self, target: &Target, frame: Frame) -> Frame {
        if target.uncompressed {
            return frame.uncompressed();
        }
        frame.for_many(self.options.compressed_from)
    }

    /// Counts an event that was sent to one socket. A failure is counted by the caller that reports the error.
    ///
    /// Returns true if the event was queued, false if it was volatile and dropped.
    pub(super) fn sent(&self, pushed: Pushed) -> Result<bool, EmitError> {
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

    /// Returns true if the namespace was created for a pattern.
    pub(super) fn is_of_family(&self) -> bool {
        self.family.strong_count() > 0
    }

    /// Returns the next id for acknowledgements. Ids are counted per namespace, so that one packet can be sent to many
    /// sockets.
    pub(crate) fn next_ack_id(&self) -> u64 {
        self.ack_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn socket(&self, id: Sid) -> Option<Socket> {
        Socket::from_link(self.members.get(id)?.link.upgrade()?)
    }
}

/// The task that removes expired entries from the history, until it is empty.
struct Sweeper(Weak<Nsp>);

impl Sweeper {
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
impl Drop for Sweeper {
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

impl Drop for Nsp {
    fn drop(&mut self) {
        if let Some(family) = self.family.upgrade() {
            family.forget(&self.name);
        }
    }
}

impl fmt::Debug for Nsp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nsp")
            .field("name", &self.name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
