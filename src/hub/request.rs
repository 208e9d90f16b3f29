//! The handshake's request as the extractors of one socket see it.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::Extensions;
use http::request::Parts;

use super::{Grant, Handshake, Kept};
use crate::panics::let_go;
use crate::sync::Lock;

/// The request's parts, lent to one handler after another, and what was added to its extensions for this socket.
#[derive(Debug)]
pub(super) struct SocketRequest {
    /// How many handlers are taking their arguments. Beside the lock, since it is asked for each event.
    extracting: AtomicUsize,
    slot: Lock<Slot>,
    /// In place of the handshake's, with the parameters of the namespace's name.
    extensions: Option<Box<Extensions>>,
    /// What middleware have returned and handlers have inserted, one of each type.
    added: Lock<Vec<Kept>>,
}

/// The parts between events.
#[derive(Debug, Default)]
struct Slot {
    /// Made when an extractor first asks for them.
    parts: Option<Box<Parts>>,
    /// How many handlers have them, or others like them.
    lent: usize,
    /// Something was added while they were away.
    stale: bool,
}

impl SocketRequest {
    /// `extensions` stand in for those of the handshake.
    pub(super) fn new(extensions: Option<Box<Extensions>>) -> Self {
        Self {
            extracting: AtomicUsize::new(0),
            slot: Lock::default(),
            extensions,
            added: Lock::default(),
        }
    }

    /// A handler begins to take its arguments.
    pub(super) fn begin(&self) {
        self.extracting.fetch_add(1, Ordering::AcqRel);
    }

    /// A handler has taken its arguments.
    pub(super) fn end(&self) {
        self.extracting.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether a handler is still taking its arguments.
    pub(super) fn is_extracting(&self) -> bool {
        self.extracting.load(Ordering::Acquire) > 0
    }

    /// Lends the parts, to be given back.
    pub(super) fn borrow(&self, handshake: &Handshake) -> Box<Parts> {
        let mut slot = self.slot.lock();
        slot.lent += 1;
        let parts = slot.parts.take();
        drop(slot);
        parts.unwrap_or_else(|| Box::new(self.make(handshake)))
    }

    /// Puts back what was borrowed, unless extraction may have `written` to it: then the next one gets parts made anew.
    pub(super) fn give_back(&self, parts: Box<Parts>, written: bool) {
        let mut parts = Some(parts);
        let mut slot = self.slot.lock();
        slot.lent -= 1;
        if slot.stale {
            slot.stale = slot.lent > 0;
        } else if slot.parts.is_none() && !written {
            slot.parts = parts.take();
        }
        // What is left of users' values is dropped with no lock held.
        drop(slot);
        drop(parts);
    }

    /// The parts anew, with all that was added.
    pub(super) fn make(&self, handshake: &Handshake) -> Parts {
        let mut parts = handshake.parts();
        parts.extensions = self.extensions(handshake);
        parts
    }

    /// Adds to the extensions, from the next handler on.
    pub(super) fn grant(&self, grant: Grant) {
        for kept in grant {
            self.add(kept);
        }
        let mut slot = self.slot.lock();
        slot.stale = slot.lent > 0;
        let parts = slot.parts.take();
        drop(slot);
        drop(parts);
    }

    /// What was added.
    pub(super) fn added(&self) -> Grant {
        self.added.lock().clone()
    }

    fn add(&self, kept: Kept) {
        let mut added = self.added.lock();
        let replaced = match added.iter_mut().find(|other| other.is_like(&kept)) {
            Some(other) => Some(std::mem::replace(other, kept)),
            None => {
                added.push(kept);
                None
            }
        };
        drop(added);
        drop(replaced);
    }

    pub(super) fn get<T: Clone + Send + Sync + 'static>(&self, handshake: &Handshake) -> Option<T> {
        let added = self.added.lock();
        let kept = added.iter().find(|kept| kept.is::<T>()).cloned();
        drop(added);
        kept.and_then(|kept| kept.get())
            .or_else(|| self.given(handshake).get().cloned())
    }

    /// What there was before this socket.
    fn given<'a>(&'a self, handshake: &'a Handshake) -> &'a Extensions {
        self.extensions.as_deref().unwrap_or(handshake.extensions())
    }

    fn extensions(&self, handshake: &Handshake) -> Extensions {
        let mut extensions = self.given(handshake).clone();
        let added = self.added.lock().clone();
        for kept in &added {
            kept.put_into(&mut extensions);
        }
        extensions
    }
}

/// It is the connection's task, most often, that lets go of a socket at last.
impl Drop for SocketRequest {
    fn drop(&mut self) {
        let parts = self.slot.lock().parts.take();
        let_go(parts);
        let added = std::mem::take(&mut *self.added.lock());
        added.into_iter().for_each(let_go);
        let_go(self.extensions.take());
    }
}
