//! The task that publishes.

use std::sync::Arc;

use bytes::Bytes;
use proto::cluster::PublishQueue;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::error::SendError;
use crate::inbound::Inbound;
use crate::link::LinkState;
use crate::monitor::LOOK;
use crate::part::Divider;
use crate::settings::RESPONSE_TIMEOUT;

/// Publishes what is queued until the queue is closed, or there is no connection after that. In an outage, messages
/// wait in the queue.
pub(crate) async fn run(
    shared: Arc<Inbound>,
    queue: Arc<PublishQueue>,
    mut state: watch::Receiver<LinkState>,
) {
    let mut divider = Divider::new(shared.publisher);
    let mut failing = false;
    while connected(&shared, &queue, &mut state).await {
        let Some(batch) = queue.take().await else {
            return;
        };
        let messages = batch.len();
        match send(&shared, &mut divider, batch).await {
            Ok(()) => {
                shared.health.sent();
                failing = false;
            }
            Err(error) => {
                shared.health.not_sent(Instant::now().into_std());
                shared.receiver.lost(messages);
                if !std::mem::replace(&mut failing, true) {
                    let error = error.to_string();
                    tracing::warn!(error, "messages to other servers are lost");
                }
            }
        }
    }
}

/// Waits for a connection. Returns false if the server is gone, and there has been none in the time for an answer.
async fn connected(
    shared: &Inbound,
    queue: &PublishQueue,
    state: &mut watch::Receiver<LinkState>,
) -> bool {
    let begun = Instant::now();
    while !shared.link.state().is_connected {
        // The other task, which reports changes, ends with the server.
        let changed = timeout(LOOK, state.changed()).await;
        if let Ok(Err(_)) = changed {
            sleep(LOOK).await;
        }
        if begun.elapsed() > RESPONSE_TIMEOUT
            && let Some(messages) = queue.give_up()
        {
            shared.receiver.lost(messages);
            return false;
        }
    }
    true
}

async fn send(
    shared: &Inbound,
    divider: &mut Divider,
    batch: Vec<(String, Bytes)>,
) -> Result<(), SendError> {
    let max = shared.link.client.max_payload();
    let messages = batch.into_iter().map(|(subject, message)| {
        let parts = divider.divide(&message, max);
        (subject, parts)
    });
    shared.link.send(messages).await
}
