//! The connection that a thread serves. It distinguishes acknowledgements that a connection's own handlers await from
//! others.

use std::cell::Cell;
use std::sync::Arc;

use crate::outbox::Outbox;

thread_local! {
    /// The address of the connection's outbox, or 0 if the thread serves none.
    static SERVED: Cell<usize> = const { Cell::new(0) };
}

/// A guard that marks the thread as running the task of a connection, and its handlers.
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

/// Returns true if the calling code is a handler of this connection.
pub(super) fn serves(outbox: &Arc<Outbox>) -> bool {
    SERVED.get() == address(outbox)
}

fn address(outbox: &Arc<Outbox>) -> usize {
    Arc::as_ptr(outbox).addr()
}
