//! The connection of one server: tasks that publish, receive, and watch the client.

use std::fmt;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proto::cluster::{
    BoxFuture, Channel, Confirmation, Health, Presence, PublishError, PublishQueue, Receiver,
    RoomChannels, WireConnection, WireError,
};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::inbound::Inbound;
use crate::link::{NatsLink, random};
use crate::settings::NatsSettings;
use crate::{monitor, publisher, receiver};

/// The connection of one server. Its tasks end when it is dropped.
pub(crate) struct Connection {
    queue: Arc<PublishQueue>,
    shared: Arc<Inbound>,
    _tasks: [Task; 2],
}

/// A task that ends when this is dropped.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    pub(crate) fn start(
        link: &NatsLink,
        settings: NatsSettings,
        receiver: Arc<dyn Receiver>,
        runtime: &Handle,
    ) -> Self {
        let queue = Arc::new(PublishQueue::new(settings.max_queued_bytes));
        let shared = Arc::new(Inbound::new(link.clone(), settings, receiver, random()));
        let (state, changes) = watch::channel(link.state());
        runtime.spawn(publisher::run(
            Arc::clone(&shared),
            Arc::clone(&queue),
            changes.clone(),
        ));
        let receiver = runtime.spawn(receiver::run(Arc::clone(&shared), changes));
        let monitor = runtime.spawn(monitor::run(Arc::clone(&shared), state));
        Self {
            queue,
            shared,
            _tasks: [Task(receiver), Task(monitor)],
        }
    }
}

impl WireConnection for Connection {
    fn publish(&self, channel: Channel<'_>, message: Bytes) -> Result<(), PublishError> {
        let subject = self.shared.settings.subjects.subject(channel);
        let subject = subject.ok_or(PublishError::NoChannel)?;
        self.queue.push(subject, message, Instant::now().into_std())
    }

    fn subscribe(&self, channel: Channel<'_>) -> BoxFuture<Result<(), WireError>> {
        let subjects = &self.shared.settings.subjects;
        if subjects.subject(channel).is_none() {
            let nsp = channel.nsp();
            tracing::error!(
                nsp,
                "other servers are not reached: the name of the namespace is too long for NATS"
            );
            return Box::pin(ready(Err(WireError(None))));
        }
        if let Some(topic) = subjects.topic(channel) {
            self.shared.topics().insert(&topic, ());
            self.shared.changed.notify_one();
        }
        let confirmation = self.confirmation(channel);
        confirmation.unwrap_or_else(|| Box::pin(ready(Ok(()))))
    }

    fn confirmation(&self, channel: Channel<'_>) -> Option<BoxFuture<Result<(), WireError>>> {
        let topic = self.shared.settings.subjects.topic(channel)?;
        let confirmation = self.shared.topics().confirmation(&topic, oneshot::channel);
        match confirmation {
            Confirmation::Confirmed => None,
            Confirmation::Expected(confirmed) => Some(Box::pin(async move {
                confirmed.await.map_err(|_| WireError(None))
            })),
            Confirmation::Impossible => Some(Box::pin(ready(Err(WireError(None))))),
        }
    }

    fn unsubscribe(&self, channel: Channel<'_>) {
        if let Some(topic) = self.shared.settings.subjects.topic(channel) {
            let delay = match channel {
                Channel::Room { .. } => self.shared.settings.release_after,
                _ => Duration::ZERO,
            };
            let now = Instant::now().into_std();
            self.shared.topics().remove(&topic, (), delay, now);
            self.shared.changed.notify_one();
        }
    }

    fn presence(&self) -> Presence {
        Presence::Heartbeats(self.shared.settings.heartbeats)
    }

    fn health(&self) -> Health {
        let now = Instant::now().into_std();
        self.shared.health.health(&self.queue, now)
    }

    fn flushed(&self) -> BoxFuture<()> {
        let queue = Arc::clone(&self.queue);
        Box::pin(async move { queue.flushed().await })
    }

    fn room_channels(&self) -> RoomChannels {
        RoomChannels::Joined
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
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}
