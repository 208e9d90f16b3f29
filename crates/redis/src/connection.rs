//! The connection of one server: two tasks, one that publishes and one that subscribes.

use std::fmt;
use std::future::ready;
use std::sync::Arc;

use bytes::Bytes;
use redis::Client;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use proto::cluster::{BoxFuture, Channel, PublishError, Receiver, WireConnection, WireError};

use crate::channels::{has_channel, name};
use crate::inbound::Inbound;
use crate::publisher::{self, Queue};
use crate::settings::{RedisSettings, SubscriptionMode};
use crate::subscriber::{self, Change};

/// The connection of one server. Its tasks end when it is dropped.
pub(crate) struct Connection {
    settings: RedisSettings,
    queue: Arc<Queue>,
    shared: Arc<Inbound>,
    changes: mpsc::UnboundedSender<Change>,
}

impl Connection {
    pub(crate) fn start(
        client: Client,
        settings: RedisSettings,
        receiver: Arc<dyn Receiver>,
        runtime: &Handle,
    ) -> Self {
        let shared = Arc::new(Inbound::new(receiver));
        let queue = Arc::new(Queue::new(settings.max_queued_bytes));
        let (changes, changed) = mpsc::unbounded_channel();
        runtime.spawn(publisher::run(client.clone(), Arc::clone(&queue)));
        runtime.spawn(subscriber::run(client, Arc::clone(&shared), changed));
        Self {
            settings,
            queue,
            shared,
            changes,
        }
    }

    /// Returns true if a channel has a name of its own.
    fn is_own(&self, channel: Channel<'_>) -> bool {
        match channel {
            Channel::Room { room, .. } => has_channel(self.settings.mode, room),
            Channel::Namespace { .. } | Channel::Server { .. } => true,
        }
    }

    fn change(&self, change: Change) -> bool {
        // The task may have ended with its runtime.
        self.changes.send(change).is_ok()
    }
}

const fn nsp(channel: Channel<'_>) -> &str {
    match channel {
        Channel::Namespace { nsp } | Channel::Room { nsp, .. } | Channel::Server { nsp, .. } => nsp,
    }
}

impl WireConnection for Connection {
    fn publish(&self, channel: Channel<'_>, message: Bytes) -> Result<(), PublishError> {
        self.queue.push(name(&self.settings, channel), message)
    }

    fn subscribe(&self, channel: Channel<'_>) -> BoxFuture<Result<(), WireError>> {
        if !self.is_own(channel) {
            return Box::pin(ready(Ok(())));
        }
        let name = name(&self.settings, channel);
        let (confirm, confirmed) = oneshot::channel();
        self.shared.subscriptions().insert(&name, nsp(channel));
        self.change(Change::Subscribe(name, confirm));
        Box::pin(async move { confirmed.await.map_err(|_| WireError(None)) })
    }

    fn unsubscribe(&self, channel: Channel<'_>) {
        if self.is_own(channel) {
            let name = name(&self.settings, channel);
            if self.shared.subscriptions().remove(&name, nsp(channel)) {
                self.change(Change::Unsubscribe(name));
            }
        }
    }

    fn subscribers(&self, channel: Channel<'_>) -> BoxFuture<Result<usize, WireError>> {
        let (answer, answered) = oneshot::channel();
        let name = name(&self.settings, channel);
        self.change(Change::Count(name, answer));
        Box::pin(async move { answered.await.map_err(|_| WireError(None)) })
    }

    fn has_rooms(&self) -> bool {
        self.settings.mode == SubscriptionMode::Dynamic
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
