//! The shutdown of a server: when it begins, which connections it waits for, and its end.
//!
//! How one connection ends in a shutdown is in `drain.rs`.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The time that the rest of a connection which was cut off may take after the limit.
pub(super) const SOON: Duration = Duration::from_millis(500);

/// The shutdown of a server, and the number of connections that it waits for.
#[derive(Debug, Default)]
pub(super) struct Shutdown {
    begun: OnceLock<Begun>,
    /// The number of connections whose handshake, task or handlers are still running.
    running: AtomicUsize,
    /// The number of connections that were cut off at the limit.
    cut_off: AtomicUsize,
    /// The end has been logged.
    reported: AtomicBool,
    /// Notified when the shutdown begins and when the last connection has ended.
    changed: Notify,
}

/// A shutdown that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    at: Instant,
    /// The time at which handlers that are still running are dropped.
    pub(super) limit: Instant,
    /// The number of connections that were running when it began.
    connections: usize,
}

impl Shutdown {
    /// Begins the shutdown, unless it has begun.
    pub(super) fn begin(&self, window: Duration, limit: Duration) -> Begun {
        let mut first = false;
        let begun = *self.begun.get_or_init(|| {
            first = true;
            let at = Instant::now();
            Begun {
                at,
                limit: at + limit,
                connections: self.running.load(Ordering::Relaxed),
            }
        });
        if first {
            let connections = begun.connections;
            tracing::info!(
                connections,
                ?window,
                ?limit,
                "shutting down: draining connections"
            );
            agree();
            if self.running.load(Ordering::Acquire) == 0 {
                self.report(&begun);
            }
            self.changed.notify_waiters();
        }
        begun
    }

    /// Returns the shutdown if it has begun.
    pub(super) fn get(&self) -> Option<Begun> {
        self.begun.get().copied()
    }

    /// Counts a connection as running until [`leave`](Self::leave) is called. Returns false if it came after the
    /// beginning of the shutdown.
    pub(super) fn enter(&self) -> bool {
        self.running.fetch_add(1, Ordering::AcqRel);
        agree();
        self.begun.get().is_none()
    }

    /// Ends a connection that was counted.
    pub(super) fn leave(&self) {
        if self.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            agree();
            if let Some(begun) = self.begun.get() {
                self.report(begun);
            }
            self.changed.notify_waiters();
        }
    }

    /// Counts a connection that was cut off at the limit.
    pub(super) fn count_cut_off(&self) {
        self.cut_off.fetch_add(1, Ordering::Relaxed);
    }

    /// Resolves when the shutdown begins.
    pub(super) async fn begun(&self) -> Begun {
        self.until(|| self.get()).await
    }

    /// Resolves when the shutdown has begun and no connection is running any more, or soon after its limit.
    pub(super) async fn ended(&self) {
        let begun = self.begun().await;
        agree();
        let done = self.until(|| (self.running.load(Ordering::Acquire) == 0).then_some(()));
        // A handler that blocks its thread cannot be dropped.
        let limit = begun.limit + 2 * SOON;
        if tokio::time::timeout_at(limit, done).await.is_err() {
            let running = self.running.load(Ordering::Relaxed);
            self.cut_off.fetch_add(running, Ordering::Relaxed);
        }
        self.report(&begun);
    }

    /// Logs the end of the shutdown, once.
    fn report(&self, begun: &Begun) {
        if self.reported.swap(true, Ordering::AcqRel) {
            return;
        }
        let cut_off = self.cut_off.load(Ordering::Relaxed);
        let closed = begun.connections.saturating_sub(cut_off);
        let took = begun.at.elapsed();
        if cut_off == 0 {
            tracing::info!(
                closed,
                cut_off,
                ?took,
                "shut down: all connections are closed"
            );
        } else {
            tracing::warn!(
                closed,
                cut_off,
                ?took,
                "shut down: connections were cut off; see drain_limit"
            );
        }
    }

    async fn until<T>(&self, condition: impl Fn() -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(found) = condition() {
                return found;
            }
            changed.await;
        }
    }
}

/// Orders the write of a thread before its next read, among all threads.
///
/// A handshake counts its connection and then checks for a shutdown. A shutdown begins and then reads the number of
/// connections. Without this order neither might see the other: the handshake would be let in, and the shutdown would
/// not wait for it.
fn agree() {
    fence(Ordering::SeqCst);
}
