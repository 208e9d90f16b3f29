//! The connection whose task a thread runs. Acknowledgements that a connection's own handlers await differ from others.

use std::cell::Cell;
use std::sync::Arc;

use crate::outbox::Outbox;

thread_local! {
    /// The address of the connection's outbox, or 0 if the thread runs none.
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

/// A guard that marks the thread as running the task of a connection, and its handlers.
#[derive(Debug)]
pub(crate) struct CurrentConnection {
    before: usize,
}

impl CurrentConnection {
    #[inline]
    pub(crate) fn enter(outbox: &Arc<Outbox>) -> Self {
        let before = CURRENT.replace(address(outbox));
        Self { before }
    }
}

impl Drop for CurrentConnection {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.before);
    }
}

/// Returns true if the calling code is a handler of this connection.
pub(super) fn is_current(outbox: &Arc<Outbox>) -> bool {
    CURRENT.get() == address(outbox)
}

fn address(outbox: &Arc<Outbox>) -> usize {
    Arc::as_ptr(outbox).addr()
}
