//! The connection that subscribes, and passes on what arrives.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use redis::aio::{MultiplexedConnection, PubSubSink, PubSubStream, SendError};
use redis::{Pipeline, PushInfo, PushKind, RedisError, Value};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::channels::{Topic, TopicKind};
use crate::connector::{Connector, RESPONSE_TIMEOUT, connection_config, limited};
use crate::inbound::Inbound;
use crate::shared_connection::ask_node;

/// A connection that subscribes.
pub(crate) struct PubSub {
    /// The connection for all other commands. With RESP3, it also subscribes.
    pub(crate) commands: MultiplexedConnection,
    /// With RESP2, a connection that subscribes does nothing else.
    receiving: Option<Receiving>,
    closed: Arc<Notify>,
}

/// A connection of RESP2 that receives messages.
struct Receiving {
    sink: PubSubSink,
    task: AbortHandle,
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl PubSub {
    pub(crate) async fn open(
        connector: &Connector,
        shared: &Arc<Inbound>,
    ) -> Result<Self, RedisError> {
        let closed = Arc::new(Notify::new());
        let (shared, end) = (Arc::clone(shared), Arc::clone(&closed));
        if !connector.has_pushes() {
            let commands = connector.open(&connection_config()).await?;
            let (sink, messages) = connector.open_pubsub().await?.split();
            let task = tokio::spawn(receive(messages, shared, end)).abort_handle();
            return Ok(Self {
                commands,
                receiving: Some(Receiving { sink, task }),
                closed,
            });
        }
        let push = move |push: PushInfo| -> Result<(), SendError> {
            match push.kind {
                PushKind::Message | PushKind::SMessage => {
                    deliver(&shared, push.data, TopicKind::Channel);
                }
                PushKind::PMessage => deliver(&shared, push.data, TopicKind::Pattern),
                PushKind::SUnsubscribe => revoke(&shared, push.data),
                PushKind::Disconnection => end.notify_one(),
                _ => {}
            }
            Ok(())
        };
        let config = connection_config().set_push_sender(push);
        Ok(Self {
            commands: connector.open(&config).await?,
            receiving: None,
            closed,
        })
    }

    /// Resolves when the connection is lost.
    pub(crate) async fn closed(&self) {
        self.closed.notified().await;
    }

    /// Subscribes to topics, by commands of these names.
    pub(crate) async fn subscribe(
        &mut self,
        topics: &[Topic],
        name: impl Fn(TopicKind) -> &'static str,
    ) -> Result<(), RedisError> {
        let Some(Receiving { sink, .. }) = &mut self.receiving else {
            return for_each(topics, name).query_async(&mut self.commands).await;
        };
        let (channels, patterns) = names(topics);
        if !channels.is_empty() {
            limited(RESPONSE_TIMEOUT, sink.subscribe(channels)).await?;
        }
        if !patterns.is_empty() {
            limited(RESPONSE_TIMEOUT, sink.psubscribe(patterns)).await?;
        }
        Ok(())
    }

    /// Subscribes to topics of a server of a Redis Cluster. Returns those that it has not accepted, as they belong to
    /// another one.
    pub(crate) async fn subscribe_at_node(
        &mut self,
        topics: &[Topic],
        name: impl Fn(TopicKind) -> &'static str,
    ) -> Result<Vec<Topic>, RedisError> {
        let mut commands = redis::pipe();
        for topic in topics {
            commands.cmd(name(topic.kind)).arg(&topic.name);
        }
        let refused = ask_node(&mut self.commands, &mut commands).await?;
        Ok({ topics.iter().zip(refused) }
            .filter(|(_, refused)| *refused)
            .map(|(topic, _)| topic.clone())
            .collect())
    }

    /// Ends the subscriptions to topics of a server of a Redis Cluster. It has ended those of other servers by itself.
    pub(crate) async fn unsubscribe_at_node(
        &mut self,
        topics: &[Topic],
        name: impl Fn(TopicKind) -> &'static str,
    ) -> Result<(), RedisError> {
        self.subscribe_at_node(topics, name).await.map(|_| ())
    }

    /// Ends the subscriptions to topics, by commands of these names.
    pub(crate) async fn unsubscribe(
        &mut self,
        topics: &[Topic],
        name: impl Fn(TopicKind) -> &'static str,
    ) -> Result<(), RedisError> {
        let Some(Receiving { sink, .. }) = &mut self.receiving else {
            return for_each(topics, name).query_async(&mut self.commands).await;
        };
        let (channels, patterns) = names(topics);
        if !channels.is_empty() {
            limited(RESPONSE_TIMEOUT, sink.unsubscribe(channels)).await?;
        }
        if !patterns.is_empty() {
            limited(RESPONSE_TIMEOUT, sink.punsubscribe(patterns)).await?;
        }
        Ok(())
    }

    /// Checks that Redis answers.
    pub(crate) async fn ping(&mut self) -> Result<(), RedisError> {
        let () = redis::cmd("PING").query_async(&mut self.commands).await?;
        if let Some(Receiving { sink, .. }) = &mut self.receiving {
            let _: Value = limited(RESPONSE_TIMEOUT, sink.ping()).await?;
        }
        Ok(())
    }
}

/// Returns the names of channels and of patterns.
fn names(topics: &[Topic]) -> (Vec<&str>, Vec<&str>) {
    let names = |kind| {
        let topics = topics.iter().filter(move |topic| topic.kind == kind);
        topics.map(|topic| topic.name.as_str()).collect()
    };
    (names(TopicKind::Channel), names(TopicKind::Pattern))
}

/// Returns a command for each topic. A command for several channels would be confirmed once for each of them, and the
/// client takes all confirmations but the first for the answers to other commands.
fn for_each(topics: &[Topic], name: impl Fn(TopicKind) -> &'static str) -> Pipeline {
    let mut commands = redis::pipe();
    for topic in topics {
        commands.cmd(name(topic.kind)).arg(&topic.name).ignore();
    }
    commands
}

/// Passes on the messages of a connection of RESP2 until it is lost.
async fn receive(mut messages: PubSubStream, shared: Arc<Inbound>, end: Arc<Notify>) {
    while let Some(message) = messages.next().await {
        let channel = message.get_channel_name();
        let bytes = Bytes::copy_from_slice(message.get_payload_bytes());
        if !message.from_pattern() {
            let topic = Topic::new(TopicKind::Channel, channel);
            shared.deliver(&topic, None, &bytes);
        } else if let Ok(pattern) = message.get_pattern::<String>() {
            let topic = Topic::new(TopicKind::Pattern, pattern);
            shared.deliver(&topic, Some(channel), &bytes);
        }
    }
    end.notify_one();
}

/// Records that Redis has ended a subscription. The push confirms a command if it was wanted.
fn revoke(shared: &Inbound, data: Vec<Value>) {
    if let Some(Value::BulkString(name)) = data.into_iter().next()
        && let Ok(name) = String::from_utf8(name)
    {
        shared.revoke(&Topic::new(TopicKind::Channel, name));
    }
}

/// Passes a message to the uses that it belongs to.
fn deliver(shared: &Inbound, data: Vec<Value>, by: TopicKind) {
    let mut values = data.into_iter();
    let mut next = || match values.next() {
        Some(Value::BulkString(bytes)) => Some(bytes),
        _ => None,
    };
    let topic = next().and_then(|name| String::from_utf8(name).ok());
    let channel = match by {
        TopicKind::Pattern => next().map(String::from_utf8).transpose(),
        TopicKind::Channel => Ok(None),
    };
    if let (Some(name), Ok(channel), Some(message)) = (topic, channel, next()) {
        let topic = Topic::new(by, name);
        shared.deliver(&topic, channel.as_deref(), &Bytes::from(message));
    }
}
