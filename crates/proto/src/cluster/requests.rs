//! The requests of a server to others that wait for answers.

use std::collections::HashMap;

/// The pending requests of a server. `W` collects the answers to one.
#[derive(Debug)]
pub struct Requests<W> {
    pending: HashMap<Box<str>, Request<W>>,
    max: usize,
}

#[derive(Debug)]
struct Request<W> {
    waiter: W,
    /// The number of servers that will answer, once it is known.
    expected: Option<usize>,
    answered: usize,
}

impl<W> Requests<W> {
    /// Creates an empty table for at most `max` requests.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            pending: HashMap::new(),
            max,
        }
    }

    /// Adds a request, or returns the waiter if there are too many already.
    ///
    /// # Errors
    ///
    /// Returns the waiter.
    pub fn insert(&mut self, id: &str, waiter: W) -> Result<(), W> {
        if self.pending.len() >= self.max {
            return Err(waiter);
        }
        let request = Request {
            waiter,
            expected: None,
            answered: 0,
        };
        self.pending.insert(id.into(), request);
        Ok(())
    }

    /// Sets the number of servers that will answer. Returns the waiter if all of them have answered already.
    pub fn expect(&mut self, id: &str, servers: usize) -> Option<W> {
        let request = self.pending.get_mut(id)?;
        request.expected = Some(servers);
        self.take_if_complete(id)
    }

    /// Passes the answer of a server to the waiter. Returns the waiter if this was the last one. An answer to an
    /// unknown request is ignored.
    pub fn answer(&mut self, id: &str, note: impl FnOnce(&mut W)) -> Option<W> {
        let request = self.pending.get_mut(id)?;
        note(&mut request.waiter);
        request.answered += 1;
        self.take_if_complete(id)
    }

    /// Removes a request.
    pub fn remove(&mut self, id: &str) -> Option<W> {
        self.pending.remove(id).map(|request| request.waiter)
    }

    /// Returns the number of pending requests.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Returns true if no request is pending.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    fn take_if_complete(&mut self, id: &str) -> Option<W> {
        let complete = |request: &Request<W>| {
            let expected = request.expected;
            expected.is_some_and(|servers| request.answered >= servers)
        };
        complete(self.pending.get(id)?)
            .then(|| self.remove(id))
            .flatten()
    }
}
