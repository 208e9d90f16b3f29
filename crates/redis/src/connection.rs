//! The connection of one server to Redis.

use std::fmt;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use proto::cluster::{
    BoxFuture, Channel, Confirmation, Health, HealthState, PublishError, Receiver, RoomChannels,
    Store, WireConnection, WireError,
};

use crate::channels::is_socket_id;
use crate::connector::Connector;
use crate::destination::RedisDestination;
use crate::discovery::{self, MAX_REPORTS};
use crate::inbound::Inbound;
use crate::node::Node;
use crate::nodes::{NodeStarter, Nodes};
use crate::reader::{ReaderState, StreamReader};
use crate::settings::{Mode, RedisSettings, SubscriptionMode};
use crate::store::StreamStore;
use crate::stores::StreamStores;
use crate::subscriber::Count;
use crate::topology::Topology;

/// The connection of one server. Its tasks end when it is dropped.
pub(crate) struct Connection {
    nodes: Arc<Nodes>,
    settings: RedisSettings,
    /// The task that reads the streams, if messages are exchanged in streams.
    reader: Option<StreamReader>,
    /// The stores of namespaces, which the same servers have.
    stores: Option<Arc<StreamStores>>,
}

impl Connection {
    /// Connects to one server of Redis, or to the master that sentinels name.
    pub(crate) fn start(
        connector: &Connector,
        settings: RedisSettings,
        receiver: Arc<dyn Receiver>,
        runtime: &Handle,
    ) -> Self {
        let inbound = Inbound::new(receiver, settings.clone());
        let node = Node::start(connector.clone(), inbound, runtime);
        let reader = StreamReader::start(connector, &node.shared, runtime);
        let stores = match (&settings.mode, &reader) {
            (Mode::Streams(options), Some(reader)) => {
                let (shared, reading) = (&node.shared, reader.watch());
                Some(StreamStores::start(
                    connector,
                    options,
                    shared,
                    &node.queue,
                    reading,
                    runtime,
                ))
            }
            _ => None,
        };
        Self {
            nodes: Arc::new(Nodes::single(node)),
            settings,
            reader,
            stores,
        }
    }

    /// Connects to the masters of a Redis Cluster, which some servers of it know.
    pub(crate) fn start_in_cluster(
        connector: Connector,
        topology: Topology,
        settings: RedisSettings,
        receiver: Arc<dyn Receiver>,
        runtime: &Handle,
    ) -> Self {
        let (moves, moved) = mpsc::channel(MAX_REPORTS);
        let seeds = connector.seeds().unwrap_or_default();
        let starter = NodeStarter {
            connector,
            settings: settings.clone(),
            receiver: Arc::clone(&receiver),
            moves,
            runtime: runtime.clone(),
        };
        let nodes = Arc::new(Nodes::cluster(topology, starter));
        runtime.spawn(discovery::run(
            seeds,
            Arc::downgrade(&nodes),
            receiver,
            moved,
        ));
        Self {
            nodes,
            settings,
            reader: None,
            stores: None,
        }
    }

    /// Returns the time after which a subscription that is not used is released. Another socket may join the room soon,
    /// but none gets an id a second time.
    fn release_after(&self, channel: Channel<'_>) -> Duration {
        match channel {
            Channel::Room { room, .. } if !is_socket_id(room) => self.settings.release_after,
            _ => Duration::ZERO,
        }
    }
}

impl WireConnection for Connection {
    fn publish(&self, channel: Channel<'_>, message: Bytes) -> Result<(), PublishError> {
        let name = self.settings.name(channel);
        let push = |node: &Node, name| {
            let to = RedisDestination::Channel(name);
            node.queue.push(to, message, Instant::now().into_std())
        };
        let pushed = self.nodes.with(&name, |node| push(node, name.clone()));
        pushed.unwrap_or(Err(PublishError::Closed))
    }

    fn subscribe(&self, channel: Channel<'_>) -> BoxFuture<Result<(), WireError>> {
        let (topics, channel_use) = self.settings.topics(channel);
        for topic in &topics {
            self.nodes.with(&topic.name, |node| {
                node.shared.subscriptions().insert(topic, channel_use);
                node.shared.changed.notify_one();
            });
        }
        let confirmation = self.confirmation(channel);
        confirmation.unwrap_or_else(|| Box::pin(ready(Ok(()))))
    }

    fn confirmation(&self, channel: Channel<'_>) -> Option<BoxFuture<Result<(), WireError>>> {
        let (topics, _) = self.settings.topics(channel);
        let mut expected = Vec::new();
        for topic in &topics {
            let confirmation = self.nodes.with(&topic.name, |node| {
                node.shared
                    .subscriptions()
                    .confirmation(topic, oneshot::channel)
            });
            match confirmation {
                Some(Confirmation::Confirmed) => {}
                Some(Confirmation::Expected(confirmed)) => expected.push(confirmed),
                Some(Confirmation::Impossible) | None => {
                    return Some(Box::pin(ready(Err(WireError(None)))));
                }
            }
        }
        let reading = self.reader.as_ref().and_then(StreamReader::confirmation);
        if expected.is_empty() && reading.is_none() {
            return None;
        }
        Some(Box::pin(async move {
            if let Some(reading) = reading {
                reading.await?;
            }
            for confirmed in expected {
                confirmed.await.map_err(|_| WireError(None))?;
            }
            Ok(())
        }))
    }

    fn unsubscribe(&self, channel: Channel<'_>) {
        let (topics, channel_use) = self.settings.topics(channel);
        let (delay, now) = (self.release_after(channel), Instant::now().into_std());
        for topic in &topics {
            self.nodes.with(&topic.name, |node| {
                let mut subscriptions = node.shared.subscriptions();
                subscriptions.remove(topic, channel_use, delay, now);
                drop(subscriptions);
                node.shared.changed.notify_one();
            });
        }
    }

    fn subscribers(&self, channel: Channel<'_>) -> BoxFuture<Result<usize, WireError>> {
        let (answer, answered) = oneshot::channel();
        let name = self.settings.name(channel);
        // The task may have ended with its runtime.
        let _ = self.nodes.with(&name, |node| {
            let name = name.clone();
            node.counts.send(Count { name, answer })
        });
        Box::pin(async move { answered.await.map_err(|_| WireError(None)) })
    }

    fn health(&self) -> Health {
        let mut health = self.nodes.health();
        let reads = { self.reader.as_ref() }.is_none_or(|reader| reader.state() == ReaderState::Up);
        if !reads {
            health.state = HealthState::Reconnecting;
        }
        health
    }

    fn flushed(&self) -> BoxFuture<()> {
        let (nodes, stores) = (self.nodes.all(), self.stores.clone());
        Box::pin(async move {
            for node in nodes {
                node.queue.flushed().await;
            }
            if let Some(stores) = stores {
                stores.sessions.flushed().await;
            }
        })
    }

    fn store(&self, nsp: &str, uid: &str) -> Option<Arc<dyn Store>> {
        let stores = self.stores.as_ref()?;
        Some(Arc::new(StreamStore::new(nsp, uid, stores)))
    }

    fn room_channels(&self) -> RoomChannels {
        match self.settings.mode {
            Mode::Classic => RoomChannels::All,
            Mode::Sharded(SubscriptionMode::Dynamic) => RoomChannels::Joined,
            Mode::Sharded(SubscriptionMode::Static) | Mode::Streams(_) => RoomChannels::None,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(stores) = &self.stores {
            stores.sessions.close();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
