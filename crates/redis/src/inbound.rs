//! The parts of a connection that its tasks share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use proto::cluster::{LinkHealth, Receiver};

use crate::channels::TopicKind;
use crate::feeds::Feeds;
use crate::settings::RedisSettings;
use crate::subscriptions::Subscriptions;

/// The receiver of messages, and the channels that it needs.
pub(crate) struct Inbound {
    pub(crate) receiver: Arc<dyn Receiver>,
    pub(crate) settings: RedisSettings,
    pub(crate) link: LinkHealth,
    /// The namespaces that get the entries of streams.
    pub(crate) feeds: Feeds,
    subscriptions: Mutex<Subscriptions>,
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

    pub(crate) fn subscriptions(&self) -> MutexGuard<'_, Subscriptions> {
        self.subscriptions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes a message of a channel to the uses that need it: those of the channel, or of the pattern by which it
    /// has arrived.
    pub(crate) fn deliver(&self, channel: &str, pattern: Option<&str>, message: &Bytes) {
        let name = pattern.unwrap_or(channel);
        let kind = match pattern {
            Some(_) => TopicKind::Pattern,
            None => TopicKind::Channel,
        };
        let uses = self.subscriptions().uses(name, kind);
        for channel_use in uses {
            if let Some(channel) = self.settings.channel(channel, channel_use) {
                self.receiver.receive(channel, message.clone());
            }
        }
    }
}
