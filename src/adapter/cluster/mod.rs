//! A server among others that share an engine.

mod adapter;
mod asked;
mod interest;
mod namespace;
mod presence;
mod receive;
mod request;
mod selection;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;

use crate::logs::ServerLogs;
use crate::metrics::{ClusterDirection, ClusterLoss, Counted};
use crate::panics::{guarded, log_panic};
use crate::rooms::recovery::{Store, Stores};
use crate::sync::Lock;
use proto::cluster::{
    Body, BoxFuture, Channel, Family, Health, Message, MessageError, Receiver, Wire, WireConnection,
};

pub(crate) use adapter::ClusterAdapter;
pub(crate) use namespace::ServerRole;

/// A server in a cluster: its connection to the engine, shared by all its namespaces.
pub(crate) struct ClusterConnection {
    /// The id of this server.
    uid: Arc<str>,
    connection: Arc<dyn WireConnection>,
    family: Family,
    routes: Arc<Routes>,
    /// The number of the next request.
    next: AtomicU64,
}

/// The namespaces that take messages, by name.
struct Routes {
    uid: Arc<str>,
    family: Family,
    logs: Arc<ServerLogs>,
    endpoints: Lock<HashMap<Arc<str>, Vec<Route>>>,
}

/// A part of this server that takes the messages of a namespace.
struct Route {
    endpoint: Weak<dyn Endpoint>,
    role: ServerRole,
}

/// The parts of this server that remain in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remaining {
    Members,
    /// None, or only such that emit to the namespace.
    NoMembers,
}

/// A namespace that takes messages of other servers.
trait Endpoint: Send + Sync {
    /// Takes note of the sender of a message.
    fn note_sender(&self, uid: &str, body: &Body<'_>);

    fn receive(self: Arc<Self>, message: Message<'static>);

    /// Takes note that messages arrive from now on.
    fn subscribed(&self);

    /// Takes note that time has passed.
    fn tick(&self);

    /// Returns true if a room may have members here.
    fn has_room(&self, room: &str) -> bool;
}

/// The endpoints of a namespace.
#[derive(Default)]
struct Endpoints {
    all: Vec<Arc<dyn Endpoint>>,
    /// The newest member. Others may only live on for the answers that they await.
    newest: Option<Arc<dyn Endpoint>>,
}

impl ClusterConnection {
    /// Connects a server with this id to an engine.
    pub(crate) fn connect(wire: &dyn Wire, uid: Arc<str>, logs: Arc<ServerLogs>) -> Arc<Self> {
        let family = wire.family();
        let routes = Arc::new(Routes {
            uid: Arc::clone(&uid),
            family,
            logs,
            endpoints: Lock::default(),
        });
        let receiver: Arc<Routes> = Arc::clone(&routes);
        Arc::new(Self {
            uid,
            connection: wire.connect(receiver),
            family,
            routes,
            next: AtomicU64::new(0),
        })
    }

    /// Returns how well the server is connected to the engine.
    pub(crate) fn health(&self) -> Health {
        self.connection.health()
    }

    /// Returns a future that resolves when what has been published so far has been sent, or is lost.
    pub(crate) fn flushed(&self) -> BoxFuture<()> {
        self.connection.flushed()
    }

    /// Returns a new id for a request, which no other server uses.
    fn request_id(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number:x}", self.uid)
    }
}

/// The stores of the engine, if it keeps events and sessions.
impl Stores for ClusterConnection {
    fn open(&self, nsp: &Arc<str>) -> Option<Arc<dyn Store>> {
        self.connection.store(nsp, &self.uid)
    }
}

impl Routes {
    fn insert(&self, nsp: &Arc<str>, endpoint: Weak<dyn Endpoint>, role: ServerRole) {
        let route = Route { endpoint, role };
        let mut endpoints = self.endpoints.lock();
        endpoints.entry(Arc::clone(nsp)).or_default().push(route);
    }

    /// Removes an endpoint. Returns the routes that remain, or `None` if it had been removed already.
    fn remove(&self, nsp: &str, gone: *const ()) -> Option<Remaining> {
        let mut endpoints = self.endpoints.lock();
        let routes = endpoints.get_mut(nsp)?;
        let is_gone = |route: &Route| route.endpoint.as_ptr().cast::<()>() == gone;
        let at = routes.iter().position(is_gone)?;
        routes.remove(at);
        let is_member = |route: &Route| route.role == ServerRole::Member;
        let remaining = if routes.iter().any(is_member) {
            Remaining::Members
        } else {
            Remaining::NoMembers
        };
        if routes.is_empty() {
            endpoints.remove(nsp);
        }
        Some(remaining)
    }

    fn count_loss(&self, reason: ClusterLoss) {
        let lost = Counted::ClusterMessagesLost(reason);
        self.logs.counters().add(lost, 1);
    }

    fn of(&self, nsp: &str) -> Endpoints {
        let mut found = Endpoints::default();
        let endpoints = self.endpoints.lock();
        for Route { endpoint, role } in endpoints.get(nsp).into_iter().flatten() {
            if let Some(endpoint) = endpoint.upgrade() {
                if *role == ServerRole::Member {
                    found.newest = Some(Arc::clone(&endpoint));
                }
                found.all.push(endpoint);
            }
        }
        found
    }

    fn route(&self, channel: Channel<'_>, message: &Bytes) -> Result<(), MessageError> {
        let Endpoints { mut all, newest } = self.of(channel.nsp());
        if all.is_empty() {
            return Ok(());
        }
        if let Channel::Room { room, .. } = channel
            && !newest.as_ref().is_some_and(|member| member.has_room(room))
        {
            // A subscription outlasts the members of its room, and a pattern covers all rooms.
            return Ok(());
        }
        if self.family.is_from(&self.uid, message) {
            return Ok(());
        }
        let message = self.family.decode(channel, message)?;
        if *message.uid == *self.uid || *message.nsp != *channel.nsp() {
            return Ok(());
        }
        let received = Counted::ClusterMessages(ClusterDirection::Received);
        self.logs.counters().add(received, 1);
        for endpoint in &all {
            endpoint.note_sender(&message.uid, &message.body);
        }
        if !message.body.is_answer() {
            if let Some(member) = newest {
                member.receive(message);
            }
            return Ok(());
        }
        // One of them has made the request.
        let last = all.pop();
        for endpoint in all {
            endpoint.receive(message.clone());
        }
        if let Some(endpoint) = last {
            endpoint.receive(message);
        }
        Ok(())
    }
}

impl Receiver for Routes {
    fn receive(&self, channel: Channel<'_>, message: Bytes) {
        let nsp = channel.nsp();
        match guarded(|| self.route(channel, &message)) {
            Ok(Ok(())) => {}
            // A newer server may send messages that this one does not know.
            Ok(Err(MessageError::UnknownType(kind))) => {
                tracing::debug!(nsp, kind, "unknown message of another server");
            }
            Ok(Err(error)) => {
                self.count_loss(ClusterLoss::Malformed);
                if self.logs.allow() {
                    let error = error.to_string();
                    tracing::warn!(nsp, error, "message of another server dropped");
                }
            }
            Err(panicked) if self.logs.allow_fault() => log_panic("cluster", &panicked),
            Err(_) => {}
        }
    }

    fn lost(&self, messages: usize) {
        let lost = Counted::ClusterMessagesLost(ClusterLoss::Outage);
        self.logs.counters().add(lost, messages);
    }

    fn missed(&self, messages: usize) {
        let lost = Counted::ClusterMessagesLost(ClusterLoss::Missed);
        self.logs.counters().add(lost, messages);
    }

    fn subscribed(&self, nsp: &str) {
        if let Some(member) = self.of(nsp).newest {
            member.subscribed();
        }
    }

    fn tick(&self) {
        let endpoints = self.endpoints.lock();
        let routes = endpoints.values().flatten();
        let all: Vec<_> = routes
            .filter_map(|route| route.endpoint.upgrade())
            .collect();
        drop(endpoints);
        for endpoint in all {
            endpoint.tick();
        }
    }
}

impl fmt::Debug for ClusterConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterConnection")
            .field("uid", &self.uid)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}
