//! A namespace that is spread over the servers of a cluster.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::asked::{AskedByPeer, milliseconds};
use super::{ClusterConnection, Endpoint};
use crate::adapter::{
    Adapter, AdapterError, Answers, Asked, BoxFuture, Facts, LocalSockets, Publication,
    ServerReplies, Unanswered,
};
use crate::clock::now;
use crate::metrics::{ClusterDirection, ClusterLoss, Counted};
use crate::rooms::{Delivered, Room, RoomInterest, Scope, Target};
use crate::sync::Lock;
use proto::cluster::{
    Body, Channel, FetchAnswer, Flags, Message, PublishError, Requests, Selection, Wanted,
    WireConnection,
};
use proto::{Args, Sid};

/// The time in which other servers have to answer, unless a request has a limit of its own.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The time after a join of sockets of other servers in which events for one room are sent to all servers.
const JOIN_SETTLES: Duration = Duration::from_secs(1);

/// The maximum number of requests of a namespace that wait for answers, and of those that it is answering.
pub(super) const MAX_REQUESTS: usize = 10_000;

/// One namespace on one server, with `L` for its sockets there.
pub(crate) struct Cluster<L: LocalSockets> {
    pub(super) nsp: Arc<str>,
    pub(super) local: Arc<L>,
    pub(super) server: Arc<ClusterConnection>,
    membership: Membership,
    /// The requests for facts and the events for servers, which end with the last answer.
    pub(super) requests: Lock<Requests<Waiter>>,
    /// True if rooms have channels of their own.
    rooms: bool,
    /// The time of the last join of sockets of other servers. They subscribe to a room when they get it, so an event that
    /// follows at once could be published to the room too early.
    joined: Lock<Option<Instant>>,
    /// The broadcasts of this server whose acknowledgements are collected, by request.
    pub(super) asking: Lock<HashMap<String, Arc<dyn Answers>>>,
    /// The broadcasts of other servers whose acknowledgements clients of this server owe, by request.
    pub(super) answering: Lock<HashMap<String, Arc<AskedByPeer<L>>>>,
}

/// The adapter of a namespace that is spread over a cluster. Requests that wait for answers share it.
#[derive(Debug)]
pub(crate) struct ClusterAdapter<L: LocalSockets>(Arc<Cluster<L>>);

/// The role of a server in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Membership {
    /// Its clients can join the namespace.
    Member,
    /// It emits to a namespace that only other servers have.
    Observer,
}

/// The collector of the answers to a request.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) answers: Vec<Message<'static>>,
    done: oneshot::Sender<Vec<Message<'static>>>,
}

impl Waiter {
    pub(super) fn finish(self) {
        // The caller may have given up.
        let _ = self.done.send(self.answers);
    }
}

/// A request that has been sent.
struct Request<L: LocalSockets> {
    id: String,
    cluster: Arc<Cluster<L>>,
    done: oneshot::Receiver<Vec<Message<'static>>>,
}

/// The answers of the other servers.
struct Replies {
    answers: Vec<Message<'static>>,
    missing: usize,
}

impl<L: LocalSockets> Cluster<L> {
    /// Adds a server's part of a namespace to the cluster.
    pub(crate) fn join(
        nsp: Arc<str>,
        local: Arc<L>,
        server: Arc<ClusterConnection>,
        membership: Membership,
    ) -> ClusterAdapter<L> {
        let has_rooms = server.connection.has_rooms();
        let interest = Box::new(RoomSubscriptions {
            nsp: Arc::clone(&nsp),
            connection: Arc::clone(&server.connection),
        });
        let cluster = Arc::new(Self {
            nsp,
            rooms: has_rooms && local.watch_rooms(interest),
            joined: Lock::default(),
            local,
            server,
            membership,
            requests: Lock::new(Requests::new(MAX_REQUESTS)),
            asking: Lock::default(),
            answering: Lock::default(),
        });
        let endpoint: Arc<dyn Endpoint> = Arc::clone(&cluster) as _;
        let endpoint = Arc::downgrade(&endpoint);
        cluster
            .server
            .routes
            .insert(&cluster.nsp, endpoint, membership);
        if membership == Membership::Member {
            cluster.subscribe(Channel::Namespace { nsp: &cluster.nsp });
            cluster.subscribe(cluster.own_channel());
        }
        ClusterAdapter(cluster)
    }

    fn own_channel(&self) -> Channel<'_> {
        Channel::Server {
            nsp: &self.nsp,
            uid: &self.server.uid,
        }
    }

    fn subscribe(&self, channel: Channel<'_>) {
        // The subscription is made whether or not the confirmation is awaited.
        drop(self.server.connection.subscribe(channel));
    }

    /// Returns the channel of an event: that of its room if it is for one, and for all servers otherwise. The room of a
    /// socket's id has no channel, as in Node.js.
    fn channel<'a>(&'a self, target: &'a Target) -> Channel<'a> {
        match target.rooms.as_deref() {
            Some([room])
                if self.rooms && room.parse::<Sid>().is_err() && !self.has_just_joined() =>
            {
                Channel::Room {
                    nsp: &self.nsp,
                    room,
                }
            }
            _ => Channel::Namespace { nsp: &self.nsp },
        }
    }

    /// Returns true if sockets of other servers may have joined a room that their servers have not subscribed to yet.
    fn has_just_joined(&self) -> bool {
        let joined = *self.joined.lock();
        joined.is_some_and(|joined| now().duration_since(joined) < JOIN_SETTLES)
    }

    /// Publishes a message to all other servers of the namespace.
    pub(super) fn publish(&self, body: Body<'_>, attachments: &[bytes::Bytes]) -> bool {
        self.publish_to(Channel::Namespace { nsp: &self.nsp }, body, attachments)
    }

    /// Publishes a message. Returns false if it is lost.
    pub(super) fn publish_to(
        &self,
        channel: Channel<'_>,
        body: Body<'_>,
        attachments: &[bytes::Bytes],
    ) -> bool {
        let message = Message {
            uid: Cow::Borrowed(&self.server.uid),
            nsp: Cow::Borrowed(&self.nsp),
            body,
            attachments: attachments.into(),
        };
        let published = self.server.connection.publish(channel, message.encode());
        match published {
            Ok(()) => {
                let sent = Counted::ClusterMessages(ClusterDirection::Sent);
                self.server.routes.logs.counters().add(sent, 1);
            }
            Err(PublishError::Closed) => self.report_loss(ClusterLoss::Closed),
            Err(_) => self.report_loss(ClusterLoss::Full),
        }
        published.is_ok()
    }

    /// Counts and logs a message that is not sent.
    pub(super) fn report_loss(&self, reason: ClusterLoss) {
        let routes = &self.server.routes;
        routes.count_loss(reason);
        if routes.logs.allow() {
            let (nsp, reason) = (&*self.nsp, reason.as_str());
            tracing::warn!(nsp, reason, "message to other servers lost");
        }
    }

    /// Sends a request to the other servers. Returns `None` if too many are pending.
    fn request(
        self: &Arc<Self>,
        attachments: &[bytes::Bytes],
        body: impl FnOnce(String) -> Body<'static>,
    ) -> Option<Request<L>> {
        if self.membership == Membership::Observer {
            self.subscribe(self.own_channel());
        }
        let id = self.server.request_id();
        let (sender, done) = oneshot::channel();
        let waiter = Waiter {
            answers: Vec::new(),
            done: sender,
        };
        if self.requests.lock().insert(&id, waiter).is_err() {
            self.report_loss(ClusterLoss::Requests);
            return None;
        }
        let request = Request {
            id: id.clone(),
            cluster: Arc::clone(self),
            done,
        };
        self.publish(body(id), attachments);
        Some(request)
    }

    /// Returns the number of other servers with the namespace.
    fn peers(&self) -> BoxFuture<usize> {
        let subscribers = self
            .server
            .connection
            .subscribers(Channel::Namespace { nsp: &self.nsp });
        let own = usize::from(self.membership == Membership::Member);
        // Without an answer of the engine, there is nobody to wait for.
        Box::pin(subscribers.map(move |count| count.unwrap_or(own).saturating_sub(own)))
    }

    /// Requests facts of the other servers.
    fn fetch_from_peers(
        self: &Arc<Self>,
        target: &Target,
        wanted: Wanted,
    ) -> BoxFuture<Result<Vec<FetchAnswer<'static>>, AdapterError>> {
        if !concerns_peers(target) {
            return Box::pin(ready(Ok(Vec::new())));
        }
        let selection = into_owned(selection(target, None));
        let request = self.request(&[], |id| Body::Fetch {
            request: id.into(),
            selection,
            wanted,
        });
        Box::pin(async move {
            let request = request.ok_or(AdapterError::TooManyRequests)?;
            let Replies { answers, missing } = request.replies(Some(REQUEST_TIMEOUT)).await;
            if missing > 0 {
                return Err(AdapterError::Timeout { missing });
            }
            let answers = answers
                .into_iter()
                .filter_map(|message| match message.body {
                    Body::FetchAnswer { answer, .. } => Some(answer),
                    _ => None,
                });
            Ok(answers.collect())
        })
    }

    /// Returns the encoded arguments of an event for servers: its name, then the others.
    fn server_event(event: &str, args: &Args) -> String {
        let name = serde_json::Value::from(event);
        let rest = args.json().strip_prefix('[').unwrap_or("]");
        let comma = if rest.trim_start() == "]" { "" } else { "," };
        format!("[{name}{comma}{rest}")
    }
}

impl<L: LocalSockets> Request<L> {
    /// Waits for the answers of all other servers, or until the limit.
    async fn replies(mut self, limit: Option<Duration>) -> Replies {
        let peers = self.cluster.peers().await;
        let complete = self.cluster.requests.lock().expect(&self.id, peers);
        if let Some(Waiter { answers, .. }) = complete {
            return Replies {
                answers,
                missing: 0,
            };
        }
        // Without a runtime, there is no timer, and no task in which other servers could answer.
        let waited = match limit {
            _ if Handle::try_current().is_err() => None,
            Some(limit) => timeout(limit, &mut self.done).await.ok(),
            None => Some((&mut self.done).await),
        };
        let answers = match waited {
            Some(Ok(answers)) => answers,
            _ => {
                let waiter = self.cluster.requests.lock().remove(&self.id);
                waiter.map(|waiter| waiter.answers).unwrap_or_default()
            }
        };
        let missing = peers.saturating_sub(answers.len());
        Replies { answers, missing }
    }
}

impl<L: LocalSockets> Drop for Request<L> {
    fn drop(&mut self) {
        drop(self.cluster.requests.lock().remove(&self.id));
    }
}

impl<L: LocalSockets> Adapter for ClusterAdapter<L> {
    fn broadcast(&self, publication: Publication<'_>) -> Delivered {
        let Publication { args, target } = &publication;
        if concerns_peers(target) {
            let body = Body::Broadcast {
                args: args.json().into(),
                request: None,
                selection: selection(target, None),
                extended: false,
            };
            let channel = self.0.channel(target);
            self.0.publish_to(channel, body, args.attachments());
        }
        self.0.local.broadcast(publication)
    }

    fn broadcast_with_ack(
        &self,
        publication: Publication<'_>,
        limit: Option<Duration>,
        answers: Arc<dyn Answers>,
    ) -> Asked {
        let request = concerns_peers(publication.target)
            .then(|| self.0.ask_peers(&publication, limit, &answers))
            .flatten();
        let id = self.0.local.next_ack_id();
        self.0.local.broadcast_with_ack(publication, id, answers);
        Asked { id, request }
    }

    fn forget_answers(&self, asked: &Asked, unanswered: Unanswered) {
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
                FetchAnswer::Rooms(_) => 0,
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
                    FetchAnswer::Count(_) => {}
                }
            }
            Ok(rooms.into_iter().collect())
        })
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

    fn emit_to_servers(&self, event: &str, args: &Args) {
        let body = Body::ServerEvent {
            args: Cluster::<L>::server_event(event, args).into(),
            request: None,
            extended: true,
        };
        self.0.publish(body, args.attachments());
    }

    fn ask_servers(
        &self,
        event: &str,
        args: &Args,
        limit: Option<Duration>,
    ) -> BoxFuture<ServerReplies> {
        let event = Cluster::<L>::server_event(event, args);
        let request = self.0.request(args.attachments(), |id| Body::ServerEvent {
            args: event.into(),
            request: Some(id.into()),
            extended: true,
        });
        let peers = self.0.peers();
        Box::pin(async move {
            let Some(request) = request else {
                let missing = peers.await;
                return ServerReplies {
                    answers: Vec::new(),
                    missing,
                };
            };
            let Replies {
                answers,
                mut missing,
            } = request.replies(limit).await;
            let replies = answers.len();
            let answers: Vec<_> = answers.into_iter().filter_map(server_answer).collect();
            // A server without an answer says so.
            missing += replies - answers.len();
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
        if self.membership == Membership::Observer {
            self.subscribe(self.own_channel());
        }
        let Publication { args, target } = publication;
        let id = self.server.request_id();
        let mut asking = self.asking.lock();
        if asking.len() >= MAX_REQUESTS {
            drop(asking);
            self.report_loss(ClusterLoss::Requests);
            return None;
        }
        asking.insert(id.clone(), Arc::clone(answers));
        drop(asking);
        // Until the number of servers is known, the answers are not complete.
        answers.expect_servers(1);
        let body = Body::Broadcast {
            args: args.json().into(),
            request: Some(id.as_str().into()),
            selection: selection(target, limit),
            extended: true,
        };
        self.publish(body, args.attachments());
        let answers = Arc::clone(answers);
        let peers = self.peers();
        let count = async move {
            let peers = isize::try_from(peers.await).unwrap_or(isize::MAX);
            answers.expect_servers(peers - 1);
        };
        let mut count = Box::pin(count);
        if count.as_mut().now_or_never().is_none()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(count);
        }
        Some(id)
    }

    /// Ends the subscriptions that no other part of this server needs.
    fn leave(&self) {
        let this: *const Self = self;
        let Some(remaining) = self.server.routes.remove(&self.nsp, this.cast()) else {
            return;
        };
        let connection = &self.server.connection;
        if !remaining.members {
            connection.unsubscribe(Channel::Namespace { nsp: &self.nsp });
        }
        if !remaining.any {
            connection.unsubscribe(self.own_channel());
        }
    }
}

impl<L: LocalSockets> Drop for Cluster<L> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The subscriptions to the rooms that have members on this server.
#[derive(Debug)]
struct RoomSubscriptions {
    nsp: Arc<str>,
    connection: Arc<dyn WireConnection>,
}

impl RoomInterest for RoomSubscriptions {
    fn created(&self, room: &str) {
        let nsp = &self.nsp;
        drop(self.connection.subscribe(Channel::Room { nsp, room }));
    }

    fn deleted(&self, room: &str) {
        let nsp = &self.nsp;
        self.connection.unsubscribe(Channel::Room { nsp, room });
    }
}

/// Returns true if other servers may have sockets of the target.
fn concerns_peers(target: &Target) -> bool {
    !target.local && target.rooms.as_ref().is_none_or(|rooms| !rooms.is_empty())
}

fn names(rooms: &[Room]) -> Vec<Cow<'_, str>> {
    rooms.iter().map(|room| Cow::Borrowed(&**room)).collect()
}

/// Returns the form of a target in messages.
fn selection(target: &Target, limit: Option<Duration>) -> Selection<'_> {
    let mut except = names(&target.except);
    except.extend({ target.except_id.as_ref() }.map(|id| Cow::Owned(id.as_str().to_owned())));
    Selection {
        rooms: names(target.rooms.as_deref().unwrap_or_default()),
        except,
        flags: Flags {
            volatile: target.volatile.then_some(true),
            compress: target.uncompressed.then_some(false),
            expect_single_response: None,
            timeout: limit.map(milliseconds),
        },
    }
}

fn into_owned(selection: Selection<'_>) -> Selection<'static> {
    let owned = |names: Vec<Cow<'_, str>>| {
        let owned = names.into_iter().map(|name| Cow::Owned(name.into_owned()));
        owned.collect()
    };
    Selection {
        rooms: owned(selection.rooms),
        except: owned(selection.except),
        flags: selection.flags,
    }
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

impl<L: LocalSockets> fmt::Debug for Cluster<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("nsp", &self.nsp)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
