//! The part of recovery that an engine supplies, such as Redis or NATS, so that several servers share it.
//!
//! Without a store, a [`History`](super::History) is all there is: one lock, under which a session is found, claimed and
//! joined in one step. With a store the history of each server stays what it is, and the store decides which server
//! gets a session: a client that resumes waits for the [claim](Store::claim) after middleware have admitted it.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::rooms::Room;
use proto::Sid;

/// The answer of a store, when it has arrived.
pub(crate) type Reply<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// The reason for which a store cannot answer.
pub(crate) type StoreError = Box<dyn Error + Send + Sync>;

/// The store of one namespace's sessions, which other servers use too.
///
/// Methods without a [`Reply`] are called under the lock of the history: they queue a command and return. The commands
/// of one server take effect in the order of the calls. A store that has lost its connection drops them or keeps them
/// within a limit of its own; no emit and no join waits for it.
pub(crate) trait Store: fmt::Debug + Send + Sync {
    /// Reads and deletes a session in one step, so that of all who claim it one gets it.
    ///
    /// The caller gives up after a time. The session need not remain if the reply is dropped.
    fn claim(&self, pid: Sid) -> Reply<Option<SavedSession>>;
    /// Writes a session, which expires after `keep`.
    fn save(&self, pid: Sid, session: SavedSession, keep: Duration);
    /// Deletes a session that will not resume.
    fn discard(&self, pid: Sid);
}

/// The stores of all namespaces.
pub(crate) trait Stores: fmt::Debug + Send + Sync {
    fn open(&self, nsp: &Arc<str>) -> Arc<dyn Store>;
}

/// A session as a store keeps it.
#[derive(Clone, Debug)]
#[expect(
    dead_code,
    reason = "read by stores, and the first of them is not here yet"
)]
pub(crate) struct SavedSession {
    pub(crate) id: Sid,
    /// The rooms, without the one of the socket's own id.
    pub(crate) rooms: Vec<Room>,
}
