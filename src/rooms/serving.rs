//! Which connection a thread serves: what its handlers ask their own client for can be told from what others ask.

use std::cell::Cell;
use std::sync::Arc;

use crate::engine::Outbox;

thread_local! {
    /// The address of the connection's outbox; none is at 0.
    static SERVED: Cell<usize> = const { Cell::new(0) };
}

/// While it lives, the thread runs the task of a connection, and its handlers.
#[derive(Debug)]
pub(crate) struct Serving {
    before: usize,
}

impl Serving {
    #[inline]
    pub(crate) fn begin(outbox: &Arc<Outbox>) -> Self {
        let before = SERVED.replace(address(outbox));
        Self { before }
    }
}

impl Drop for Serving {
    #[inline]
    fn drop(&mut self) {
        SERVED.set(self.before);
    }
}

/// Whether a handler of this connection is asking.
pub(super) fn serves(outbox: &Arc<Outbox>) -> bool {
    SERVED.get() == address(outbox)
}

fn address(outbox: &Arc<Outbox>) -> usize {
    Arc::as_ptr(outbox).addr()
}
