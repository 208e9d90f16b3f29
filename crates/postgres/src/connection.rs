//! The connection of one server: tasks that publish, listen and deliver.

use std::fmt;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};

use proto::cluster::{
    BoxFuture, Channel, Health, Presence, PublishError, PublishQueue, Receiver, WireConnection,
    WireError,
};

use crate::inbound::Inbound;
use crate::listener::Change;
use crate::session::{Connect, Task};
use crate::settings::PostgresSettings;
use crate::{inbox, listener, publisher};

/// The maximum number of notifications that wait to be delivered. More stay with PostgreSQL.
const MAX_WAITING: usize = 64;

/// The time between two looks at the clock.
const TICK: Duration = Duration::from_secs(1);

/// The connection of one server. Its tasks end when it is dropped.
pub(crate) struct Connection {
    settings: PostgresSettings,
    queue: Arc<PublishQueue>,
    shared: Arc<Inbound>,
    changes: mpsc::UnboundedSender<Change>,
    _ticks: Task,
}

impl Connection {
    pub(crate) fn start(
        connect: &Arc<dyn Connect>,
        settings: PostgresSettings,
        receiver: Arc<dyn Receiver>,
        runtime: &Handle,
    ) -> Self {
        let ticks = runtime.spawn(tick(Arc::clone(&receiver)));
        let shared = Arc::new(Inbound::new(receiver, settings.names.clone()));
        let queue = Arc::new(PublishQueue::new(settings.max_queued_bytes));
        let (changes, changed) = mpsc::unbounded_channel();
        let (sender, notifications) = mpsc::channel(MAX_WAITING);
        let connect = || Arc::clone(connect);
        runtime.spawn(publisher::run(
            connect(),
            settings.clone(),
            Arc::clone(&queue),
            Arc::clone(&shared),
        ));
        runtime.spawn(inbox::run(
            Arc::clone(&shared),
            connect(),
            settings.clone(),
            notifications,
        ));
        runtime.spawn(listener::run(
            connect(),
            Arc::clone(&shared),
            sender,
            changed,
        ));
        Self {
            settings,
            queue,
            shared,
            changes,
            _ticks: Task(ticks),
        }
    }
}

async fn tick(receiver: Arc<dyn Receiver>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        receiver.tick();
    }
}

impl WireConnection for Connection {
    fn publish(&self, channel: Channel<'_>, message: Bytes) -> Result<(), PublishError> {
        let channel = self.settings.names.channel(channel.nsp());
        let channel = channel.ok_or(PublishError::NoChannel)?;
        self.queue.push(channel, message, Instant::now().into_std())
    }

    fn subscribe(&self, channel: Channel<'_>) -> BoxFuture<Result<(), WireError>> {
        if let Channel::Server { uid, .. } = channel {
            self.shared.set_uid(uid);
        }
        let nsp = channel.nsp();
        if self.settings.names.channel(nsp).is_none() {
            tracing::error!(
                nsp,
                "other servers are not reached: the name of the namespace is too long for PostgreSQL"
            );
            return Box::pin(ready(Err(WireError(None))));
        }
        let (confirm, confirmed) = oneshot::channel();
        self.shared.insert(nsp);
        // The task may have ended with its runtime.
        let _ = self.changes.send(Change::Listen(nsp.into(), confirm));
        Box::pin(async move { confirmed.await.unwrap_or(Err(WireError(None))) })
    }

    fn unsubscribe(&self, channel: Channel<'_>) {
        let nsp = channel.nsp();
        if self.shared.remove(nsp) {
            let _ = self.changes.send(Change::Unlisten(nsp.into()));
        }
    }

    fn health(&self) -> Health {
        let now = Instant::now().into_std();
        self.shared.link.health(&self.queue, now)
    }

    fn flushed(&self) -> BoxFuture<()> {
        let queue = Arc::clone(&self.queue);
        Box::pin(async move { queue.flushed().await })
    }

    fn presence(&self) -> Presence {
        Presence::Heartbeats(self.settings.heartbeats)
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
