//! Acknowledgements that handlers have taken over as an `Ack`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::sync::Lock;

/// An acknowledgement that a client has requested.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// The client's id of the acknowledgement.
    pub(crate) id: u64,
    /// The number of the handler's call, since a client that violates the protocol may use one id for two events.
    pub(crate) call: u64,
}

/// A flag that is set when an acknowledgement is sent. It is shared by the handler that took the acknowledgement and
/// the task that ran the handler: both may send it, and the first one does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answered(Arc<AtomicBool>);

impl Answered {
    /// Returns true for the first caller, which may send the acknowledgement.
    pub(crate) fn claim(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

/// The acknowledgements of one socket that were taken over by handlers that are still running.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The length of the list. Avoids the lock in the usual case of none.
    count: AtomicUsize,
    /// The acknowledgements with the number of the handler's call.
    list: Lock<Vec<(u64, Answered)>>,
    /// The number of existing `Ack`s, including those of handlers that have ended.
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

    /// Records that an `Ack` was sent or dropped.
    pub(super) fn let_go(&self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    /// Returns true if an `Ack` exists that may still be sent.
    pub(super) fn any_open(&self) -> bool {
        self.open.load(Ordering::SeqCst) > 0
    }

    /// Removes and returns the acknowledgement of a handler that has ended, if it was taken over.
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
