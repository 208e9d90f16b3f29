//! Who gets a broadcast: the members on this server, or those of a cluster.
//!
//! One adapter serves one namespace. It is object safe, so that no type of an adapter shows in users' code, and the trait
//! stays private until the first cluster adapter has shown what it needs.

mod fanout;
mod local;
mod memory;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::engine::Frame;
use crate::protocol::{Args, Sid};
use crate::rooms::{Delivered, History, Room, Scope, Target};

pub use local::LocalCluster;
pub(crate) use memory::Memory;

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What other servers tell of a socket.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) id: Sid,
    pub(crate) rooms: Vec<Room>,
}

/// The answers to a broadcast, as they come.
pub(crate) trait Answers: Send + Sync {
    /// These sockets were asked; called once for each server that takes part.
    fn asked(&self, ids: Vec<Sid>);
    /// One of them answered, or left without an answer.
    fn answer(&self, id: Sid, answer: Option<Args>);
    /// One of them could not be sent the question, so it will not answer.
    fn unsent(&self, id: Sid);
}

/// What the handlers of one server answer to another.
pub(crate) trait ServerSide: Send + Sync {
    /// Resolves with nothing if no handler has an answer.
    fn hear(&self, event: &str, args: Args) -> BoxFuture<Option<Args>>;
}

/// What the other servers have answered.
#[derive(Debug, Default)]
pub(crate) struct ServerAnswers {
    pub(crate) answers: Vec<Args>,
    /// How many have not, or not in time.
    pub(crate) missing: usize,
}

/// Why a cluster could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// Not all servers answered in time. A server alone never sees this.
    #[error("{missing} servers did not answer in time")]
    Timeout {
        /// How many did not.
        missing: usize,
    },
}

pub(crate) trait Adapter: fmt::Debug + Send + Sync {
    fn broadcast(&self, target: &Target, frame: &Frame) -> Delivered;
    /// The same where there is a history, which gives the offset that `make` puts into the frame.
    fn broadcast_and_keep(
        &self,
        history: &History,
        target: &Target,
        make: &dyn Fn(Option<&str>) -> Frame,
    ) -> Delivered;
    /// Sends an event that carries the acknowledgement id `id`. The sink is asked first, then answered.
    fn broadcast_with_ack(
        &self,
        target: &Target,
        frame: &Frame,
        id: u64,
        answers: std::sync::Arc<dyn Answers>,
    ) -> Delivered;
    /// Nobody waits any more for the answers of these to the event of that id.
    fn forget_answers(&self, id: u64, of: &[Sid]);
    fn fetch(&self, target: &Target) -> BoxFuture<Result<Vec<Facts>, AdapterError>>;
    fn count(&self, target: &Target) -> BoxFuture<Result<usize, AdapterError>>;
    /// The rooms there are, with the number of sockets in each.
    fn rooms(&self) -> BoxFuture<Result<Vec<(Room, usize)>, AdapterError>>;
    fn join(&self, target: &Target, rooms: &[Room]);
    fn leave(&self, target: &Target, rooms: &[Room]);
    /// Disconnects the sockets of the target.
    fn disconnect(&self, target: &Target, scope: Scope);
    /// The server has shut down: others reach it no more.
    fn close(&self) {}
    /// Sends an event to the other servers.
    fn tell_servers(&self, event: &str, args: &Args);
    /// The same, and waits for their answers. It is sent also if nobody waits.
    fn ask_servers(
        &self,
        event: &str,
        args: &Args,
        limit: Option<Duration>,
    ) -> BoxFuture<ServerAnswers>;
}
