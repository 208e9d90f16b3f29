//! The adapter of several servers in one process.

use std::collections::HashMap;
use std::fmt;
use std::future::ready;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{
    Adapter, AdapterError, Answers, BoxFuture, Facts, LocalMembers, Memory, Publication,
    ServerReplies, ServerSide,
};
use crate::rooms::{Delivered, Link, Room, Scope, Target};
use crate::sync::Lock;
use proto::{Args, Sid};

/// Servers of one process that act as one. An event that one of them emits reaches the clients of all, and they can
/// send events to each other with [`NamespaceHandle::server_side_emit`](crate::NamespaceHandle::server_side_emit).
///
/// It is meant for tests of applications that run as several servers, and for processes that have a server on each of
/// several ports. All its servers have to be built with the same namespaces and the same options.
///
/// ```
/// use axum_socketio::config::LocalCluster;
/// use axum_socketio::{Namespace, SocketIo};
///
/// let cluster = LocalCluster::new();
/// let server = || SocketIo::builder().cluster(&cluster).namespace("/", Namespace::new()).build();
/// let (one, other) = (server(), server());
/// one.emit("news", "to the clients of both");
/// # drop(other);
/// ```
#[derive(Clone, Default)]
pub struct LocalCluster(Arc<Lock<Spaces>>);

/// The namespaces by their names.
type Spaces = HashMap<Arc<str>, Space>;

/// One namespace on all servers that have it.
#[derive(Default)]
struct Space {
    /// The pattern that the namespace was created for, if any.
    pattern: Option<Arc<str>>,
    /// One counter for all servers, so that no acknowledgement id is used twice.
    ack_ids: Arc<AtomicU64>,
    nodes: Vec<Weak<Node>>,
}

/// One namespace on one server.
struct Node {
    memory: Box<dyn LocalMembers>,
    server: Box<dyn ServerSide>,
}

impl Node {
    fn new(memory: Memory<impl Link>, server: Box<dyn ServerSide>) -> Arc<Self> {
        let memory = Box::new(memory);
        Arc::new(Self { memory, server })
    }
}

impl LocalCluster {
    /// Creates a cluster without servers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the names of the namespaces that were created for a pattern on some server.
    pub(crate) fn made_for(&self, pattern: &str) -> Vec<Arc<str>> {
        let spaces = self.0.lock();
        let made = spaces
            .iter()
            .filter(|(_, space)| space.pattern.as_deref() == Some(pattern));
        made.map(|(name, _)| Arc::clone(name)).collect()
    }

    /// Adds a server's namespace to the cluster. Returns its adapter, and the counter of its acknowledgement ids.
    pub(crate) fn enter(
        &self,
        nsp: &Arc<str>,
        pattern: Option<&Arc<str>>,
        memory: Memory<impl Link>,
        server: Box<dyn ServerSide>,
    ) -> (Arc<dyn Adapter>, Arc<AtomicU64>) {
        let node = Node::new(memory, server);
        let mut spaces = self.0.lock();
        let space = spaces.entry(Arc::clone(nsp)).or_default();
        space.pattern = pattern.cloned();
        space.nodes.push(Arc::downgrade(&node));
        let ack_ids = Arc::clone(&space.ack_ids);
        drop(spaces);
        (self.adapter(nsp, node), ack_ids)
    }

    /// Returns an adapter and a counter like [`enter`](Self::enter), for a server that only emits to a namespace of
    /// other servers, and has no members in it.
    pub(crate) fn look(
        &self,
        nsp: &Arc<str>,
        memory: Memory<impl Link>,
        server: Box<dyn ServerSide>,
    ) -> (Arc<dyn Adapter>, Arc<AtomicU64>) {
        let node = Node::new(memory, server);
        let spaces = self.0.lock();
        let ack_ids = spaces.get(nsp).map(|space| Arc::clone(&space.ack_ids));
        drop(spaces);
        (self.adapter(nsp, node), ack_ids.unwrap_or_default())
    }

    fn adapter(&self, nsp: &Arc<str>, node: Arc<Node>) -> Arc<dyn Adapter> {
        Arc::new(Local {
            node,
            nsp: Arc::clone(nsp),
            cluster: self.clone(),
        })
    }
}

/// The adapter of one namespace on one server of a cluster.
struct Local {
    node: Arc<Node>,
    nsp: Arc<str>,
    cluster: LocalCluster,
}

impl Local {
    fn others(&self) -> Vec<Arc<Node>> {
        let spaces = self.cluster.0.lock();
        let nodes = spaces.get(&self.nsp).map(|space| space.nodes.iter());
        let others = nodes.into_iter().flatten().filter_map(Weak::upgrade);
        others
            .filter(|node| !Arc::ptr_eq(node, &self.node))
            .collect()
    }

    /// Returns the servers on which a target may have members, this server first.
    fn nodes_for(&self, target: &Target) -> Vec<Arc<Node>> {
        let mut nodes = vec![Arc::clone(&self.node)];
        if !target.local {
            nodes.extend(self.others());
        }
        nodes
    }

    fn nodes(&self) -> Vec<Arc<Node>> {
        self.nodes_for(&Target::default())
    }

    /// Starts the handlers of the other servers at once, each in a task of its own, so that no panic of them occurs
    /// here.
    fn start(&self, event: &str, args: &Args) -> Vec<Option<JoinHandle<Option<Args>>>> {
        let others = self.others();
        let Ok(runtime) = Handle::try_current() else {
            if !others.is_empty() {
                tracing::warn!(event, "not sent to other servers: there is no runtime");
            }
            return others.iter().map(|_| None).collect();
        };
        let event: Arc<str> = event.into();
        let start = |node: Arc<Node>| {
            let (event, args) = (Arc::clone(&event), args.clone());
            Some(runtime.spawn(async move { node.server.handle(&event, args).await }))
        };
        others.into_iter().map(start).collect()
    }
}

impl Adapter for Local {
    fn broadcast(&self, publication: Publication<'_>) -> Delivered {
        let Publication { args, target } = publication;
        let publish = |node: &Arc<Node>| {
            let args = args.clone();
            node.memory.broadcast(Publication { args, target })
        };
        self.nodes_for(target).iter().map(publish).sum()
    }

    fn broadcast_with_ack(
        &self,
        publication: Publication<'_>,
        id: u64,
        answers: Arc<dyn Answers>,
    ) -> Delivered {
        let Publication { args, target } = publication;
        let ask = |node: &Arc<Node>| {
            let publication = Publication {
                args: args.clone(),
                target,
            };
            node.memory
                .broadcast_with_ack(publication, id, Arc::clone(&answers))
        };
        self.nodes_for(target).iter().map(ask).sum()
    }

    fn forget_answers(&self, id: u64, of: &[Sid]) {
        let nodes = self.nodes();
        nodes
            .iter()
            .for_each(|node| node.memory.forget_answers(id, of));
    }

    fn fetch(&self, target: &Target) -> BoxFuture<Result<Vec<Facts>, AdapterError>> {
        let nodes = self.nodes_for(target);
        let facts = nodes.iter().flat_map(|node| node.memory.facts(target));
        Box::pin(ready(Ok(facts.collect())))
    }

    fn count(&self, target: &Target) -> BoxFuture<Result<usize, AdapterError>> {
        let nodes = self.nodes_for(target);
        let all = nodes.iter().map(|node| node.memory.size(target)).sum();
        Box::pin(ready(Ok(all)))
    }

    fn rooms(&self) -> BoxFuture<Result<Vec<(Room, usize)>, AdapterError>> {
        let mut rooms = HashMap::new();
        for (room, count) in self
            .nodes()
            .iter()
            .flat_map(|node| node.memory.room_sizes())
        {
            *rooms.entry(room).or_default() += count;
        }
        Box::pin(ready(Ok(rooms.into_iter().collect())))
    }

    fn join(&self, target: &Target, rooms: &[Room]) {
        let nodes = self.nodes_for(target);
        nodes
            .iter()
            .for_each(|node| node.memory.join(target, rooms));
    }

    fn leave(&self, target: &Target, rooms: &[Room]) {
        let nodes = self.nodes_for(target);
        nodes
            .iter()
            .for_each(|node| node.memory.leave(target, rooms));
    }

    fn disconnect(&self, target: &Target, scope: Scope) {
        let nodes = self.nodes_for(target);
        nodes
            .iter()
            .for_each(|node| node.memory.disconnect(target, scope));
    }

    fn close(&self) {
        let own = Arc::downgrade(&self.node);
        let mut spaces = self.cluster.0.lock();
        if let Some(space) = spaces.get_mut(&self.nsp) {
            space.nodes.retain(|node| !node.ptr_eq(&own));
            if space.nodes.is_empty() {
                spaces.remove(&self.nsp);
            }
        }
    }

    fn emit_to_servers(&self, event: &str, args: &Args) {
        drop(self.start(event, args));
    }

    fn ask_servers(
        &self,
        event: &str,
        args: &Args,
        limit: Option<Duration>,
    ) -> BoxFuture<ServerReplies> {
        let asked = self.start(event, args);
        Box::pin(async move {
            let each = asked.into_iter().map(|answer| async move {
                match limit {
                    Some(limit) => timeout(limit, answer?).await.ok()?.ok()?,
                    None => answer?.await.ok()?,
                }
            });
            let all = join_all(each).await;
            let missing = all.iter().filter(|answer| answer.is_none()).count();
            let answers = all.into_iter().flatten().collect();
            ServerReplies { answers, missing }
        })
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local")
            .field("nsp", &self.nsp)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LocalCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCluster")
            .field("namespaces", &self.0.lock().len())
            .finish()
    }
}
