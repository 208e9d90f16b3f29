//! Acknowledgements that handlers have taken over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::sync::Lock;

/// An acknowledgement that a client waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// The client's own id for it.
    pub(crate) id: u64,
    /// Which call of a handler is to answer: a client that breaks the rules uses one id for two events.
    pub(crate) call: u64,
}

/// Whether an acknowledgement has been sent. Shared by the handler that took it and by the task that ran the handler: each
/// may answer, the first one does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answered(Arc<AtomicBool>);

impl Answered {
    /// Whether the caller may answer. True once.
    pub(crate) fn claim(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

/// The acknowledgements of one socket that were taken over by handlers that have not ended.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Spares the lock in the usual case, that there are none.
    count: AtomicUsize,
    /// By the call.
    list: Lock<Vec<(u64, Answered)>>,
    /// How many `Ack`s exist, also of handlers that have ended.
    open: AtomicUsize,
}

impl Taken {
    pub(super) fn take(&self, asked: Asked) -> Answered {
        let answered = Answered::default();
        self.list.lock().push((asked.call, answered.clone()));
        self.count.fetch_add(1, Ordering::Release);
        self.open.fetch_add(1, Ordering::Relaxed);
        answered
    }

    /// An `Ack` has been sent or dropped.
    pub(super) fn let_go(&self) {
        self.open.fetch_sub(1, Ordering::Release);
    }

    /// Whether an `Ack` exists that may still be sent.
    pub(super) fn any_open(&self) -> bool {
        self.open.load(Ordering::Acquire) > 0
    }

    /// The handler that may have taken it has ended.
    pub(super) fn end(&self, asked: Asked) -> Option<Answered> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut list = self.list.lock();
        let at = list.iter().position(|(call, _)| *call == asked.call)?;
        let (_, answered) = list.swap_remove(at);
        self.count.fetch_sub(1, Ordering::Release);
        Some(answered)
    }
}
