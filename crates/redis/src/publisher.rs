//! The task that publishes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{Client, RedisError};
use tokio::sync::Notify;
use tokio::time::sleep;

use proto::cluster::PublishError;

use crate::inbound::Inbound;
use crate::settings::{RETRY, connection_config};

/// The maximum number of messages that are sent together.
const BATCH: usize = 256;

/// The size that a waiting message counts in addition to its bytes.
const OVERHEAD: usize = 128;

/// The messages that wait to be sent.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Notify,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<(String, Bytes)>,
    bytes: usize,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            max_bytes,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, channel: String, message: Bytes) -> Result<(), PublishError> {
        let mut state = self.state();
        if state.closed {
            return Err(PublishError::Closed);
        }
        let size = size(&channel, &message);
        if state.bytes + size > self.max_bytes {
            return Err(PublishError::Full);
        }
        state.bytes += size;
        state.messages.push_back((channel, message));
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
    }

    /// Waits for messages, and takes some of them. Returns `None` if the queue is closed and empty.
    async fn take(&self) -> Option<Vec<(String, Bytes)>> {
        loop {
            let (batch, closed) = self.take_some();
            if !batch.is_empty() {
                return Some(batch);
            }
            if closed {
                return None;
            }
            self.changed.notified().await;
        }
    }

    /// Takes some messages. Returns true if the queue is closed as well.
    fn take_some(&self) -> (Vec<(String, Bytes)>, bool) {
        let mut state = self.state();
        let count = state.messages.len().min(BATCH);
        let batch: Vec<_> = state.messages.drain(..count).collect();
        state.bytes -= batch
            .iter()
            .map(|(name, message)| size(name, message))
            .sum::<usize>();
        (batch, state.closed)
    }
}

fn size(channel: &str, message: &Bytes) -> usize {
    channel.len() + message.len() + OVERHEAD
}

/// Publishes what is queued until the queue is closed. A batch that fails is not repeated, as Redis may have executed
/// it.
pub(crate) async fn run(client: Client, queue: Arc<Queue>, shared: Arc<Inbound>) {
    let command = if shared.settings.sharded.is_some() {
        "SPUBLISH"
    } else {
        "PUBLISH"
    };
    let mut connection = None;
    // An outage is logged at its beginning and at its end, not for every batch.
    let mut lost = 0_usize;
    while let Some(batch) = queue.take().await {
        match send(&client, &mut connection, command, &batch).await {
            Ok(()) if lost > 0 => {
                tracing::warn!(messages = lost, "messages to other servers were lost");
                lost = 0;
            }
            Ok(()) => {}
            Err(error) => {
                connection = None;
                if lost == 0 {
                    let error = error.to_string();
                    tracing::warn!(error, "messages to other servers are lost");
                }
                lost = lost.saturating_add(batch.len());
                shared.receiver.lost(batch.len());
            }
        }
    }
}

/// Sends a batch, over a new connection if there is none.
async fn send(
    client: &Client,
    connection: &mut Option<MultiplexedConnection>,
    command: &str,
    batch: &[(String, Bytes)],
) -> Result<(), RedisError> {
    let open = match connection {
        Some(open) => open,
        None => connection.insert(connect(client).await?),
    };
    publish(open, command, batch).await
}

async fn publish(
    connection: &mut MultiplexedConnection,
    command: &str,
    batch: &[(String, Bytes)],
) -> Result<(), RedisError> {
    let mut pipeline = redis::pipe();
    for (channel, message) in batch {
        pipeline
            .cmd(command)
            .arg(channel)
            .arg(&message[..])
            .ignore();
    }
    pipeline.query_async(connection).await
}

/// Tries once to connect, and waits a moment if that fails.
async fn connect(client: &Client) -> Result<MultiplexedConnection, RedisError> {
    let connected = client
        .get_multiplexed_async_connection_with_config(&connection_config())
        .await;
    if connected.is_err() {
        sleep(RETRY.0).await;
    }
    connected
}
