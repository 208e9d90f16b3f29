//! The task that watches the client.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::inbound::Inbound;
use crate::link::LinkState;

/// The time between two looks at the state of the client. Not every client reports its changes.
pub(crate) const LOOK: Duration = Duration::from_millis(100);

/// The time between two ticks of the receiver.
const TICK: Duration = Duration::from_secs(1);

/// Watches the client, and reports an outage at its beginning and at its end.
pub(crate) async fn run(shared: Arc<Inbound>, state: watch::Sender<LinkState>) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut ticked, mut outage) = (Instant::now(), false);
    let mut dropped = shared.link.dropped.count();
    loop {
        looks.tick().await;
        let now = shared.link.state();
        let is_lost = !now.is_connected || now.connects != state.borrow().connects;
        if is_lost && !std::mem::replace(&mut outage, true) {
            tracing::warn!("no connection to NATS: messages of other servers are lost");
        }
        if now.is_connected && std::mem::replace(&mut outage, false) {
            tracing::info!("connected to NATS again");
        }
        state.send_if_modified(|known| std::mem::replace(known, now) != now);
        let count = shared.link.dropped.count();
        if let missed @ 1.. = count.saturating_sub(dropped) {
            dropped = count;
            tracing::warn!(missed, "the server is too slow for the messages of others");
            let missed = usize::try_from(missed).unwrap_or(usize::MAX);
            shared.receiver.missed(missed);
        }
        if ticked.elapsed() >= TICK {
            ticked = Instant::now();
            shared.receiver.tick();
        }
    }
}
