//! Acknowledgements that handlers have taken over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::sync::Lock;

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
    list: Lock<Vec<(u64, Answered)>>,
}

impl Taken {
    pub(super) fn take(&self, id: u64) -> Answered {
        let answered = Answered::default();
        self.list.lock().push((id, answered.clone()));
        self.count.fetch_add(1, Ordering::Release);
        answered
    }

    /// The handler that may have taken it has ended.
    pub(super) fn end(&self, id: u64) -> Option<Answered> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut list = self.list.lock();
        let at = list.iter().position(|(taken, _)| *taken == id)?;
        let (_, answered) = list.swap_remove(at);
        self.count.fetch_sub(1, Ordering::Release);
        Some(answered)
    }
}
