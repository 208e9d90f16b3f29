//! The parts of a namespace of which there is only one.

use std::collections::HashSet;
use std::fmt;

/// A part of which a namespace has only one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Unique {
    /// The handler of an event of clients.
    Event(String),
    /// The handler of an event of other servers.
    ServerSideEvent(String),
    /// The handler or hook that this method sets.
    Set(&'static str),
}

impl fmt::Display for Unique {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => write!(f, "a handler of the event {event:?}"),
            Self::ServerSideEvent(event) => {
                write!(f, "an `on_server` handler of the event {event:?}")
            }
            Self::Set(method) => write!(f, "`{method}`"),
        }
    }
}

/// The unique parts that a namespace has.
#[derive(Debug, Default)]
pub(super) struct Uniques(HashSet<Unique>);

impl Uniques {
    /// Adds a part. Logs that it replaces another one, where Node would call both.
    pub(super) fn replace(&mut self, part: Unique) {
        if self.0.contains(&part) {
            let what = part.to_string();
            tracing::warn!(
                what,
                "two handlers for one thing: the second replaces the first"
            );
        }
        self.0.insert(part);
    }

    /// Adds those of another namespace. Returns one that both have, if there is one.
    pub(super) fn merge(&mut self, other: Self) -> Option<Unique> {
        let twice = other.0.iter().find(|part| self.0.contains(part)).cloned();
        self.0.extend(other.0);
        twice
    }
}
