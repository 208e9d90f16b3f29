//! The task that subscribes, and receives what others publish.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{Client, PushInfo, PushKind, RedisError, Value};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::inbound::Inbound;
use crate::settings::{RETRY, connection_config};

/// The maximum number of commands that are sent together. Redis closes a connection that does not read its answers.
const BATCH: usize = 1000;

/// The time without any change after which the connection is checked.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// A request to the task.
#[derive(Debug)]
pub(crate) enum Change {
    /// Subscribe to a channel, and confirm it.
    Subscribe(String, oneshot::Sender<()>),
    /// End a subscription.
    Unsubscribe(String),
    /// Count the servers that have subscribed to a channel.
    Count(String, oneshot::Sender<usize>),
}

/// Receives messages until the connection's owner is dropped.
pub(crate) async fn run(
    client: Client,
    shared: Arc<Inbound>,
    mut changes: mpsc::UnboundedReceiver<Change>,
) {
    let mut delay = RETRY.0;
    let mut lost = false;
    let mut waiting = Vec::new();
    loop {
        match open(&client, &shared).await {
            Ok((connection, closed)) => {
                if lost {
                    tracing::info!("connected to Redis again");
                }
                delay = RETRY.0;
                lost = true;
                // These channels were in the table when all were subscribed to.
                confirm(&mut waiting);
                match serve(connection, &closed, &shared, &mut changes).await {
                    Ok(()) => return,
                    Err(error) => {
                        let error = error.as_ref().map(ToString::to_string);
                        tracing::warn!(
                            error,
                            "connection to Redis lost: messages of other servers may be lost"
                        );
                    }
                }
            }
            Err(error) => {
                let error = error.to_string();
                tracing::warn!(
                    error,
                    ?delay,
                    "cannot connect to Redis: messages of other servers are lost"
                );
                sleep(delay).await;
                delay = (delay * 2).min(RETRY.1);
            }
        }
        if !put_off(&mut changes, &mut waiting) {
            return;
        }
    }
}

/// Takes the changes that arrive while there is no connection: the table of channels has what they are about. Returns
/// false if the connection's owner is gone.
fn put_off(
    changes: &mut mpsc::UnboundedReceiver<Change>,
    waiting: &mut Vec<oneshot::Sender<()>>,
) -> bool {
    waiting.retain(|confirm| !confirm.is_closed());
    loop {
        match changes.try_recv() {
            Ok(Change::Subscribe(_, confirm)) if !confirm.is_closed() => waiting.push(confirm),
            // A count that is not answered is an error for its caller.
            Ok(_) => {}
            Err(mpsc::error::TryRecvError::Empty) => return true,
            Err(mpsc::error::TryRecvError::Disconnected) => return false,
        }
    }
}

fn confirm(confirmations: &mut Vec<oneshot::Sender<()>>) {
    for confirmation in confirmations.drain(..) {
        // The caller may not wait for it.
        let _ = confirmation.send(());
    }
}

/// Connects, and subscribes to all channels of the server.
async fn open(
    client: &Client,
    shared: &Arc<Inbound>,
) -> Result<(MultiplexedConnection, Arc<Notify>), RedisError> {
    let closed = Arc::new(Notify::new());
    let push = {
        let (shared, closed) = (Arc::clone(shared), Arc::clone(&closed));
        move |push: PushInfo| -> Result<(), redis::aio::SendError> {
            match push.kind {
                PushKind::SMessage => deliver(&shared, push.data),
                PushKind::Disconnection => closed.notify_one(),
                _ => {}
            }
            Ok(())
        }
    };
    let config = connection_config().set_push_sender(push);
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    let channels = shared.subscriptions().all();
    subscribe(&mut connection, &channels).await?;
    Ok((connection, closed))
}

/// Subscribes to channels. It returns when Redis has confirmed all of them.
async fn subscribe(
    connection: &mut MultiplexedConnection,
    channels: &[String],
) -> Result<(), RedisError> {
    for part in channels.chunks(BATCH) {
        for_each(connection, "SSUBSCRIBE", part).await?;
    }
    Ok(())
}

/// Sends a command for each channel, and waits for the answers. A command for several channels would be confirmed once
/// for each of them, and the client takes all confirmations but the first for the answers to other commands.
async fn for_each(
    connection: &mut MultiplexedConnection,
    command: &str,
    channels: &[String],
) -> Result<(), RedisError> {
    if channels.is_empty() {
        return Ok(());
    }
    let mut commands = redis::pipe();
    for channel in channels {
        commands.cmd(command).arg(channel).ignore();
    }
    commands.query_async(connection).await
}

/// Counts the servers that have subscribed to channels.
async fn count(
    connection: &mut MultiplexedConnection,
    counts: Vec<(String, oneshot::Sender<usize>)>,
) -> Result<(), RedisError> {
    if counts.is_empty() {
        return Ok(());
    }
    let mut commands = redis::pipe();
    for (channel, _) in &counts {
        commands.cmd("PUBSUB").arg("SHARDNUMSUB").arg(channel);
    }
    let subscribers: Vec<(String, usize)> = commands.query_async(connection).await?;
    for ((_, answer), (_, subscribers)) in counts.into_iter().zip(subscribers) {
        // The caller may not wait for it.
        let _ = answer.send(subscribers);
    }
    Ok(())
}

/// Executes changes. Returns when there will be no more, or with an error if the connection is lost.
async fn serve(
    mut connection: MultiplexedConnection,
    closed: &Notify,
    shared: &Inbound,
    changes: &mut mpsc::UnboundedReceiver<Change>,
) -> Result<(), Option<RedisError>> {
    let mut next = Vec::new();
    loop {
        let received = tokio::select! {
            () = closed.notified() => return Err(None),
            received = timeout(PING_INTERVAL, changes.recv_many(&mut next, BATCH)) => received,
        };
        match received {
            Ok(0) => return Ok(()),
            Ok(_) => execute(&mut connection, shared, &mut next)
                .await
                .map_err(Some)?,
            Err(_) => {
                let ping: Result<(), _> = redis::cmd("PING").query_async(&mut connection).await;
                ping.map_err(Some)?;
            }
        }
    }
}

/// Executes some changes: first the subscriptions, without which messages are lost.
async fn execute(
    connection: &mut MultiplexedConnection,
    shared: &Inbound,
    changes: &mut Vec<Change>,
) -> Result<(), RedisError> {
    let (mut added, mut confirmations, mut removed, mut counts) = (vec![], vec![], vec![], vec![]);
    for change in changes.drain(..) {
        match change {
            Change::Subscribe(channel, confirmation) => {
                added.push(channel);
                confirmations.push(confirmation);
            }
            Change::Unsubscribe(channel) => removed.push(channel),
            Change::Count(channel, answer) => counts.push((channel, answer)),
        }
    }
    // A channel may have been left and joined again meanwhile: the table has the last word.
    {
        let wanted = shared.subscriptions();
        added.retain(|channel| wanted.contains(channel));
        removed.retain(|channel| !wanted.contains(channel));
    }
    subscribe(connection, &added).await?;
    confirm(&mut confirmations);
    for_each(connection, "SUNSUBSCRIBE", &removed).await?;
    count(connection, counts).await
}

/// Passes a message to the namespaces that its channel belongs to.
fn deliver(shared: &Inbound, data: Vec<Value>) {
    let mut data = data.into_iter();
    let (Some(Value::BulkString(channel)), Some(Value::BulkString(message))) =
        (data.next(), data.next())
    else {
        return;
    };
    let Ok(channel) = String::from_utf8(channel) else {
        return;
    };
    let message = Bytes::from(message);
    let namespaces = shared.subscriptions().namespaces(&channel);
    for nsp in namespaces {
        shared.receiver.receive(&nsp, message.clone());
    }
}
