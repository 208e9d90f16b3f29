//! The handshake's request, as seen by the extractors of one socket.

use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Extensions;
use http::request::Parts;

use super::handle::SocketReference;
use super::values::{SocketValue, SocketValues};
use crate::http::OpeningRequest;
use crate::panics::drop_guarded;
use crate::sync::Lock;

/// The request's parts, which one handler after another borrows, and the values that this socket adds to its
/// extensions.
#[derive(Debug)]
pub(super) struct SocketRequest {
    /// The number of handlers that are taking their arguments. It is outside of the lock because each event reads it.
    extracting: AtomicUsize,
    slot: Lock<Slot>,
    /// The extensions that replace those of the handshake, with the parameters of the namespace's name.
    extensions: Option<Box<Extensions>>,
    /// The values that middleware have returned and handlers have inserted, one of each type.
    added: Lock<SocketValues>,
}

/// The parts while no handler has borrowed them.
#[derive(Debug, Default)]
struct Slot {
    /// The parts, once an extractor has requested them.
    parts: Option<Box<Parts>>,
    /// The number of handlers that have borrowed the parts, or a copy of them.
    lent: usize,
    /// True if a value was added or removed while the parts were borrowed.
    stale: bool,
}

impl Slot {
    /// Records that one loan has ended. Returns false if the parts lack a value that was added meanwhile.
    const fn end_loan(&mut self) -> bool {
        self.lent -= 1;
        let is_current = !self.stale;
        self.stale &= self.lent > 0;
        is_current
    }
}

impl SocketRequest {
    /// Creates the request of a socket. `extensions` replace those of the handshake.
    pub(super) fn new(extensions: Option<Box<Extensions>>) -> Self {
        Self {
            extracting: AtomicUsize::new(0),
            slot: Lock::default(),
            extensions,
            added: Lock::default(),
        }
    }

    /// Records that a handler begins to take its arguments.
    pub(super) fn begin(&self) {
        self.extracting.fetch_add(1, Ordering::AcqRel);
    }

    /// Records that a handler has taken its arguments.
    pub(super) fn end(&self) {
        self.extracting.fetch_sub(1, Ordering::AcqRel);
    }

    /// Returns true if a handler is still taking its arguments.
    pub(super) fn is_extracting(&self) -> bool {
        self.extracting.load(Ordering::Acquire) > 0
    }

    /// Borrows the parts; see [`give_back`](Self::give_back).
    pub(super) fn borrow(
        &self,
        handshake: &OpeningRequest,
        socket: impl FnOnce() -> SocketReference,
    ) -> Box<Parts> {
        let mut slot = self.slot.lock();
        slot.lent += 1;
        let parts = slot.parts.take();
        drop(slot);
        parts.unwrap_or_else(|| Box::new(self.make(handshake, socket())))
    }

    /// Returns borrowed parts, which the next handler gets.
    pub(super) fn give_back(&self, parts: Box<Parts>) {
        let mut parts = Some(parts);
        let mut slot = self.slot.lock();
        if slot.end_loan() && slot.parts.is_none() {
            slot.parts = parts.take();
        }
        // Values of users are dropped without holding a lock.
        drop(slot);
        drop(parts);
    }

    /// Drops borrowed parts. The next handler gets new ones.
    pub(super) fn discard(&self, parts: Box<Parts>) {
        self.slot.lock().end_loan();
        // Values of users are dropped without holding a lock.
        drop(parts);
    }

    /// Builds new parts, with all added values and the socket.
    pub(super) fn make(&self, handshake: &OpeningRequest, socket: SocketReference) -> Parts {
        let mut parts = handshake.parts();
        parts.extensions = self.extensions(handshake);
        parts.extensions.insert(socket);
        if let Some(original) = handshake.original_uri() {
            parts.extensions.get_or_insert(original);
        }
        parts
    }

    /// Adds values to the extensions, which later handlers see.
    pub(super) fn add(&self, values: SocketValues) {
        for stored in values {
            self.add_one(stored);
        }
        self.renew();
    }

    /// Drops the parts, because the added values have changed.
    fn renew(&self) {
        let mut slot = self.slot.lock();
        slot.stale = slot.lent > 0;
        let parts = slot.parts.take();
        drop(slot);
        drop(parts);
    }

    /// Removes an added value, which later handlers do not see.
    pub(super) fn remove<T: Clone + 'static>(&self) -> Option<T> {
        let mut added = self.added.lock();
        let at = added.iter().position(|stored| stored.is::<T>())?;
        let removed = added.remove(at);
        drop(added);
        self.renew();
        removed.get()
    }

    /// Returns the added values.
    pub(super) fn added(&self) -> SocketValues {
        self.added.lock().clone()
    }

    /// Returns an added value.
    pub(super) fn added_value<T: Clone + 'static>(&self) -> Option<T> {
        let added = self.added.lock();
        added.iter().find_map(SocketValue::get)
    }

    fn add_one(&self, stored: SocketValue) {
        let mut added = self.added.lock();
        let replaced = match added.iter_mut().find(|other| other.is_like(&stored)) {
            Some(other) => Some(std::mem::replace(other, stored)),
            None => {
                added.push(stored);
                None
            }
        };
        drop(added);
        drop(replaced);
    }

    pub(super) fn get<T: Clone + Send + Sync + 'static>(
        &self,
        handshake: &OpeningRequest,
    ) -> Option<T> {
        let added = self.added.lock();
        let stored = added.iter().find(|stored| stored.is::<T>()).cloned();
        drop(added);
        stored
            .and_then(|stored| stored.get())
            .or_else(|| self.given(handshake).get().cloned())
            .or_else(|| {
                let original = handshake.original_uri()?;
                (&original as &dyn Any).downcast_ref().cloned()
            })
    }

    /// Returns the extensions without the values that this socket has added.
    fn given<'a>(&'a self, handshake: &'a OpeningRequest) -> &'a Extensions {
        self.extensions.as_deref().unwrap_or(handshake.extensions())
    }

    fn extensions(&self, handshake: &OpeningRequest) -> Extensions {
        let mut extensions = self.given(handshake).clone();
        let added = self.added.lock().clone();
        for stored in &added {
            stored.put_into(&mut extensions);
        }
        extensions
    }
}

/// The connection's task usually drops the last reference to a socket, so a panic of its values is caught.
impl Drop for SocketRequest {
    fn drop(&mut self) {
        let parts = self.slot.lock().parts.take();
        drop_guarded(parts);
        let added = std::mem::take(&mut *self.added.lock());
        added.into_iter().for_each(drop_guarded);
        drop_guarded(self.extensions.take());
    }
}
