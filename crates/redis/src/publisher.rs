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

    /// Drops all messages if the queue is closed. Returns their number, or `None` if it is open.
    fn give_up(&self) -> Option<usize> {
        let mut state = self.state();
        state.closed.then(|| {
            state.bytes = 0;
            std::mem::take(&mut state.messages).len()
        })
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
        if state.messages.is_empty() {
            // The queue was long in an outage.
            state.messages.shrink_to(BATCH);
        }
        (batch, state.closed)
    }
}

fn size(channel: &str, message: &Bytes) -> usize {
    channel.len() + message.len() + OVERHEAD
}

/// Publishes what is queued until the queue is closed, or Redis fails after that. A batch that fails is not repeated,
/// as Redis may have executed it.
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
                // The server is gone, and would wait for Redis once for each batch.
                if let Some(messages) = queue.give_up() {
                    shared.receiver.lost(messages);
                    return;
                }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proto::cluster::{Channel, Receiver};
    use tokio::time::Instant;

    use super::*;
    use crate::settings::RedisSettings;

    #[derive(Default)]
    struct Losses(AtomicUsize);

    impl Receiver for Losses {
        fn receive(&self, _: Channel<'_>, _: Bytes) {}

        fn lost(&self, messages: usize) {
            self.0.fetch_add(messages, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn a_server_that_is_gone_does_not_wait_for_redis() {
        let queue = Arc::new(Queue::new(usize::MAX));
        for _ in 0..100 * BATCH {
            queue.push("x".to_owned(), Bytes::new()).unwrap();
        }
        queue.close();
        let losses = Arc::new(Losses::default());
        let receiver: Arc<dyn Receiver> = Arc::clone(&losses) as _;
        let inbound = Arc::new(Inbound::new(receiver, RedisSettings::new()));
        let begun = Instant::now();
        let nowhere = Client::open("redis://127.0.0.1:1/").unwrap();
        run(nowhere, queue, inbound).await;
        assert_eq!(losses.0.load(Ordering::Relaxed), 100 * BATCH);
        assert!(begun.elapsed() < RETRY.0 * 50);
    }
}
