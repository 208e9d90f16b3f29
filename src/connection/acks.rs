//! The answers that are awaited from one client, by id.

use std::collections::HashMap;

/// What waits for an answer is `W`: it is given back when the answer comes, or when the client leaves.
#[derive(Debug)]
pub(crate) struct Acks<W> {
    waiting: HashMap<u64, W>,
    closed: bool,
}

impl<W> Acks<W> {
    pub(crate) fn new() -> Self {
        Self {
            waiting: HashMap::new(),
            closed: false,
        }
    }

    /// Waits for the answer to `id`; gives `waiter` back when the client has left already.
    pub(crate) fn expect(&mut self, id: u64, waiter: W) -> Result<(), W> {
        if self.closed {
            return Err(waiter);
        }
        self.waiting.insert(id, waiter);
        Ok(())
    }

    /// An answer came, or is no longer wanted. Unknown and repeated ids are nobody's.
    pub(crate) fn take(&mut self, id: u64) -> Option<W> {
        let waiter = self.waiting.remove(&id);
        if self.waiting.is_empty() {
            self.waiting = HashMap::new();
        }
        waiter
    }

    /// Whether nothing waits for an answer.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The client has left: nobody will answer any more.
    pub(crate) fn close(&mut self) -> Vec<W> {
        self.closed = true;
        std::mem::take(&mut self.waiting).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_reaches_its_waiter_once() {
        let mut acks = Acks::new();
        acks.expect(7, "seven").unwrap();
        assert_eq!(acks.take(8), None);
        assert_eq!(acks.take(7), Some("seven"));
        assert_eq!(acks.take(7), None);
    }

    #[test]
    fn who_leaves_fails_what_waits_and_what_comes_later() {
        let mut acks = Acks::new();
        acks.expect(1, "one").unwrap();
        assert_eq!(acks.close(), ["one"]);
        assert_eq!(acks.expect(2, "two"), Err("two"));
    }
}
