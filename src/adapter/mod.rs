//! The recipients of a broadcast: the members on this server, or those of a cluster.
//!
//! One adapter serves one namespace, or all namespaces of a pattern. It is object safe, so that no type of an adapter
//! appears in users' code. There are two: a server alone has only [`LocalSockets`], and a [cluster](cluster) publishes
//! everything to the other servers as well.

mod arrivals;
mod cluster;
mod direct_writes;
mod facts;
mod local;
mod local_cluster;
mod publication;

use std::fmt;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use axum_core::response::{IntoResponse, Response};
use http::StatusCode;

use crate::rooms::{Delivered, Room, RoomInterest, Scope, Target};
use proto::{Args, Sid};

pub(crate) use cluster::{ClusterAdapter, ClusterConnection, ServerRole};
pub(crate) use direct_writes::DirectWrites;
pub(crate) use facts::Facts;
pub(crate) use local::LocalMembers;
pub use local_cluster::LocalCluster;
pub(crate) use proto::cluster::BoxFuture;
pub(crate) use publication::{PacketEncoder, Publication};

/// The collector of the answers to a broadcast, as they arrive.
pub(crate) trait Answers: Send + Sync {
    /// Adds sockets that the event is sent to. Called once for each server that takes part.
    fn asked(&self, ids: Vec<Sid>);
    /// Adds the answer of a socket, or `None` if it disconnected without one.
    fn answer(&self, id: Sid, answer: Option<Args>);
    /// Records that the event could not be sent to a socket, so it will not answer.
    fn unsent(&self, id: Sid);
    /// Adds sockets of other servers whose ids are not known.
    fn asked_unnamed(&self, _: usize) {}
    /// Records that such sockets have left without an answer.
    fn left_unnamed(&self, _: usize) {}
    /// Sets what is known about the number of other servers.
    fn count_servers(&self, _: ServerCount) {}
    /// Changes the number of servers that have not yet said which sockets they ask, which is counted from 0: it may be
    /// negative before [`count_servers`](Self::count_servers) adds their number.
    fn expect_servers(&self, _: isize) {}
}

/// What is known about the number of other servers that take part in a broadcast with acknowledgements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerCount {
    /// The engine has not told yet.
    Pending,
    Known(usize),
    /// The engine does not answer.
    Unknown,
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
    /// Too many requests to other servers are waiting for answers. A single server never returns this.
    #[error("too many requests to other servers are pending")]
    TooManyRequests,
    /// The engine of the cluster has not told in time how many servers there are, or cannot tell it to a server that
    /// does not have the namespace. A single server never returns this.
    #[error("the engine of the cluster does not tell how many servers there are")]
    Engine,
    /// Not all servers answered in time. A single server never returns this.
    #[error("{missing} servers did not answer in time")]
    Timeout {
        /// The number of servers that did not answer.
        missing: usize,
    },
}

/// Lets a handler that queries sockets return the error with `?`.
impl IntoResponse for AdapterError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NoNamespace(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NoServer | Self::TooManyRequests => StatusCode::SERVICE_UNAVAILABLE,
            Self::Engine | Self::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
        };
        (status, self.to_string()).into_response()
    }
}

/// A broadcast with acknowledgements that has been sent.
#[derive(Debug)]
pub(crate) struct SentRequest {
    /// The id of the acknowledgements of this server's clients.
    id: u64,
    /// The id of the request to other servers, if there is one.
    request: Option<String>,
}

/// The acknowledgements that have not arrived when the caller needs no more of them.
#[derive(Debug, Default)]
pub(crate) struct Unanswered {
    pub(crate) sockets: Vec<Sid>,
    /// True if a server has not said which sockets it asks.
    pub(crate) servers: bool,
}

/// Everything that can be done with the sockets of a namespace, on all servers.
pub(crate) trait Adapter: fmt::Debug + Send + Sync {
    fn broadcast(&self, publication: Publication<'_>) -> Delivered;
    /// Sends an event with acknowledgements. `answers` first gets the sockets of each server, then their answers; other
    /// servers wait for these until the limit.
    fn broadcast_with_ack(
        &self,
        publication: Publication<'_>,
        limit: Option<Duration>,
        answers: Arc<dyn Answers>,
    ) -> SentRequest;
    /// Drops the wait for the answers that have not arrived.
    fn forget_answers(&self, asked: &SentRequest, unanswered: Unanswered);
    fn fetch(&self, target: &Target) -> BoxFuture<Result<Vec<Facts>, AdapterError>>;
    fn count(&self, target: &Target) -> BoxFuture<Result<usize, AdapterError>>;
    /// Returns the rooms, with the number of sockets in each.
    fn rooms(&self) -> BoxFuture<Result<Vec<(Room, usize)>, AdapterError>>;
    /// Returns the number of servers with the namespace, this one included if it has it.
    fn server_count(&self) -> BoxFuture<Result<usize, AdapterError>>;
    fn join(&self, target: &Target, rooms: &[Room]);
    fn leave(&self, target: &Target, rooms: &[Room]);
    /// Disconnects the sockets of the target.
    fn disconnect(&self, target: &Target, scope: Scope);
    /// Removes this server from the cluster, when it has shut down.
    fn close(&self) {}
    /// Sends an event to the other servers. Returns false if it could not be published.
    fn emit_to_servers(&self, event: &str, args: &Args) -> bool;
    /// Sends an event to the other servers, and returns their answers. It is sent even if the future is not polled.
    fn ask_servers(
        &self,
        event: &str,
        args: &Args,
        limit: Option<Duration>,
    ) -> BoxFuture<ServerReplies>;
}

/// The sockets of a namespace on this server.
pub(crate) trait LocalSockets: fmt::Debug + Send + Sync + 'static {
    fn broadcast(&self, publication: Publication<'_>) -> Delivered;
    /// Sends an event with the acknowledgement id `id`. `answers` first gets the sockets, then their answers.
    fn broadcast_with_ack(&self, publication: Publication<'_>, id: u64, answers: Arc<dyn Answers>);
    /// Drops the wait for the answers of these sockets to the event with that id.
    fn forget_answers(&self, id: u64, of: &[Sid]);
    /// Returns the next id for acknowledgements.
    fn next_ack_id(&self) -> u64;
    fn facts(&self, target: &Target) -> Vec<Facts>;
    fn count(&self, target: &Target) -> usize;
    /// Returns the rooms, with the number of sockets in each.
    fn rooms(&self) -> Vec<(Room, usize)>;
    fn join(&self, target: &Target, rooms: &[Room]);
    fn leave(&self, target: &Target, rooms: &[Room]);
    fn disconnect(&self, target: &Target, scope: Scope);
    /// Runs the handlers for an event of another server. Resolves to `None` if no handler has an answer.
    fn handle(&self, event: &str, args: Args) -> BoxFuture<Option<Args>>;
    /// Returns true if a room may have members here.
    fn has_room(&self, room: &str) -> bool;
    /// Returns true if rooms can be addressed one by one.
    fn has_rooms(&self) -> bool;
    /// Returns true if an event for a target is handed to a store, by which other servers get it.
    fn stores(&self, target: &Target) -> bool {
        let _ = target;
        false
    }
    /// Reports the rooms that have members here, from now on.
    fn watch_rooms(&self, interest: Box<dyn RoomInterest>);
}

/// A server alone: there is nobody but its own sockets.
impl<L: LocalSockets> Adapter for L {
    fn broadcast(&self, publication: Publication<'_>) -> Delivered {
        LocalSockets::broadcast(self, publication)
    }

    fn broadcast_with_ack(
        &self,
        publication: Publication<'_>,
        _: Option<Duration>,
        answers: Arc<dyn Answers>,
    ) -> SentRequest {
        let id = self.next_ack_id();
        LocalSockets::broadcast_with_ack(self, publication, id, answers);
        SentRequest { id, request: None }
    }

    fn forget_answers(&self, asked: &SentRequest, unanswered: Unanswered) {
        LocalSockets::forget_answers(self, asked.id, &unanswered.sockets);
    }

    fn fetch(&self, target: &Target) -> BoxFuture<Result<Vec<Facts>, AdapterError>> {
        Box::pin(ready(Ok(self.facts(target))))
    }

    fn count(&self, target: &Target) -> BoxFuture<Result<usize, AdapterError>> {
        Box::pin(ready(Ok(LocalSockets::count(self, target))))
    }

    fn rooms(&self) -> BoxFuture<Result<Vec<(Room, usize)>, AdapterError>> {
        Box::pin(ready(Ok(LocalSockets::rooms(self))))
    }

    fn server_count(&self) -> BoxFuture<Result<usize, AdapterError>> {
        Box::pin(ready(Ok(1)))
    }

    fn join(&self, target: &Target, rooms: &[Room]) {
        LocalSockets::join(self, target, rooms);
    }

    fn leave(&self, target: &Target, rooms: &[Room]) {
        LocalSockets::leave(self, target, rooms);
    }

    fn disconnect(&self, target: &Target, scope: Scope) {
        LocalSockets::disconnect(self, target, scope);
    }

    fn emit_to_servers(&self, event: &str, _: &Args) -> bool {
        tracing::debug!(event, "there are no other servers");
        true
    }

    fn ask_servers(
        &self,
        event: &str,
        args: &Args,
        _: Option<Duration>,
    ) -> BoxFuture<ServerReplies> {
        self.emit_to_servers(event, args);
        Box::pin(ready(ServerReplies::default()))
    }
}
