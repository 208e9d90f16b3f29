//! The task that publishes.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use proto::cluster::PublishQueue;

use crate::connector::Connector;
use crate::destination::RedisDestination;
use crate::inbound::Inbound;
use crate::settings::{RETRY, RedisSettings};
use crate::shared_connection::{AskError, SharedConnection};

/// Publishes what is queued until the queue is closed, or Redis fails after that. A batch that fails is not repeated,
/// as Redis may have executed it.
pub(crate) async fn run(
    connector: Connector,
    queue: Arc<PublishQueue<RedisDestination>>,
    shared: Arc<Inbound>,
) {
    let session = SharedConnection::new(connector);
    // An outage is logged at its beginning and at its end, not for every batch.
    let mut lost = 0_usize;
    while let Some(batch) = queue.take().await {
        match send(&session, &shared.settings, &batch).await {
            Ok(()) => {
                shared.link.sent();
                if lost > 0 {
                    tracing::warn!(messages = lost, "messages to other servers were lost");
                    lost = 0;
                }
            }
            Err(error) => {
                shared.link.not_sent(Instant::now().into_std());
                if lost == 0 {
                    let error = error.reason();
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

/// Sends a batch. Waits a moment if there is no connection and none can be made.
async fn send(
    session: &SharedConnection,
    settings: &RedisSettings,
    batch: &[(RedisDestination, Bytes)],
) -> Result<(), AskError> {
    let mut pipeline = redis::pipe();
    for (to, message) in batch {
        settings.send(&mut pipeline, to, message);
    }
    let sent = session.ask(&pipeline).await;
    if let Err(AskError::Connect(_)) = &sent {
        sleep(RETRY.0).await;
    }
    sent
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proto::cluster::{Channel, Receiver};

    use super::*;

    const MESSAGES: usize = 25_000;

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
        let queue = Arc::new(PublishQueue::new(usize::MAX));
        for _ in 0..MESSAGES {
            queue
                .push(
                    RedisDestination::Channel("x".to_owned()),
                    Bytes::new(),
                    Instant::now().into_std(),
                )
                .unwrap();
        }
        queue.close();
        let losses = Arc::new(Losses::default());
        let receiver: Arc<dyn Receiver> = Arc::clone(&losses) as _;
        let inbound = Arc::new(Inbound::new(receiver, RedisSettings::new()));
        let begun = Instant::now();
        let nowhere = Connector::new("redis://127.0.0.1:1/").unwrap();
        run(nowhere, queue, inbound).await;
        assert_eq!(losses.0.load(Ordering::Relaxed), MESSAGES);
        assert!(begun.elapsed() < RETRY.0 * 50);
    }
}
