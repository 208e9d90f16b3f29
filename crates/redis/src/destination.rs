//! What waits to be sent to Redis.

use std::fmt;
use std::time::Duration;

use proto::Sid;
use proto::cluster::{Destination, SavedSession};

/// The place that a message is sent to.
#[derive(Debug)]
pub(crate) enum RedisDestination {
    /// A channel, or the stream of the namespace if the message is no request.
    Channel(String),
    /// A channel whose message another server of the Redis Cluster has not accepted.
    Redirected(String),
    /// The stream of the namespace, with the token of the event if a store waits for its position.
    Entry(Option<Token>),
}

/// The number of an event that waits for its position, in an entry of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// The number of the store on its server.
    pub(crate) store: u64,
    pub(crate) number: u64,
}

impl Token {
    /// The name of the field, which servers of Node.js ignore.
    pub(crate) const FIELD: &str = "token";

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (store, number) = text.split_once('-')?;
        Some(Self {
            store: store.parse().ok()?,
            number: number.parse().ok()?,
        })
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.store, self.number)
    }
}

impl Destination for RedisDestination {
    fn size(&self) -> usize {
        match self {
            Self::Channel(name) | Self::Redirected(name) => name.len(),
            Self::Entry(_) => 0,
        }
    }
}

/// A change of a saved session.
#[derive(Debug)]
pub(crate) enum SessionChange {
    Save {
        pid: Sid,
        session: SavedSession,
        keep: Duration,
    },
    Discard {
        pid: Sid,
    },
}

impl Destination for SessionChange {
    fn size(&self) -> usize {
        match self {
            Self::Save { session, .. } => {
                let rooms = session
                    .rooms
                    .iter()
                    .map(|room| room.len() + size_of_val(room));
                session.data.len() + rooms.sum::<usize>()
            }
            Self::Discard { .. } => 0,
        }
    }
}
