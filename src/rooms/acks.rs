//! The pending acknowledgements of one client, by id.

use std::collections::HashMap;

/// The pending acknowledgements. `W` is the waiter of one: it is returned when the answer arrives, or when the client
/// leaves.
#[derive(Debug)]
pub(crate) struct Acks<W> {
    waiting: HashMap<u64, (AskedBy, W)>,
    /// The number of those that handlers of the same client have asked for.
    by_handlers: usize,
    closed: bool,
}

/// The caller that asks a client for an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AskedBy {
    /// A handler of an event that the same client has sent: it may wait for the answer before it ends.
    Handler,
    Other,
}

/// The state of pending acknowledgements: none, or who awaits them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Awaited {
    #[default]
    No,
    ByOthers,
    ByHandlers,
}

impl<W> Acks<W> {
    pub(crate) fn new() -> Self {
        Self {
            waiting: HashMap::new(),
            by_handlers: 0,
            closed: false,
        }
    }

    /// Registers a waiter for the answer to `id`, or returns it if the client has left already.
    pub(crate) fn expect(&mut self, id: u64, by: AskedBy, waiter: W) -> Result<(), W> {
        if self.closed {
            return Err(waiter);
        }
        self.by_handlers += usize::from(by == AskedBy::Handler);
        if let Some((by, _)) = self.waiting.insert(id, (by, waiter)) {
            self.by_handlers -= usize::from(by == AskedBy::Handler);
        }
        Ok(())
    }

    /// Removes the waiter of an answer that has arrived or is no longer wanted. Returns `None` if the id is unknown or
    /// was answered before.
    pub(crate) fn take(&mut self, id: u64) -> Option<W> {
        let (by, waiter) = self.waiting.remove(&id)?;
        self.by_handlers -= usize::from(by == AskedBy::Handler);
        if self.waiting.is_empty() {
            self.waiting = HashMap::new();
        }
        Some(waiter)
    }

    /// Returns whether acknowledgements are pending, and who awaits them.
    pub(crate) fn awaited(&self) -> Awaited {
        if self.by_handlers > 0 {
            Awaited::ByHandlers
        } else if self.waiting.is_empty() {
            Awaited::No
        } else {
            Awaited::ByOthers
        }
    }

    /// Closes the table, as the client has left and will not answer any more. Returns the waiters.
    pub(crate) fn close(&mut self) -> Vec<W> {
        self.closed = true;
        self.by_handlers = 0;
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_values().map(|(_, waiter)| waiter).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_reaches_its_waiter_once() {
        let mut acks = Acks::new();
        acks.expect(7, AskedBy::Other, "seven").unwrap();
        assert_eq!(acks.take(8), None);
        assert_eq!(acks.take(7), Some("seven"));
        assert_eq!(acks.take(7), None);
    }

    #[test]
    fn a_disconnect_fails_pending_and_later_acknowledgements() {
        let mut acks = Acks::new();
        acks.expect(1, AskedBy::Other, "one").unwrap();
        assert_eq!(acks.close(), ["one"]);
        assert_eq!(acks.expect(2, AskedBy::Other, "two"), Err("two"));
    }

    #[test]
    fn acknowledgements_of_handlers_and_of_others_are_told_apart() {
        let mut acks = Acks::new();
        assert_eq!(acks.awaited(), Awaited::No);
        acks.expect(1, AskedBy::Other, ()).unwrap();
        assert_eq!(acks.awaited(), Awaited::ByOthers);
        acks.expect(2, AskedBy::Handler, ()).unwrap();
        acks.expect(2, AskedBy::Handler, ()).unwrap();
        assert_eq!(acks.awaited(), Awaited::ByHandlers);
        acks.take(2);
        assert_eq!(acks.awaited(), Awaited::ByOthers);
        acks.expect(3, AskedBy::Handler, ()).unwrap();
        acks.close();
        assert_eq!(acks.awaited(), Awaited::No);
    }
}
