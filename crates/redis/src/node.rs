//! The connections to one server of Redis: two tasks, one that publishes and one that subscribes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;

use proto::cluster::{Health, HealthState, PublishQueue};

use crate::connector::Connector;
use crate::destination::RedisDestination;
use crate::inbound::Inbound;
use crate::publisher;
use crate::subscriber::{self, Count};

/// The connections to one server of Redis. Their tasks end when this is dropped.
pub(crate) struct Node {
    pub(crate) queue: Arc<PublishQueue<RedisDestination>>,
    pub(crate) shared: Arc<Inbound>,
    pub(crate) counts: mpsc::UnboundedSender<Count>,
}

impl Node {
    pub(crate) fn start(connector: Connector, shared: Inbound, runtime: &Handle) -> Self {
        let queue = Arc::new(PublishQueue::new(shared.settings.max_queued_bytes));
        let shared = Arc::new(shared);
        let (counts, counted) = mpsc::unbounded_channel();
        let publisher = publisher::run(connector.clone(), Arc::clone(&queue), Arc::clone(&shared));
        runtime.spawn(publisher);
        runtime.spawn(subscriber::run(connector, Arc::clone(&shared), counted));
        Self {
            queue,
            shared,
            counts,
        }
    }

    pub(crate) fn health(&self) -> Health {
        let now = Instant::now().into_std();
        let mut health = self.shared.link.health(&self.queue, now);
        if self.shared.is_moving.load(Ordering::Relaxed) {
            health.state = HealthState::Reconnecting;
        }
        health
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.queue.close();
    }
}
