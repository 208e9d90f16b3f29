//! The requests of a server to others that wait for answers.

use std::collections::{HashMap, HashSet};

/// The pending requests of a server. `W` collects the answers to one.
#[derive(Debug)]
pub struct Requests<W> {
    pending: HashMap<Box<str>, Request<W>>,
    max: usize,
}

/// The servers that will answer a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The number of servers, where their ids are unknown.
    Count(usize),
    /// The ids of the servers.
    Servers(HashSet<Box<str>>),
}

impl Expected {
    /// Returns the number of servers.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Count(count) => *count,
            Self::Servers(uids) => uids.len(),
        }
    }

    /// Returns true if no server will answer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[derive(Debug)]
struct Request<W> {
    waiter: W,
    /// The servers that will answer, once they are known.
    expected: Option<Expected>,
    answers: usize,
    /// The ids of the servers that have answered.
    answered: HashSet<Box<str>>,
}

impl<W> Request<W> {
    /// Returns the number of servers that have not answered, or `None` if it is not known yet.
    fn missing(&self) -> Option<usize> {
        self.expected.as_ref().map(|expected| match expected {
            Expected::Count(count) => count.saturating_sub(self.answers),
            Expected::Servers(uids) => uids.difference(&self.answered).count(),
        })
    }
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
            answers: 0,
            answered: HashSet::new(),
        };
        self.pending.insert(id.into(), request);
        Ok(())
    }

    /// Sets the servers that will answer. Returns the waiter if all of them have answered already.
    pub fn expect(&mut self, id: &str, servers: Expected) -> Option<W> {
        let request = self.pending.get_mut(id)?;
        request.expected = Some(servers);
        self.take_if_complete(id)
    }

    /// Passes the answer of the server `uid` to the waiter. Returns the waiter if this was the last one. An answer to
    /// an unknown request is ignored, and so is a second answer of a server. An empty `uid` is not compared with
    /// others.
    pub fn answer(&mut self, id: &str, uid: &str, note: impl FnOnce(&mut W)) -> Option<W> {
        let request = self.pending.get_mut(id)?;
        if !uid.is_empty() && !request.answered.insert(uid.into()) {
            return None;
        }
        note(&mut request.waiter);
        request.answers += 1;
        self.take_if_complete(id)
    }

    /// Stops waiting for the answers of a server that is gone. Returns the waiters of the requests that only it had not
    /// answered.
    pub fn forget_server(&mut self, uid: &str) -> Vec<W> {
        let mut complete = Vec::new();
        for (id, request) in &mut self.pending {
            if let Some(Expected::Servers(uids)) = &mut request.expected
                && uids.remove(uid)
                && request.missing() == Some(0)
            {
                complete.push(id.clone());
            }
        }
        let complete = complete.iter();
        complete.filter_map(|id| self.remove(id)).collect()
    }

    /// Returns the number of servers that have not answered a request, or `None` if it is not known.
    #[must_use]
    pub fn missing(&self, id: &str) -> Option<usize> {
        self.pending.get(id).and_then(Request::missing)
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
        let missing = self.pending.get(id)?.missing();
        (missing == Some(0)).then(|| self.remove(id)).flatten()
    }
}
