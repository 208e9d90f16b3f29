//! The connection of one server: two tasks, one that publishes and one that subscribes.

use std::fmt;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use proto::cluster::{
    BoxFuture, Channel, Confirmation, Health, HealthState, PublishError, PublishQueue, Receiver,
    RoomChannels, Store, WireConnection, WireError,
};

use crate::channels::is_socket_id;
use crate::connector::Connector;
use crate::destination::RedisDestination;
use crate::inbound::Inbound;
use crate::publisher;
use crate::reader::{ReaderState, StreamReader};
use crate::settings::{Mode, RedisSettings, SubscriptionMode};
use crate::store::StreamStore;
use crate::stores::StreamStores;
use crate::subscriber::{self, Count};

/// The connection of one server. Its tasks end when it is dropped.
pub(crate) struct Connection {
    queue: Arc<PublishQueue<RedisDestination>>,
    shared: Arc<Inbound>,
    counts: mpsc::UnboundedSender<Count>,
    /// The task that reads the streams, if messages are exchanged in streams.
    reader: Option<StreamReader>,
    /// The stores of namespaces, which the same servers have.
    stores: Option<Arc<StreamStores>>,
}

impl Connection {
    pub(crate) fn start(
        connector: Connector,
        settings: RedisSettings,
        receiver: Arc<dyn Receiver>,
        runtime: &Handle,
    ) -> Self {
        let queue = Arc::new(PublishQueue::new(settings.max_queued_bytes));
        let shared = Arc::new(Inbound::new(receiver, settings));
        let (counts, counted) = mpsc::unbounded_channel();
        let publisher = publisher::run(connector.clone(), Arc::clone(&queue), Arc::clone(&shared));
        runtime.spawn(publisher);
        let reader = StreamReader::start(&connector, &shared, runtime);
        let stores = match (&shared.settings.mode, &reader) {
            (Mode::Streams(options), Some(reader)) => {
                let reading = reader.watch();
                let stores =
                    StreamStores::start(&connector, options, &shared, &queue, reading, runtime);
                Some(stores)
            }
            _ => None,
        };
        runtime.spawn(subscriber::run(connector, Arc::clone(&shared), counted));
        Self {
            queue,
            shared,
            counts,
            reader,
            stores,
        }
    }

    /// Returns the time after which a subscription that is not used is released. Another socket may join the room soon,
    /// but none gets an id a second time.
    fn release_after(&self, channel: Channel<'_>) -> Duration {
        match channel {
            Channel::Room { room, .. } if !is_socket_id(room) => self.shared.settings.release_after,
            _ => Duration::ZERO,
        }
    }
}

impl WireConnection for Connection {
    fn publish(&self, channel: Channel<'_>, message: Bytes) -> Result<(), PublishError> {
        let name = self.shared.settings.name(channel);
        let to = RedisDestination::Channel(name);
        self.queue.push(to, message, Instant::now().into_std())
    }

    fn subscribe(&self, channel: Channel<'_>) -> BoxFuture<Result<(), WireError>> {
        let (topics, channel_use) = self.shared.settings.topics(channel);
        let mut subscriptions = self.shared.subscriptions();
        for topic in &topics {
            subscriptions.insert(topic, channel_use);
        }
        drop(subscriptions);
        self.shared.changed.notify_one();
        let confirmation = self.confirmation(channel);
        confirmation.unwrap_or_else(|| Box::pin(ready(Ok(()))))
    }

    fn confirmation(&self, channel: Channel<'_>) -> Option<BoxFuture<Result<(), WireError>>> {
        let (topics, _) = self.shared.settings.topics(channel);
        let mut expected = Vec::new();
        let mut subscriptions = self.shared.subscriptions();
        for topic in &topics {
            match subscriptions.confirmation(topic, oneshot::channel) {
                Confirmation::Confirmed => {}
                Confirmation::Expected(confirmed) => expected.push(confirmed),
                Confirmation::Impossible => return Some(Box::pin(ready(Err(WireError(None))))),
            }
        }
        drop(subscriptions);
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
        let (topics, channel_use) = self.shared.settings.topics(channel);
        let (delay, now) = (self.release_after(channel), Instant::now().into_std());
        let mut subscriptions = self.shared.subscriptions();
        for topic in &topics {
            subscriptions.remove(topic, channel_use, delay, now);
        }
        drop(subscriptions);
        self.shared.changed.notify_one();
    }

    fn subscribers(&self, channel: Channel<'_>) -> BoxFuture<Result<usize, WireError>> {
        let (answer, answered) = oneshot::channel();
        let name = self.shared.settings.name(channel);
        // The task may have ended with its runtime.
        let _ = self.counts.send(Count { name, answer });
        Box::pin(async move { answered.await.map_err(|_| WireError(None)) })
    }

    fn health(&self) -> Health {
        let now = Instant::now().into_std();
        let mut health = self.shared.link.health(&self.queue, now);
        let reads = { self.reader.as_ref() }.is_none_or(|reader| reader.state() == ReaderState::Up);
        if !reads {
            health.state = HealthState::Reconnecting;
        }
        health
    }

    fn flushed(&self) -> BoxFuture<()> {
        let (queue, stores) = (Arc::clone(&self.queue), self.stores.clone());
        Box::pin(async move {
            queue.flushed().await;
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
        match self.shared.settings.mode {
            Mode::Classic => RoomChannels::All,
            Mode::Sharded(SubscriptionMode::Dynamic) => RoomChannels::Joined,
            Mode::Sharded(SubscriptionMode::Static) | Mode::Streams(_) => RoomChannels::None,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(stores) = &self.stores {
            stores.sessions.close();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}
