//! The adapter of a namespace that is spread over a cluster.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Handle;

use super::ClusterConnection;
use super::namespace::{Cluster, MAX_REQUESTS, ServerRole};
use super::presence::Asking;
use super::request::Replies;
use super::selection::{concerns_peers, names, selection};
use crate::adapter::{
    Adapter, AdapterError, Answers, BoxFuture, Facts, LocalSockets, Publication, SentRequest,
    ServerCount, ServerReplies, Unanswered,
};
use crate::clock::now;
use crate::metrics::ClusterLoss;
use crate::rooms::{Delivered, Room, Scope, Target};
use proto::Args;
use proto::cluster::{Body, FetchAnswer, Message, Wanted};

/// The adapter of a namespace that is spread over a cluster. Requests that wait for answers share it.
#[derive(Debug)]
pub(crate) struct ClusterAdapter<L: LocalSockets>(pub(super) Arc<Cluster<L>>);

impl<L: LocalSockets> ClusterAdapter<L> {
    /// Adds a server's part of a namespace to the cluster.
    pub(crate) fn join(
        nsp: Arc<str>,
        local: Arc<L>,
        server: Arc<ClusterConnection>,
        role: ServerRole,
    ) -> Self {
        Self(Cluster::join(nsp, local, server, role))
    }
}

impl<L: LocalSockets> Adapter for ClusterAdapter<L> {
    fn broadcast(&self, publication: Publication<'_>) -> Delivered {
        let Publication { args, target } = &publication;
        if self.0.local.stores(target) {
            // It reaches the other servers by the store.
            return self.0.local.broadcast(publication);
        }
        let mut published = true;
        if concerns_peers(target) {
            let body = Body::Broadcast {
                args: args.json().into(),
                request: None,
                selection: selection(target, None),
                extended: false,
            };
            let channel = self.0.channel(target);
            published = self.0.publish_to(channel, body, args.attachments());
        }
        let unpublished = Delivered {
            is_unpublished: !published,
            ..Delivered::default()
        };
        if self.0.local.has_rooms() {
            return [unpublished, self.0.local.broadcast(publication)]
                .into_iter()
                .sum();
        }
        // The namespaces of a pattern hand the event to their stores, and those of other servers do this too.
        let target = &Target {
            local: true,
            ..Target::clone(target)
        };
        let args = publication.args;
        let delivered = self.0.local.broadcast(Publication { args, target });
        [unpublished, delivered].into_iter().sum()
    }

    fn broadcast_with_ack(
        &self,
        publication: Publication<'_>,
        limit: Option<Duration>,
        answers: Arc<dyn Answers>,
    ) -> SentRequest {
        let request = concerns_peers(publication.target)
            .then(|| self.0.ask_peers(&publication, limit, &answers))
            .flatten();
        let id = self.0.local.next_ack_id();
        self.0.local.broadcast_with_ack(publication, id, answers);
        SentRequest { id, request }
    }

    fn forget_answers(&self, asked: &SentRequest, unanswered: Unanswered) {
        self.0.local.forget_answers(asked.id, &unanswered.sockets);
        let Some(request) = &asked.request else {
            return;
        };
        drop(self.0.asking.lock().remove(request));
        if unanswered.servers || !unanswered.sockets.is_empty() {
            let request = request.as_str().into();
            self.0.publish(Body::Abandon { request }, &[]);
        }
    }

    fn fetch(&self, target: &Target) -> BoxFuture<Result<Vec<Facts>, AdapterError>> {
        let mut facts = self.0.local.facts(target);
        let peers = self.0.fetch_from_peers(target, Wanted::Sockets);
        Box::pin(async move {
            for answer in peers.await? {
                if let FetchAnswer::Sockets(sockets) = answer {
                    facts.extend(sockets.iter().filter_map(Facts::of_peer));
                }
            }
            Ok(facts)
        })
    }

    fn count(&self, target: &Target) -> BoxFuture<Result<usize, AdapterError>> {
        let here = self.0.local.count(target);
        let peers = self.0.fetch_from_peers(target, Wanted::Count);
        Box::pin(async move {
            let others = peers.await?.into_iter().map(|answer| match answer {
                FetchAnswer::Sockets(sockets) => sockets.len(),
                FetchAnswer::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
                FetchAnswer::Rooms(_) | FetchAnswer::Ids(_) | FetchAnswer::RoomNames(_) => 0,
            });
            Ok(others.fold(here, usize::saturating_add))
        })
    }

    fn rooms(&self) -> BoxFuture<Result<Vec<(Room, usize)>, AdapterError>> {
        let mut rooms: HashMap<Room, usize> = self.0.local.rooms().into_iter().collect();
        let peers = self.0.fetch_from_peers(&Target::default(), Wanted::Rooms);
        Box::pin(async move {
            for answer in peers.await? {
                match answer {
                    FetchAnswer::Rooms(counts) => {
                        for (room, count) in counts {
                            let count = usize::try_from(count).unwrap_or(usize::MAX);
                            let sum = rooms.entry((*room).into()).or_default();
                            *sum = sum.saturating_add(count);
                        }
                    }
                    FetchAnswer::Sockets(sockets) => {
                        for socket in &sockets {
                            let others = socket.rooms.iter().filter(|room| **room != socket.id);
                            others.for_each(|room| *rooms.entry((**room).into()).or_default() += 1);
                        }
                    }
                    FetchAnswer::Count(_) | FetchAnswer::Ids(_) | FetchAnswer::RoomNames(_) => {}
                }
            }
            Ok(rooms.into_iter().collect())
        })
    }

    fn server_count(&self) -> BoxFuture<Result<usize, AdapterError>> {
        self.0.server_count()
    }

    fn join(&self, target: &Target, rooms: &[Room]) {
        if concerns_peers(target) {
            *self.0.joined.lock() = Some(now());
            let body = Body::Join {
                selection: selection(target, None),
                rooms: names(rooms),
            };
            self.0.publish(body, &[]);
        }
        self.0.local.join(target, rooms);
    }

    fn leave(&self, target: &Target, rooms: &[Room]) {
        if concerns_peers(target) {
            let body = Body::Leave {
                selection: selection(target, None),
                rooms: names(rooms),
            };
            self.0.publish(body, &[]);
        }
        self.0.local.leave(target, rooms);
    }

    fn disconnect(&self, target: &Target, scope: Scope) {
        if concerns_peers(target) {
            let body = Body::Disconnect {
                selection: selection(target, None),
                close: scope == Scope::Connection,
            };
            self.0.publish(body, &[]);
        }
        self.0.local.disconnect(target, scope);
    }

    fn close(&self) {
        self.0.leave();
    }

    fn emit_to_servers(&self, event: &str, args: &Args) -> bool {
        let body = Body::ServerEvent {
            args: server_event(event, args).into(),
            request: None,
            extended: true,
        };
        self.0.publish(body, args.attachments())
    }

    fn ask_servers(
        &self,
        event: &str,
        args: &Args,
        limit: Option<Duration>,
    ) -> BoxFuture<ServerReplies> {
        let event = server_event(event, args);
        let request = self.0.request(args.attachments(), |id| Body::ServerEvent {
            args: event.into(),
            request: Some(id.into()),
            extended: true,
        });
        let Some(request) = request else {
            let missing = self.0.peers();
            return Box::pin(missing.map(|missing| ServerReplies {
                answers: Vec::new(),
                missing: missing.map_or(1, |servers| servers.len()),
            }));
        };
        Box::pin(async move {
            let Replies { answers, missing } = request.replies(limit).await;
            let replies = answers.len();
            let answers: Vec<_> = answers.into_iter().filter_map(server_answer).collect();
            // A server without an answer says so. Without the engine, there is at least one.
            let missing = missing.unwrap_or(1) + replies - answers.len();
            ServerReplies { answers, missing }
        })
    }
}

impl<L: LocalSockets> Cluster<L> {
    /// Sends a broadcast with acknowledgements to the other servers. Returns the id of the request.
    fn ask_peers(
        &self,
        publication: &Publication<'_>,
        limit: Option<Duration>,
        answers: &Arc<dyn Answers>,
    ) -> Option<String> {
        self.await_answers();
        let Publication { args, target } = publication;
        let id = self.server.request_id();
        let mut asking = self.asking.lock();
        if asking.len() >= MAX_REQUESTS {
            drop(asking);
            self.report_loss(ClusterLoss::Requests);
            return None;
        }
        let known = self.known_peers();
        asking.insert(id.clone(), Asking::new(answers, known.as_ref()));
        drop(asking);
        answers.count_servers(ServerCount::Pending);
        let body = Body::Broadcast {
            args: args.json().into(),
            request: Some(id.as_str().into()),
            selection: selection(target, limit),
            extended: true,
        };
        self.publish(body, args.attachments());
        if let Some(servers) = known {
            answers.count_servers(ServerCount::Known(servers.len()));
            return Some(id);
        }
        let (answers, peers) = (Arc::clone(answers), self.peers());
        let mut count = Box::pin(async move {
            let peers = peers.await.map(|servers| servers.len());
            answers.count_servers(peers.map_or(ServerCount::Unknown, ServerCount::Known));
        });
        if count.as_mut().now_or_never().is_none()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(count);
        }
        Some(id)
    }
}

/// Returns the encoded arguments of an event for servers: its name, then the others.
fn server_event(event: &str, args: &Args) -> String {
    let name = serde_json::Value::from(event);
    let rest = args.json().strip_prefix('[').unwrap_or("]");
    let comma = if rest.trim_start() == "]" { "" } else { "," };
    format!("[{name}{comma}{rest}")
}

/// Returns the arguments with which a server has answered, if it has.
fn server_answer(message: Message<'static>) -> Option<Args> {
    let Body::ServerAnswer { answer, args, .. } = message.body else {
        return None;
    };
    let json = args.or_else(|| answer.map(|answer| format!("[{answer}]").into()))?;
    Some(Args::new(
        json.into_owned().into(),
        message.attachments.into_owned(),
    ))
}
