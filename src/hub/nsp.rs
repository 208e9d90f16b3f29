//! One running namespace.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::StatusCode;
use rustc_hash::FxHashMap;

use super::nsps::Family;
use super::{AckBody, Admission, BoxHandler, Done, EventContext, OutgoingHooks, Socket};
use crate::adapter::BoxFuture;
use crate::adapter::{Adapter, Memory};
use crate::protocol::Sid;
use crate::rooms::Table;

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
    pub(crate) on_rejection: Option<Arc<dyn Fn(&Rejected<'_>) + Send + Sync>>,
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
    /// the same socket waits for ever; acknowledgements and heartbeats are not affected.
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
    /// `{"data": value}` or `{"error": …}`.
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

#[derive(Clone, Copy, Debug)]
pub(crate) struct NspOptions {
    pub(crate) order: Order,
    pub(crate) max_pending: usize,
    pub(crate) unhandled: Unhandled,
    pub(crate) ack_format: AckFormat,
    pub(crate) max_rooms: usize,
    pub(crate) max_room_len: usize,
    pub(crate) ack_timeout: Duration,
}

pub(crate) struct Nsp {
    pub(crate) name: Arc<str>,
    pub(crate) handlers: Arc<Handlers>,
    pub(crate) options: NspOptions,
    pub(crate) members: Arc<Table>,
    pub(crate) adapter: Arc<dyn Adapter>,
    ack_id: AtomicU64,
    /// Whose pattern its name fits, if it was made for that.
    family: Weak<Family>,
}

impl Nsp {
    pub(crate) fn new(name: Arc<str>, handlers: Arc<Handlers>, options: NspOptions) -> Self {
        let members = Arc::new(Table::new());
        let adapter = Arc::new(Memory::new(Arc::clone(&members), options.max_rooms));
        Self {
            name,
            handlers,
            options,
            members,
            adapter,
            ack_id: AtomicU64::new(0),
            family: Weak::new(),
        }
    }

    pub(super) fn of_family(mut self, family: &Arc<Family>) -> Self {
        self.family = Arc::downgrade(family);
        self
    }

    /// Ids of acknowledgements are counted per namespace, so that one packet can ask many sockets.
    pub(crate) fn next_ack_id(&self) -> u64 {
        self.ack_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn socket(&self, id: Sid) -> Option<Socket> {
        Socket::from_link(self.members.get(id)?.link.upgrade()?)
    }
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
