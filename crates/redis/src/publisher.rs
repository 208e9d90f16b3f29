//! The task that publishes.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use proto::cluster::PublishQueue;

use crate::connector::Connector;
use crate::destination::RedisDestination;
use crate::inbound::{Inbound, Moved};
use crate::settings::RETRY;
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
        match send(&session, &shared, &batch).await {
            Ok(refused) => {
                shared.link.sent();
                shared.receiver.lost(redirect(&shared, batch, &refused));
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
                shared.report_moved(Moved::Channels);
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

/// Sends a batch. Waits a moment if there is no connection and none can be made. With a Redis Cluster, returns which
/// messages the server has not accepted, as it does not have their channels.
async fn send(
    session: &SharedConnection,
    shared: &Inbound,
    batch: &[(RedisDestination, Bytes)],
) -> Result<Vec<bool>, AskError> {
    let mut pipeline = redis::pipe();
    for (to, message) in batch {
        shared.settings.send(&mut pipeline, to, message);
    }
    let sent = if shared.is_node() {
        session.ask_node(&mut pipeline).await
    } else {
        session.ask(&pipeline).await.map(|()| Vec::new())
    };
    if let Err(AskError::Connect(_)) = &sent {
        sleep(RETRY.0).await;
    }
    sent
}

/// Has messages that were not accepted sent to another server, once. Returns the number of those that are lost.
fn redirect(shared: &Inbound, batch: Vec<(RedisDestination, Bytes)>, refused: &[bool]) -> usize {
    let refused = batch
        .into_iter()
        .zip(refused)
        .filter(|(_, refused)| **refused);
    let (mut again, mut lost) = (Vec::new(), 0);
    for ((to, message), _) in refused {
        match to {
            RedisDestination::Channel(name) => again.push((name, message)),
            RedisDestination::Redirected(_) | RedisDestination::Entry(_) => lost += 1,
        }
    }
    let count = again.len();
    if count > 0 && !shared.report_moved(Moved::Messages(again)) {
        lost += count;
    }
    lost
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proto::cluster::{Channel, Receiver};

    use super::*;
    use crate::settings::RedisSettings;

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
