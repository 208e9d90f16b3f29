//! The bodies of POST requests while they arrive: their part of the account of input, and their time.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::account::Share;
use super::pause::CROWDED;
use super::sessions::{SessionEntry, SessionTable};
use super::timers::LATE;
use crate::metrics::{Counted, ReadingLimit};
use crate::server::Server;

/// The part of the account that a body holds while it arrives.
#[derive(Debug)]
pub(crate) struct BodyShare(Share);

/// A body has to be given up, because all connections together hold too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crowded;

impl BodyShare {
    pub(crate) fn new(sessions: &SessionTable, server: &Server) -> Self {
        Self(sessions.share(&server.counters))
    }

    /// Sets the number of bytes that have arrived, and waits while all connections together hold too much.
    pub(crate) async fn set(&mut self, held: usize, entry: &SessionEntry) -> Result<(), Crowded> {
        self.0.set(held);
        if !self.0.is_too_much(held) {
            return Ok(());
        }
        let counters = entry.client.logs.counters();
        counters.add(Counted::ReadingPaused(ReadingLimit::InboundBytes), 1);
        entry.body_paused(true);
        let room = timeout(CROWDED, self.room(held)).await;
        entry.body_paused(false);
        self.0.cancel_wake();
        room.map_err(|_| Crowded)
    }

    /// Waits until a body of this length may grow.
    async fn room(&mut self, held: usize) {
        poll_fn(|cx| {
            self.0.account.detached.relieve(held);
            self.0.wake(held, cx.waker());
            // The total may have fallen before the waker was registered.
            if self.0.is_too_much(held) {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }
}

/// Waits for a body no longer than a limit. Time in which the thread was blocked does not count. Returns `None` if the
/// body is late.
pub(crate) async fn within_limit<T>(limit: Duration, body: impl Future<Output = T>) -> Option<T> {
    let mut body = pin!(body);
    let mut limit = limit;
    loop {
        let began = Instant::now();
        if let Ok(body) = timeout(limit, body.as_mut()).await {
            return Some(body);
        }
        let late = began.elapsed().saturating_sub(limit);
        if late <= LATE {
            return None;
        }
        limit = late;
    }
}
