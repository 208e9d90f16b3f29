//! The parts of a connection that its tasks share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, oneshot};

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
    /// The task that finds out which server has what has moved, with a Redis Cluster.
    moves: Option<mpsc::Sender<Moved>>,
    /// True if channels have moved, and are not subscribed to at their new place yet.
    pub(crate) is_moving: AtomicBool,
    /// The number of subscriptions that Redis has ended by itself.
    revoked: AtomicU64,
}

/// What belongs to another server of the Redis Cluster.
#[derive(Debug)]
pub(crate) enum Moved {
    /// Channels that are subscribed to, or all of a server that cannot be reached.
    Channels,
    /// Messages that were not accepted, with their channels.
    Messages(Vec<(String, Bytes)>),
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
            moves: None,
            is_moving: AtomicBool::new(false),
            revoked: AtomicU64::new(0),
        }
    }

    /// Creates the part for one server of a Redis Cluster.
    pub(crate) fn of_node(
        receiver: Arc<dyn Receiver>,
        settings: RedisSettings,
        moves: mpsc::Sender<Moved>,
    ) -> Self {
        Self {
            moves: Some(moves),
            ..Self::new(receiver, settings)
        }
    }

    /// Returns true if this is a server of a Redis Cluster.
    pub(crate) const fn is_node(&self) -> bool {
        self.moves.is_some()
    }

    /// Has the place of what has moved found out. Returns false if too much has moved.
    pub(crate) fn report_moved(&self, moved: Moved) -> bool {
        let Some(moves) = &self.moves else {
            return false;
        };
        if matches!(moved, Moved::Channels) {
            self.is_moving.store(true, Ordering::Relaxed);
        }
        moves.try_send(moved).is_ok()
    }

    /// Returns the number of subscriptions that Redis has ended by itself.
    pub(crate) fn revoked(&self) -> u64 {
        self.revoked.load(Ordering::Relaxed)
    }

    /// Records that Redis has ended a subscription, unless that was wanted.
    pub(crate) fn revoke(&self, topic: &Topic) {
        if self.subscriptions().revoke(topic) {
            self.revoked.fetch_add(1, Ordering::Relaxed);
            self.report_moved(Moved::Channels);
        }
    }

    pub(crate) fn subscriptions(&self) -> MutexGuard<'_, Topics> {
        self.subscriptions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that Redis has confirmed topics, and wakes those who wait for it.
    pub(crate) fn confirm(&self, topics: &[Topic]) {
        let waiting = self.subscriptions().confirm(topics);
        for confirmed in waiting {
            // The caller may not wait any more.
            let _ = confirmed.send(());
        }
    }

    /// Passes a message to the uses of the topic by which it has arrived; `channel` is its channel if that is a
    /// pattern.
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
