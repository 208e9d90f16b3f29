//! The parts of a connection that its tasks share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::cluster::{LinkHealth, Receiver, Subscriptions};
use tokio::sync::{Notify, oneshot};

use crate::link::NatsLink;
use crate::settings::NatsSettings;
use crate::subjects::NatsTopic;

/// The topics of the server. Each has one use.
pub(crate) type Topics = Subscriptions<NatsTopic, (), oneshot::Sender<()>>;

/// The receiver of messages, and the subjects that it needs.
pub(crate) struct Inbound {
    pub(crate) link: NatsLink,
    pub(crate) settings: NatsSettings,
    pub(crate) receiver: Arc<dyn Receiver>,
    pub(crate) health: LinkHealth,
    /// The random number of this connection.
    pub(crate) publisher: u64,
    topics: Mutex<Topics>,
    /// Wakes the task that subscribes.
    pub(crate) changed: Notify,
}

impl Inbound {
    pub(crate) fn new(
        link: NatsLink,
        settings: NatsSettings,
        receiver: Arc<dyn Receiver>,
        publisher: u64,
    ) -> Self {
        Self {
            link,
            settings,
            receiver,
            health: LinkHealth::default(),
            publisher,
            topics: Mutex::default(),
            changed: Notify::new(),
        }
    }

    pub(crate) fn topics(&self) -> MutexGuard<'_, Topics> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
