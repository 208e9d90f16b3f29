//! The parts of a connection that its tasks share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use proto::cluster::{LinkHealth, Receiver, Subscriptions};

use crate::channels::{ChannelUse, Topic};
use crate::feeds::Feeds;
use crate::settings::RedisSettings;

/// The topics of the server.
type Topics = Subscriptions<Topic, ChannelUse, oneshot::Sender<()>>;

/// The receiver of messages, and the channels that it needs.
pub(crate) struct Inbound {
    pub(crate) receiver: Arc<dyn Receiver>,
    pub(crate) settings: RedisSettings,
    pub(crate) link: LinkHealth,
    /// The namespaces that get the entries of streams.
    pub(crate) feeds: Feeds,
    subscriptions: Mutex<Topics>,
    /// Wakes the task that subscribes.
    pub(crate) changed: Notify,
}

impl Inbound {
    pub(crate) fn new(receiver: Arc<dyn Receiver>, settings: RedisSettings) -> Self {
        Self {
            receiver,
            settings,
            link: LinkHealth::default(),
            feeds: Feeds::default(),
            subscriptions: Mutex::default(),
            changed: Notify::new(),
        }
    }

    pub(crate) fn subscriptions(&self) -> MutexGuard<'_, Topics> {
        self.subscriptions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes a message to the uses of the topic by which it has arrived; `channel` is its channel if that is a pattern.
    pub(crate) fn deliver(&self, topic: &Topic, channel: Option<&str>, message: &Bytes) {
        let uses: Vec<_> = self.subscriptions().uses(topic).collect();
        let channel = channel.unwrap_or(&topic.name);
        for channel_use in uses {
            if let Some(channel) = self.settings.channel(channel, channel_use) {
                self.receiver.receive(channel, message.clone());
            }
        }
    }
}
