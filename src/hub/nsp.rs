//! One running namespace.

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
use super::{AckBody, Admission, BoxHandler, Done, EventContext, OutgoingHooks, Socket, new_sid};
use crate::adapter::BoxFuture;
use crate::adapter::{Adapter, Answers, LocalCluster, Memory};
use crate::engine::{EmitError, Frame, Pushed};
use crate::metrics::{Counted, Counters, Place};
use crate::protocol::socket_io::Codec;
use crate::protocol::{EncodedArgs, Sid};
use crate::rooms::{Delivered, History, Log, Recovery, Table, Target};

/// What users have registered for a namespace.
#[derive(Default)]
pub(crate) struct Handlers {
    pub(crate) middleware: Vec<BoxHandler<Admission>>,
    pub(crate) connect: Option<BoxHandler<Done>>,
    pub(crate) any: Vec<BoxHandler<AckBody>>,
    pub(crate) before: Vec<BoxHandler<AckBody>>,
    /// Only the application adds to it, so its hasher need not withstand chosen keys.
    pub(crate) events: FxHashMap<Box<str>, BoxHandler<AckBody>>,
    pub(crate) fallback: Option<BoxHandler<AckBody>>,
    pub(crate) disconnect: Option<BoxHandler<Done>>,
    /// The namespace's own tower layers, around whichever handler is called.
    pub(crate) layered: Option<Arc<dyn Dispatch>>,
    pub(crate) outgoing: OutgoingHooks,
    /// For what other servers say.
    pub(crate) servers: FxHashMap<Box<str>, ServerHandler>,
    pub(crate) on_rejection: Option<Arc<dyn Fn(&Rejected<'_>) + Send + Sync>>,
    pub(crate) on_error: Option<Arc<dyn Fn(&Failed<'_>) + Send + Sync>>,
}

/// Calls a handler through layers.
pub(crate) trait Dispatch: Send + Sync {
    fn dispatch(&self, cx: EventContext, handler: BoxHandler<AckBody>) -> BoxFuture<AckBody>;
}

/// When the next event of a socket may start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// Bodies start in arrival order; what follows a handler's first wait interleaves, as in Node.
    #[default]
    Started,
    /// One at a time: a handler starts when the one before it has returned. A handler that waits for another event of
    /// the same socket waits for ever; acknowledgements and heartbeats are not affected. `on_connect` and `on_disconnect` are
    /// no events: the latter may run beside the last one.
    Completed,
}

/// What a client hears that sends an event nobody handles, and waits for an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unhandled {
    /// `{"error":"no handler for \"x\""}`
    #[default]
    Error,
    /// Nothing, as in Node: its callback is never called.
    Silent,
}

/// The shape of what a client's callback gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AckFormat {
    /// The value itself, or `{"error": …}`.
    #[default]
    Value,
    /// `{"data": value}` or `{"error": …}`; of several values, with an array of them, and `null` if there is none.
    Tagged,
    /// Two arguments, as Node's own APIs have them: `null, value` or `error`.
    ErrorFirst,
}

/// Arguments that did not fit their handler; see [`Namespace::on_rejection`](crate::Namespace::on_rejection).
#[derive(Debug)]
#[non_exhaustive]
pub struct Rejected<'a> {
    /// Who sent the event.
    pub socket: &'a Socket,
    /// The event's name.
    pub event: &'a str,
    /// The status the extractor's rejection would have over HTTP.
    pub status: StatusCode,
    /// What was expected, as the client is told.
    pub message: &'a str,
}

/// A handler that has failed; see [`Namespace::on_error`](crate::Namespace::on_error).
#[derive(Debug)]
#[non_exhaustive]
pub struct Failed<'a> {
    /// Whose handler it was.
    pub socket: &'a Socket,
    /// The event's name; `connect` and `disconnect` for the handlers of these.
    pub event: &'a str,
    /// The status that the error of an event's handler has over HTTP; 500 for all others.
    pub status: StatusCode,
    /// What the error says: the `message` or the `error` of its JSON body, or its text. The client is told no more, and less
    /// of a panic.
    pub message: &'a str,
    /// Whether it has panicked. What the panic says is in the server's log.
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
    /// Whether all sockets get the broadcasts of several threads in the same order.
    pub(crate) ordered_broadcasts: bool,
    /// How long a message must be to be compressed, if any is.
    pub(crate) compressed_from: Option<usize>,
    /// The other servers, if there may be some.
    pub(crate) cluster: Option<LocalCluster>,
    /// How long it takes at most to notice that a connection is lost.
    pub(crate) detection: Duration,
}

pub(crate) struct Nsp {
    pub(crate) name: Arc<str>,
    pub(crate) handlers: Arc<Handlers>,
    pub(crate) options: NspOptions,
    pub(crate) members: Arc<Table>,
    pub(crate) adapter: Arc<dyn Adapter>,
    /// Of the whole server.
    pub(crate) counters: Arc<Counters>,
    ack_id: Arc<AtomicU64>,
    /// Whose pattern its name fits, if it was made for that.
    family: Weak<Family>,
    /// Somebody forgets what is too old to be kept.
    sweeping: AtomicBool,
}

/// How a namespace came about.
#[derive(Clone, Copy)]
pub(crate) enum Origin<'a> {
    Registered,
    /// Made for its name, which fits the pattern.
    Made(&'a Arc<Family>),
    /// The same, but other servers have it and this one has not: no client joins it, and nobody finds it.
    Elsewhere,
}

const DELIVERIES: Place = Place::of(Counted::Deliveries);

/// What is too old need not be forgotten at once.
const SWEEP: Duration = Duration::from_secs(1);

impl Nsp {
    pub(crate) fn new(
        name: Arc<str>,
        handlers: Arc<Handlers>,
        options: NspOptions,
        counters: Arc<Counters>,
        origin: Origin<'_>,
    ) -> Self {
        let observed = !handlers.outgoing.is_empty();
        let history = options
            .recovery
            .map(|recovery| History::new(epoch(), recovery, options.detection));
        let members = Arc::new(Table::new(history, observed).ordered(options.ordered_broadcasts));
        let memory = Memory::new(
            Arc::clone(&members),
            options.max_rooms,
            Arc::clone(&counters),
        );
        let (adapter, ack_id): (Arc<dyn Adapter>, _) = match &options.cluster {
            None => (Arc::new(memory), Arc::default()),
            Some(cluster) => {
                let ears = Ears {
                    nsp: Arc::clone(&name),
                    handlers: Arc::clone(&handlers),
                    counters: Arc::clone(&counters),
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
            counters,
            ack_id,
            family,
            // What nobody can come back to is gone with it.
            sweeping: AtomicBool::new(matches!(origin, Origin::Elsewhere)),
        }
    }

    /// Sends an event to all of a target.
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

    /// Sends an event to all of a target and tells `answers` what they answer.
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

    /// Once for all members of a walk.
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

    /// A frame for all of a target: compressed once, or not at all.
    pub(crate) fn for_target(&self, target: &Target, frame: Frame) -> Frame {
        if target.uncompressed {
            return frame.uncompressed();
        }
        frame.for_many(self.options.compressed_from)
    }

    /// Counts an event that was for one socket, unless it failed: whoever tells of the error counts it too.
    ///
    /// Returns whether it was queued: a volatile one may be lost.
    pub(super) fn sent(&self, pushed: Pushed) -> Result<bool, EmitError> {
        match pushed {
            Pushed::Queued => self.counters.add(Counted::Deliveries, 1),
            Pushed::Dropped => self.counters.add_for(Counted::Undelivered, "volatile", 1),
            Pushed::Full(_) | Pushed::Closed => {}
        }
        pushed.into_result()
    }

    /// Sees to it that what is kept is forgotten in time, even if nothing happens any more.
    pub(crate) fn sweep(self: &Arc<Self>) {
        if self.members.history().is_none() || self.sweeping.load(Ordering::Relaxed) {
            return;
        }
        // Without a runtime, what is too old is forgotten by whoever comes next.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if !self.sweeping.swap(true, Ordering::AcqRel) {
            let sweeper = Sweeper(Arc::downgrade(self));
            runtime.spawn(async move { sweeper.sweep_up().await });
        }
    }

    /// Whether it was made for its name.
    pub(super) fn is_of_family(&self) -> bool {
        self.family.strong_count() > 0
    }

    /// Ids of acknowledgements are counted per namespace, so that one packet can ask many sockets.
    pub(crate) fn next_ack_id(&self) -> u64 {
        self.ack_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn socket(&self, id: Sid) -> Option<Socket> {
        Socket::from_link(self.members.get(id)?.link.upgrade()?)
    }
}

/// Forgets what is too old, until nothing is left.
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
                // What has come since has found us at work.
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

/// However it ends: another one may take over.
impl Drop for Sweeper {
    fn drop(&mut self) {
        if let Some(nsp) = self.0.upgrade() {
            nsp.sweeping.store(false, Ordering::Release);
        }
    }
}

/// Tells the offsets of one history from those of others.
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
