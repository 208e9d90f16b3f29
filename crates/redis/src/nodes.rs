//! The servers of Redis that a server is connected to: one, or all masters of a Redis Cluster.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use redis::RedisError;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;

use proto::cluster::{Health, HealthState, Receiver};

use crate::connector::Connector;
use crate::destination::RedisDestination;
use crate::inbound::{Inbound, Moved};
use crate::node::Node;
use crate::settings::RedisSettings;
use crate::topology::{NodeAddress, Topology};

/// The servers of Redis that a server is connected to.
pub(crate) struct Nodes(RwLock<Map>);

struct Map {
    nodes: BTreeMap<NodeAddress, Arc<Node>>,
    /// The masters of the channels. A single server has all channels.
    cluster: Option<Cluster>,
}

struct Cluster {
    topology: Topology,
    starter: NodeStarter,
}

/// The parts of a connection to another server of a Redis Cluster.
pub(crate) struct NodeStarter {
    pub(crate) connector: Connector,
    pub(crate) settings: RedisSettings,
    pub(crate) receiver: Arc<dyn Receiver>,
    pub(crate) moves: mpsc::Sender<Moved>,
    pub(crate) runtime: Handle,
}

impl NodeStarter {
    fn start(&self, address: &NodeAddress) -> Result<Node, RedisError> {
        let connector = self.connector.to_node(address)?;
        let (receiver, settings) = (Arc::clone(&self.receiver), self.settings.clone());
        let inbound = Inbound::of_node(receiver, settings, self.moves.clone());
        Ok(Node::start(connector, inbound, &self.runtime))
    }
}

impl Nodes {
    pub(crate) fn single(node: Node) -> Self {
        let anywhere = NodeAddress {
            host: String::new(),
            port: 0,
        };
        Self(RwLock::new(Map {
            nodes: [(anywhere, Arc::new(node))].into(),
            cluster: None,
        }))
    }

    pub(crate) fn cluster(topology: Topology, starter: NodeStarter) -> Self {
        let mut map = Map {
            nodes: BTreeMap::new(),
            cluster: Some(Cluster { topology, starter }),
        };
        map.start_nodes();
        Self(RwLock::new(map))
    }

    fn read(&self) -> RwLockReadGuard<'_, Map> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Map> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls a function with the server that has a channel. Returns `None` if there is no server at all.
    pub(crate) fn with<T>(&self, channel: &str, call: impl FnOnce(&Node) -> T) -> Option<T> {
        // The place of a channel must not change meanwhile.
        let map = self.read();
        map.node(channel).map(|node| call(node))
    }

    pub(crate) fn all(&self) -> Vec<Arc<Node>> {
        self.read().nodes.values().cloned().collect()
    }

    /// Returns the health of all connections: the worst state, and the sums.
    pub(crate) fn health(&self) -> Health {
        let mut all = Health::default();
        for node in self.all() {
            let health = node.health();
            all.queued_messages += health.queued_messages;
            all.queued_bytes += health.queued_bytes;
            all.other_options |= health.other_options;
            match (all.state, health.state) {
                (HealthState::Reconnecting, _) | (_, HealthState::Connected) => {}
                (_, worse) => all.state = worse,
            }
        }
        all
    }

    /// Takes the masters that a Redis Cluster has now. Connects to new ones, and moves the channels to those that have
    /// them.
    pub(crate) fn update(&self, topology: Topology) {
        let mut map = self.write();
        let Some(cluster) = &mut map.cluster else {
            return;
        };
        if cluster.topology != topology {
            cluster.topology = topology;
            map.start_nodes();
            map.move_channels();
            map.drop_nodes();
        }
        for node in map.nodes.values() {
            node.shared.is_moving.store(false, Ordering::Relaxed);
            node.shared.subscriptions().retry();
            node.shared.changed.notify_one();
        }
    }

    /// Sends messages to the servers that have their channels now. Returns the number of those that are lost.
    pub(crate) fn redirect(&self, messages: Vec<(String, Bytes)>) -> usize {
        let map = self.read();
        let mut lost = 0;
        for (name, message) in messages {
            let pushed = map.node(&name).is_some_and(|node| {
                let to = RedisDestination::Redirected(name);
                let now = Instant::now().into_std();
                node.queue.push(to, message, now).is_ok()
            });
            lost += usize::from(!pushed);
        }
        lost
    }

    /// Returns connectors to the masters that are known.
    pub(crate) fn connectors(&self) -> Vec<Connector> {
        let map = self.read();
        let Some(cluster) = &map.cluster else {
            return Vec::new();
        };
        let connector = |address| cluster.starter.connector.to_node(address).ok();
        map.nodes.keys().filter_map(connector).collect()
    }
}

impl Map {
    /// Returns the server that has a channel. One whose slot has no master waits at any server.
    fn node(&self, channel: &str) -> Option<&Arc<Node>> {
        let master = self.cluster.as_ref();
        let master = master.and_then(|cluster| cluster.topology.master(channel));
        let node = master.and_then(|address| self.nodes.get(address));
        node.or_else(|| self.nodes.values().next())
    }

    /// Connects to the masters that are new.
    fn start_nodes(&mut self) {
        let Some(Cluster { topology, starter }) = &self.cluster else {
            return;
        };
        for address in topology.masters() {
            if self.nodes.contains_key(address) {
                continue;
            }
            match starter.start(address) {
                Ok(node) => {
                    self.nodes.insert(address.clone(), Arc::new(node));
                }
                Err(error) => {
                    let (host, error) = (&*address.host, error.to_string());
                    tracing::warn!(host, error, "a server of the Redis Cluster has no address");
                }
            }
        }
    }

    /// Moves the channels whose master is another one now.
    fn move_channels(&self) {
        for node in self.nodes.values() {
            let is_elsewhere = |name: &str| {
                let master = self.node(name);
                master.is_some_and(|master| !Arc::ptr_eq(master, node))
            };
            let moved = { node.shared.subscriptions() }.extract(|topic| is_elsewhere(&topic.name));
            for taken in moved {
                if let Some(master) = self.node(&taken.topic.name) {
                    master.shared.subscriptions().adopt(taken);
                }
            }
        }
    }

    /// Disconnects from the servers that are no masters any more.
    fn drop_nodes(&mut self) {
        if let Some(Cluster { topology, .. }) = &self.cluster {
            self.nodes
                .retain(|address, _| topology.masters().any(|master| master == address));
        }
    }
}
