//! The task that keeps track of the masters of a Redis Cluster.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use proto::cluster::Receiver;

use crate::connector::Connector;
use crate::inbound::Moved;
use crate::masters::find;
use crate::nodes::Nodes;

/// The time between two questions for the masters, unless something has moved.
const INTERVAL: Duration = Duration::from_secs(10);

/// The time after which servers are asked again if none of them knows.
const RETRY: Duration = Duration::from_secs(1);

/// The shortest time between two such questions.
const PAUSE: Duration = Duration::from_millis(100);

/// The maximum number of reports of what has moved that wait.
pub(crate) const MAX_REPORTS: usize = 64;

/// Keeps the servers up to date, until they are dropped.
pub(crate) async fn run(
    seeds: Vec<Connector>,
    nodes: Weak<Nodes>,
    receiver: Arc<dyn Receiver>,
    mut moves: mpsc::Receiver<Moved>,
) {
    let mut reports = Vec::new();
    let mut wait = INTERVAL;
    loop {
        if let Ok(0) = timeout(wait, moves.recv_many(&mut reports, MAX_REPORTS)).await {
            return;
        }
        let Some(mut servers) = nodes.upgrade().map(|nodes| nodes.connectors()) else {
            return;
        };
        servers.extend(seeds.iter().cloned());
        let topology = find(&servers).await;
        let Some(nodes) = nodes.upgrade() else {
            return;
        };
        match topology {
            Ok(topology) => {
                nodes.update(topology);
                wait = INTERVAL;
            }
            Err(error) => {
                wait = RETRY;
                let error = error.to_string();
                tracing::debug!(error, "the servers of the Redis Cluster are not known");
            }
        }
        for report in reports.drain(..) {
            if let Moved::Messages(messages) = report {
                receiver.lost(nodes.redirect(messages));
            }
        }
        drop(nodes);
        sleep(PAUSE).await;
    }
}
