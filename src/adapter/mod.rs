//! The recipients of a broadcast: the members on this server, or those of a cluster.
//!
//! One adapter serves one namespace. It is object safe, so that no type of an adapter appears in users' code, and the
//! trait is private until the first cluster adapter has shown what it needs.

mod fanout;
mod local;
mod memory;
mod publication;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::rooms::{Delivered, Room, Scope, Target};
use proto::{Args, Sid};

pub use local::LocalCluster;
use memory::LocalMembers;
pub(crate) use memory::Memory;
pub(crate) use publication::{PacketEncoder, Publication};

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The facts that servers exchange about a socket.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) id: Sid,
    pub(crate) rooms: Vec<Room>,
}

/// The collector of the answers to a broadcast, as they arrive.
pub(crate) trait Answers: Send + Sync {
    /// Adds sockets that the event is sent to. Called once for each server that takes part.
    fn asked(&self, ids: Vec<Sid>);
    /// Adds the answer of a socket, or `None` if it disconnected without one.
    fn answer(&self, id: Sid, answer: Option<Args>);
    /// Records that the event could not be sent to a socket, so it will not answer.
    fn unsent(&self, id: Sid);
}

/// The handlers of one server for the events of other servers.
pub(crate) trait ServerSide: Send + Sync {
    /// Runs the handlers of an event. Resolves to `None` if no handler has an answer.
    fn handle(&self, event: &str, args: Args) -> BoxFuture<Option<Args>>;
}

/// The answers of the other servers.
#[derive(Debug, Default)]
pub(crate) struct ServerReplies {
    pub(crate) answers: Vec<Args>,
    /// The number of servers that have not answered, or not in time.
    pub(crate) missing: usize,
}

/// The reason for which the sockets of a namespace could not be queried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// The server has no namespace of this name, and no pattern that the name fits.
    #[error("this server has no namespace {0:?}")]
    NoNamespace(String),
    /// The handle has no server: it was never passed to `build_into`, or the server has been dropped.
    #[error("this handle has no server")]
    NoServer,
    /// Not all servers answered in time. A single server never returns this.
    #[error("{missing} servers did not answer in time")]
    Timeout {
        /// The number of servers that did not answer.
        missing: usize,
    },
}

pub(crate) trait Adapter: fmt::Debug + Send + Sync {
    fn broadcast(&self, publication: Publication<'_>) -> Delivered;
    /// Sends an event with the acknowledgement id `id`. `answers` first gets the sockets, then their answers.
    fn broadcast_with_ack(
        &self,
        publication: Publication<'_>,
        id: u64,
        answers: Arc<dyn Answers>,
    ) -> Delivered;
    /// Drops the wait for the answers of these sockets to the event with that id.
    fn forget_answers(&self, id: u64, of: &[Sid]);
    fn fetch(&self, target: &Target) -> BoxFuture<Result<Vec<Facts>, AdapterError>>;
    fn count(&self, target: &Target) -> BoxFuture<Result<usize, AdapterError>>;
    /// Returns the rooms, with the number of sockets in each.
    fn rooms(&self) -> BoxFuture<Result<Vec<(Room, usize)>, AdapterError>>;
    fn join(&self, target: &Target, rooms: &[Room]);
    fn leave(&self, target: &Target, rooms: &[Room]);
    /// Disconnects the sockets of the target.
    fn disconnect(&self, target: &Target, scope: Scope);
    /// Removes this server from the cluster, when it has shut down.
    fn close(&self) {}
    /// Sends an event to the other servers.
    fn emit_to_servers(&self, event: &str, args: &Args);
    /// Sends an event to the other servers, and returns their answers. It is sent even if the future is not polled.
    fn ask_servers(
        &self,
        event: &str,
        args: &Args,
        limit: Option<Duration>,
    ) -> BoxFuture<ServerReplies>;
}
