//! The task that subscribes, and receives what others publish.

use std::sync::Arc;
use std::time::Duration;

use redis::RedisError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use proto::cluster::{Changes, Failure, Reconnect};

use crate::channels::{Topic, TopicKind};
use crate::connector::Connector;
use crate::inbound::{Inbound, Moved};
use crate::other_options;
use crate::pubsub::PubSub;
use crate::settings::{Mode, RETRY};

/// The maximum number of commands that are sent together. Redis closes a connection that does not read its answers.
const BATCH: usize = 1000;

/// The time without any change after which the connection is checked.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// A request for the number of servers that have subscribed to a channel.
#[derive(Debug)]
pub(crate) struct Count {
    pub(crate) name: String,
    pub(crate) answer: oneshot::Sender<usize>,
}

/// The commands that the adapters of Node.js use.
struct Commands {
    subscribe: &'static str,
    unsubscribe: &'static str,
    count: &'static str,
}

const CLASSIC: Commands = Commands {
    subscribe: "SUBSCRIBE",
    unsubscribe: "UNSUBSCRIBE",
    count: "NUMSUB",
};

const PATTERN: Commands = Commands {
    subscribe: "PSUBSCRIBE",
    unsubscribe: "PUNSUBSCRIBE",
    ..CLASSIC
};

const SHARDED: Commands = Commands {
    subscribe: "SSUBSCRIBE",
    unsubscribe: "SUNSUBSCRIBE",
    count: "SHARDNUMSUB",
};

impl Inbound {
    const fn commands(&self, kind: TopicKind) -> &Commands {
        match (&self.settings.mode, kind) {
            (Mode::Sharded(_), _) => &SHARDED,
            (Mode::Classic | Mode::Streams(_), TopicKind::Channel) => &CLASSIC,
            (Mode::Classic | Mode::Streams(_), TopicKind::Pattern) => &PATTERN,
        }
    }
}

/// Receives messages until the connection's owner is dropped.
pub(crate) async fn run(
    connector: Connector,
    shared: Arc<Inbound>,
    mut counts: mpsc::UnboundedReceiver<Count>,
) {
    // An outage is logged at its beginning and at its end, not for every attempt.
    let mut reconnect = Reconnect::new(RETRY.0, RETRY.1);
    loop {
        let opened = Instant::now();
        let error = match open(&connector, &shared).await {
            Ok(connection) => {
                shared.link.set_receiving(true);
                if reconnect.connected() {
                    tracing::info!("connected to Redis again");
                }
                serve(connection, &shared, &mut counts).await
            }
            Err(error) => Err(Some(error)),
        };
        shared.link.set_receiving(false);
        shared.subscriptions().disconnect();
        let Err(error) = error else {
            return;
        };
        shared.report_moved(Moved::Channels);
        let error = error.map_or_else(|| "closed".to_owned(), |error| error.to_string());
        let Failure { delay, begins } = reconnect.failed(opened.elapsed());
        if begins {
            tracing::warn!(
                error,
                "no connection to Redis: messages of other servers are lost"
            );
        } else {
            tracing::debug!(error, ?delay, "no connection to Redis");
        }
        if !refuse(&mut counts) {
            return;
        }
        sleep(delay).await;
    }
}

/// Drops the requests that cannot be answered, which is an error for their callers. Returns false if the connection's
/// owner is gone.
fn refuse(counts: &mut mpsc::UnboundedReceiver<Count>) -> bool {
    loop {
        match counts.try_recv() {
            Ok(_) => {}
            Err(mpsc::error::TryRecvError::Empty) => return true,
            Err(mpsc::error::TryRecvError::Disconnected) => return false,
        }
    }
}

/// Connects, and subscribes to all topics of the server.
async fn open(connector: &Connector, shared: &Arc<Inbound>) -> Result<PubSub, RedisError> {
    let mut connection = PubSub::open(connector, shared).await?;
    let topics = shared.subscriptions().connect();
    subscribe(&mut connection, shared, &topics).await?;
    other_options::check(&mut connection, shared, connector.database()).await;
    Ok(connection)
}

/// Subscribes to topics, and records that Redis has confirmed them.
async fn subscribe(
    connection: &mut PubSub,
    shared: &Inbound,
    topics: &[Topic],
) -> Result<(), RedisError> {
    let name = |kind| shared.commands(kind).subscribe;
    for part in topics.chunks(BATCH) {
        if !shared.is_node() {
            connection.subscribe(part, name).await?;
            shared.confirm(part);
            continue;
        }
        let revoked = shared.revoked();
        let refused = connection.subscribe_at_node(part, name).await?;
        if shared.revoked() != revoked {
            // Some of these may have been ended already. All are subscribed to again.
            continue;
        }
        if refused.is_empty() {
            shared.confirm(part);
        } else {
            let accepted = part.iter().filter(|topic| !refused.contains(topic));
            let accepted: Vec<_> = accepted.cloned().collect();
            shared.confirm(&accepted);
            shared.report_moved(Moved::Channels);
        }
    }
    Ok(())
}

/// Ends the subscriptions to topics.
async fn unsubscribe(
    connection: &mut PubSub,
    shared: &Inbound,
    topics: &[Topic],
) -> Result<(), RedisError> {
    if topics.is_empty() {
        return Ok(());
    }
    let name = |kind| shared.commands(kind).unsubscribe;
    if shared.is_node() {
        connection.unsubscribe_at_node(topics, name).await?;
    } else {
        connection.unsubscribe(topics, name).await?;
    }
    shared.subscriptions().end(topics);
    Ok(())
}

/// Counts the servers that have subscribed to channels.
async fn count(
    connection: &mut PubSub,
    shared: &Inbound,
    counts: Vec<Count>,
) -> Result<(), RedisError> {
    let mut commands = redis::pipe();
    for Count { name, .. } in &counts {
        let word = shared.commands(TopicKind::Channel).count;
        commands.cmd("PUBSUB").arg(word).arg(name);
    }
    let subscribers: Vec<(String, usize)> = commands.query_async(&mut connection.commands).await?;
    for (Count { answer, .. }, (_, subscribers)) in counts.into_iter().zip(subscribers) {
        // The caller may not wait for it.
        let _ = answer.send(subscribers);
    }
    Ok(())
}

/// Executes changes. Returns when there will be no more, or with an error if the connection is lost.
async fn serve(
    mut connection: PubSub,
    shared: &Inbound,
    counts: &mut mpsc::UnboundedReceiver<Count>,
) -> Result<(), Option<RedisError>> {
    let mut requests = Vec::new();
    loop {
        let next = execute(&mut connection, shared).await.map_err(Some)?;
        // Requests are answered between the batches, which may never end.
        while requests.len() < BATCH
            && let Ok(request) = counts.try_recv()
        {
            requests.push(request);
        }
        if !requests.is_empty() {
            let requests = std::mem::take(&mut requests);
            count(&mut connection, shared, requests)
                .await
                .map_err(Some)?;
        }
        let Next::At(due) = next else {
            continue;
        };
        let now = Instant::now();
        let wake = due.unwrap_or(now + PING_INTERVAL).min(now + PING_INTERVAL);
        tokio::select! {
            () = connection.closed() => return Err(None),
            () = shared.changed.notified() => {}
            received = counts.recv_many(&mut requests, BATCH) => {
                if received == 0 {
                    return Ok(());
                }
            }
            () = sleep_until(wake) => {
                if due.is_none_or(|due| due > wake) {
                    connection.ping().await.map_err(Some)?;
                }
            }
        }
    }
}

/// The time of the next changes.
enum Next {
    /// There may be more.
    Now,
    /// The next topic is released then, if any is.
    At(Option<Instant>),
}

/// Sends some changes to Redis.
async fn execute(connection: &mut PubSub, shared: &Inbound) -> Result<Next, RedisError> {
    let (due, Changes { added, removed }) = {
        let mut subscriptions = shared.subscriptions();
        let now = Instant::now().into_std();
        let due = subscriptions.release(shared.settings.release_after, now);
        (due.map(Instant::from_std), subscriptions.take(BATCH))
    };
    if added.is_empty() && removed.is_empty() {
        return Ok(Next::At(due));
    }
    subscribe(connection, shared, &added).await?;
    unsubscribe(connection, shared, &removed).await?;
    Ok(Next::Now)
}
