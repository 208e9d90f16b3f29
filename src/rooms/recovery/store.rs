//! The part of recovery that an engine supplies, such as Redis or NATS, so that several servers share it.
//!
//! Without a store, a [`History`](super::History) is all there is: one lock, under which an event gets its number and
//! is delivered, and a session is found, claimed and joined in one step. With a store the history of each server stays
//! what it is, and the store decides which server gets a session and which position an event has: a client that resumes
//! waits for the [claim](Store::claim) after middleware have admitted it, and an event is delivered when it has
//! [arrived](Feed::arrived).

use std::fmt;
use std::sync::Arc;

pub(crate) use proto::cluster::{
    Arrival, Feed, Position, SavedSession, Store, StoreError, StoreReply, StoredEvent,
};

/// The stores of all namespaces.
pub(crate) trait Stores: fmt::Debug + Send + Sync {
    /// Returns the store of a namespace, if the engine has one.
    fn open(&self, nsp: &Arc<str>) -> Option<Arc<dyn Store>>;
}
