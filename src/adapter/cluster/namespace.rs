//! A namespace that is spread over the servers of a cluster.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::interest::Interest;
use super::presence::{Asking, Heard};
use super::{ClusterConnection, Endpoint, Remaining};
use crate::adapter::LocalSockets;
use crate::clock::now;
use crate::metrics::{ClusterDirection, ClusterLoss, Counted};
use crate::rooms::Target;
use crate::sync::Lock;
use proto::Sid;
use proto::cluster::{
    Body, Channel, Family, JOIN_SETTLES, Message, PublishError, Requests, RoomChannels,
};

/// The maximum number of requests of a namespace that wait for answers, of those that it is answering, and of handlers
/// for events of other servers that are running.
pub(super) const MAX_REQUESTS: usize = 10_000;

/// One namespace on one server, with `L` for its sockets there.
pub(crate) struct Cluster<L: LocalSockets> {
    pub(super) nsp: Arc<str>,
    pub(super) local: Arc<L>,
    pub(super) server: Arc<ClusterConnection>,
    pub(super) role: ServerRole,
    /// True if an observer has subscribed to the answers to its requests.
    observes: AtomicBool,
    /// The requests for facts and the events for servers, which end with the last answer.
    pub(super) requests: Lock<Requests<Waiter>>,
    /// The other servers, if the engine cannot count them.
    pub(super) heard: Option<Heard>,
    /// The rooms that have channels of their own.
    rooms: RoomChannels,
    /// The time of the last join of sockets of other servers. They subscribe to a room when they get it, so an event
    /// that follows at once could be published to the room too early.
    pub(super) joined: Lock<Option<Instant>>,
    /// The broadcasts of this server whose acknowledgements are collected, by request.
    pub(super) asking: Lock<HashMap<String, Asking>>,
    /// The broadcasts of other servers whose acknowledgements clients of this server owe, by request.
    pub(super) answering: Lock<HashMap<String, Arc<PeerRequest<L>>>>,
    /// The number of handlers for events of other servers that are running.
    pub(super) handling: Arc<AtomicUsize>,
}

/// A broadcast with acknowledgements of another server.
pub(super) struct PeerRequest<L: LocalSockets> {
    pub(super) cluster: Weak<Cluster<L>>,
    /// The id of the server that has asked.
    pub(super) uid: String,
    pub(super) request: String,
    /// The id of the acknowledgements on this server.
    pub(super) id: u64,
    /// True if the server wants to know which socket has answered.
    pub(super) extended: bool,
    /// The number of unanswered events for each socket: in several namespaces, sockets may have the same id.
    pub(super) waiting: Lock<HashMap<Sid, usize>>,
    /// The task that ends the request at its limit.
    pub(super) deadline: Lock<Option<Deadline>>,
}

/// The task that ends a request at its limit, and is cancelled when the request ends before.
#[derive(Debug)]
pub(super) struct Deadline(pub(super) AbortHandle);

impl Drop for Deadline {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The role of a server in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerRole {
    /// Its clients can join the namespace.
    Member,
    /// It emits to a namespace that only other servers have.
    Observer,
}

/// The collector of the answers to a request.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) answers: Vec<Message<'static>>,
    pub(super) done: oneshot::Sender<Vec<Message<'static>>>,
}

impl Waiter {
    pub(super) fn finish(self) {
        // The caller may have given up.
        let _ = self.done.send(self.answers);
    }
}

impl<L: LocalSockets> Cluster<L> {
    /// Adds a server's part of a namespace to the cluster.
    pub(crate) fn join(
        nsp: Arc<str>,
        local: Arc<L>,
        server: Arc<ClusterConnection>,
        role: ServerRole,
    ) -> Arc<Self> {
        let rooms = if local.has_rooms() {
            server.connection.room_channels()
        } else {
            RoomChannels::None
        };
        let cluster = Arc::new(Self {
            nsp,
            rooms,
            joined: Lock::default(),
            heard: Heard::new(server.connection.presence()),
            local,
            server,
            role,
            observes: AtomicBool::new(false),
            requests: Lock::new(Requests::new(MAX_REQUESTS)),
            asking: Lock::default(),
            answering: Lock::default(),
            handling: Arc::default(),
        });
        let endpoint: Arc<dyn Endpoint> = Arc::clone(&cluster) as _;
        let endpoint = Arc::downgrade(&endpoint);
        cluster.server.routes.insert(&cluster.nsp, endpoint, role);
        if role == ServerRole::Member {
            let connection = &cluster.server.connection;
            let channels = cluster.channels_of_members();
            let confirmations = channels.map(|channel| connection.subscribe(channel));
            let interest = Interest::new(&cluster.nsp, connection, rooms, confirmations.collect());
            cluster.local.watch_rooms(Box::new(interest));
        }
        cluster
    }

    /// Returns the channels to which a server with the namespace subscribes.
    fn channels_of_members(&self) -> impl Iterator<Item = Channel<'_>> {
        let requests = self.request_channel();
        let namespace = Channel::Namespace { nsp: &self.nsp };
        let others = (requests != namespace).then_some(requests);
        [namespace, self.own_channel()].into_iter().chain(others)
    }

    /// Returns the channel of the requests to all servers with the namespace.
    pub(super) fn request_channel(&self) -> Channel<'_> {
        let nsp = &*self.nsp;
        match self.server.family {
            Family::Classic => Channel::Requests { nsp },
            Family::Cluster => Channel::Namespace { nsp },
        }
    }

    pub(super) fn own_channel(&self) -> Channel<'_> {
        Channel::Server {
            nsp: &self.nsp,
            uid: &self.server.uid,
        }
    }

    /// Subscribes to the answers to a request, if only other servers have the namespace.
    pub(super) fn await_answers(&self) {
        if self.role == ServerRole::Observer && !self.observes.swap(true, Ordering::Relaxed) {
            // The subscription is made whether or not the confirmation is awaited.
            drop(self.server.connection.subscribe(self.own_channel()));
        }
    }

    /// Returns the channel of an event: that of its room if it is for one that has a channel, and for all servers
    /// otherwise.
    pub(super) fn channel<'a>(&'a self, target: &'a Target) -> Channel<'a> {
        match target.rooms.as_deref() {
            Some([room]) if self.has_channel(room) && !self.has_just_joined() => Channel::Room {
                nsp: &self.nsp,
                room,
            },
            _ => Channel::Namespace { nsp: &self.nsp },
        }
    }

    fn has_channel(&self, room: &str) -> bool {
        match self.rooms {
            RoomChannels::None => false,
            RoomChannels::Joined => room.parse::<Sid>().is_err(),
            RoomChannels::All => true,
        }
    }

    /// Returns true if sockets of other servers may have joined a room that their servers have not subscribed to yet.
    fn has_just_joined(&self) -> bool {
        let joined = *self.joined.lock();
        joined.is_some_and(|joined| now().duration_since(joined) < JOIN_SETTLES)
    }

    /// Publishes a request, or an operation, to all other servers of the namespace.
    pub(super) fn publish(&self, body: Body<'_>, attachments: &[bytes::Bytes]) -> bool {
        self.publish_to(self.request_channel(), body, attachments)
    }

    /// Publishes a message. Returns false if it is lost.
    pub(super) fn publish_to(
        &self,
        channel: Channel<'_>,
        body: Body<'_>,
        attachments: &[bytes::Bytes],
    ) -> bool {
        if body.is_too_deep() {
            self.report_loss(ClusterLoss::Depth);
            return false;
        }
        let message = Message {
            uid: Cow::Borrowed(self.sender()),
            nsp: Cow::Borrowed(&self.nsp),
            body,
            attachments: attachments.into(),
        };
        let message = self.server.family.encode(&message);
        let published = self.server.connection.publish(channel, message);
        match published {
            Ok(()) => {
                let sent = Counted::ClusterMessages(ClusterDirection::Sent);
                self.server.routes.logs.counters().add(sent, 1);
            }
            Err(PublishError::Closed) => self.report_loss(ClusterLoss::Closed),
            Err(PublishError::NoChannel) => self.report_loss(ClusterLoss::NoChannel),
            Err(_) => self.report_loss(ClusterLoss::Full),
        }
        published.is_ok()
    }

    /// Counts and logs a message that is not sent.
    pub(super) fn report_loss(&self, reason: ClusterLoss) {
        self.server.routes.count_loss(reason);
        if self.may_log() {
            let (nsp, reason) = (&*self.nsp, reason.as_str());
            tracing::warn!(nsp, reason, "message to other servers lost");
        }
    }

    /// Returns true if one more log record that another server may cause may be written.
    pub(super) fn may_log(&self) -> bool {
        self.server.routes.logs.allow()
    }

    /// Removes this part of the server from the cluster.
    pub(super) fn leave(&self) {
        let this: *const Self = self;
        let Some(remaining) = self.server.routes.remove(&self.nsp, this.cast()) else {
            return;
        };
        if remaining == Remaining::NoMembers {
            self.announce_leave();
        }
        let connection = &self.server.connection;
        if self.role == ServerRole::Member {
            let channels = self.channels_of_members();
            channels.for_each(|channel| connection.unsubscribe(channel));
        }
        if self.observes.load(Ordering::Relaxed) {
            connection.unsubscribe(self.own_channel());
        }
    }
}

impl<L: LocalSockets> Drop for Cluster<L> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<L: LocalSockets> fmt::Debug for Cluster<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("nsp", &self.nsp)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
