//! An engine in memory: several servers in one process.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::ready;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::yield_now;

use super::BoxFuture;
use crate::sync::Lock;
use proto::cluster::{
    Channel, PublishError, Receiver, RoomChannels, Wire, WireConnection, WireError,
};

/// The maximum size of the messages that wait for a server, in bytes.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The size that a waiting message counts in addition to its bytes.
const OVERHEAD: usize = 128;

/// The number of messages that are delivered before other tasks may run.
const BATCH: usize = 64;

/// Servers of one process that act as one. An event that one of them emits reaches the clients of all, and they can
/// send events to each other with [`NamespaceHandle::server_side_emit`](crate::NamespaceHandle::server_side_emit).
///
/// It is meant for tests of applications that run as several servers, and for processes that have a server on each of
/// several ports. All its servers have to be built with the same namespaces and the same options.
///
/// The servers exchange messages as they would over a network: an event is delivered to the clients of another server
/// soon, by a task, in the order in which this server has emitted. Up to 64 MiB of messages wait for each server; then
/// events are lost for its clients, and a warning is logged.
///
/// ```
/// use axum_socketio::cluster::LocalCluster;
/// use axum_socketio::{Namespace, SocketIo};
///
/// let cluster = LocalCluster::new();
/// let server = || SocketIo::builder().cluster(cluster.clone()).namespace("/", Namespace::new()).build();
/// let (one, other) = (server(), server());
/// one.emit("news", "to the clients of both");
/// # drop(other);
/// ```
#[derive(Clone, Default)]
pub struct LocalCluster(Arc<Lock<Vec<Weak<Inbox>>>>);

impl LocalCluster {
    /// Creates a cluster without servers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn inboxes(&self) -> Vec<Arc<Inbox>> {
        self.0.lock().iter().filter_map(Weak::upgrade).collect()
    }
}

impl Wire for LocalCluster {
    fn connect(&self, receiver: Arc<dyn Receiver>) -> Arc<dyn WireConnection> {
        let inbox = Arc::new(Inbox {
            receiver,
            state: Lock::default(),
        });
        let mut inboxes = self.0.lock();
        inboxes.retain(|inbox| inbox.strong_count() > 0);
        inboxes.push(Arc::downgrade(&inbox));
        drop(inboxes);
        Arc::new(Connection {
            inbox,
            cluster: self.clone(),
        })
    }
}

/// The connection of one server.
struct Connection {
    inbox: Arc<Inbox>,
    cluster: LocalCluster,
}

/// The messages for one server.
struct Inbox {
    receiver: Arc<dyn Receiver>,
    state: Lock<State>,
}

#[derive(Default)]
struct State {
    /// The channels, and the number of subscriptions to each.
    channels: HashMap<Name, usize>,
    waiting: VecDeque<(Name, Bytes)>,
    bytes: usize,
    /// True if a task delivers the messages.
    running: bool,
}

/// The name of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    Namespace(Arc<str>),
    Room(Arc<str>, Arc<str>),
    Requests(Arc<str>),
    Server(Arc<str>, Arc<str>),
}

impl From<Channel<'_>> for Name {
    fn from(channel: Channel<'_>) -> Self {
        match channel {
            Channel::Namespace { nsp } => Self::Namespace(nsp.into()),
            Channel::Room { nsp, room } => Self::Room(nsp.into(), room.into()),
            Channel::Requests { nsp } => Self::Requests(nsp.into()),
            Channel::Server { nsp, uid } => Self::Server(nsp.into(), uid.into()),
        }
    }
}

impl Name {
    fn channel(&self) -> Channel<'_> {
        match self {
            Self::Namespace(nsp) => Channel::Namespace { nsp },
            Self::Room(nsp, room) => Channel::Room { nsp, room },
            Self::Requests(nsp) => Channel::Requests { nsp },
            Self::Server(nsp, uid) => Channel::Server { nsp, uid },
        }
    }
}

impl WireConnection for Connection {
    fn publish(&self, channel: Channel<'_>, message: Bytes) -> Result<(), PublishError> {
        let name = Name::from(channel);
        let mut published = Ok(());
        for inbox in self.cluster.inboxes() {
            if !Arc::ptr_eq(&inbox, &self.inbox)
                && let Err(error) = inbox.push(&name, &message)
            {
                published = Err(error);
            }
        }
        published
    }

    fn subscribe(&self, channel: Channel<'_>) -> BoxFuture<Result<(), WireError>> {
        let mut state = self.inbox.state.lock();
        *state.channels.entry(channel.into()).or_default() += 1;
        drop(state);
        Box::pin(ready(Ok(())))
    }

    fn unsubscribe(&self, channel: Channel<'_>) {
        let mut state = self.inbox.state.lock();
        if let Entry::Occupied(mut subscriptions) = state.channels.entry(channel.into()) {
            *subscriptions.get_mut() -= 1;
            if *subscriptions.get() == 0 {
                subscriptions.remove();
            }
        }
    }

    fn subscribers(&self, channel: Channel<'_>) -> BoxFuture<Result<usize, WireError>> {
        let name = Name::from(channel);
        let inboxes = self.cluster.inboxes();
        let subscribed = inboxes
            .iter()
            .filter(|inbox| inbox.state.lock().channels.contains_key(&name));
        Box::pin(ready(Ok(subscribed.count())))
    }

    fn room_channels(&self) -> RoomChannels {
        RoomChannels::Joined
    }
}

impl Inbox {
    /// Adds a message, if the server has subscribed to its channel, and ensures that it is delivered.
    fn push(self: &Arc<Self>, channel: &Name, message: &Bytes) -> Result<(), PublishError> {
        let mut state = self.state.lock();
        if !state.channels.contains_key(channel) {
            return Ok(());
        }
        let size = message.len() + OVERHEAD;
        if state.bytes + size > MAX_BYTES {
            return Err(PublishError::Full);
        }
        state.bytes += size;
        state.waiting.push_back((channel.clone(), message.clone()));
        let running = std::mem::replace(&mut state.running, true);
        drop(state);
        if !running {
            let mut delivery = Delivery {
                inbox: Arc::clone(self),
                done: false,
            };
            match Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn(delivery.run())),
                Err(_) => delivery.run_here(),
            }
        }
        Ok(())
    }

    fn next(&self) -> Option<(Name, Bytes)> {
        let mut state = self.state.lock();
        let next = state.waiting.pop_front();
        match &next {
            Some((_, message)) => state.bytes -= message.len() + OVERHEAD,
            None => {
                state.running = false;
                state.waiting = VecDeque::new();
            }
        }
        next
    }
}

/// The task that delivers the messages of one server. If its runtime drops it, the rest is delivered at once.
struct Delivery {
    inbox: Arc<Inbox>,
    /// True if nothing has been left, and another task may have begun.
    done: bool,
}

impl Delivery {
    async fn run(mut self) {
        while !self.deliver(BATCH) {
            yield_now().await;
        }
    }

    fn run_here(&mut self) {
        while !self.deliver(BATCH) {}
    }

    /// Delivers some messages. Returns true if there are no more.
    fn deliver(&mut self, count: usize) -> bool {
        for _ in 0..count {
            let Some((name, message)) = self.inbox.next() else {
                self.done = true;
                break;
            };
            self.inbox.receiver.receive(name.channel(), message);
        }
        self.done
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.done {
            self.run_here();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl fmt::Debug for LocalCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCluster")
            .field("servers", &self.inboxes().len())
            .finish()
    }
}
