//! The handlers of a connection that has closed.

use std::task::{Context, Poll};

use super::detached::Limit;
use super::dispatch::Dispatch;
use super::serial_queues::SerialQueues;
use super::task::yield_now;
use crate::metrics::Counted;

impl Dispatch {
    /// Polls the handlers that are left when the connection is over. Ready when there are none.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.router.drop_unfinished();
        self.unfinished = 0;
        self.pause = None;
        self.share.cancel_wake();
        loop {
            self.begin_round();
            // A violation cannot be answered any more.
            while self.poll_handlers(cx).is_err() {}
            self.publish();
            let more = self.has_started_all();
            if self.handlers.len() == 0 && !more {
                self.attach();
                return Poll::Ready(());
            }
            self.count_detached(cx);
            if !self.cancel_if_ordered() {
                if more {
                    yield_now(cx);
                }
                return Poll::Pending;
            }
        }
    }

    /// Counts the handlers that go on and the bytes that are held, if either has changed.
    fn count_detached(&mut self, cx: &Context<'_>) {
        let (handlers, bytes) = (self.handlers.len(), self.share.published());
        let detached = &self.share.account.detached;
        let detachment = self.detachment.get_or_insert_with(|| detached.begin());
        let before = detachment.counted();
        if before != (handlers, bytes) {
            detached.set(detachment, handlers, bytes);
            let counters = &self.server.counters;
            counters.shift(Counted::DetachedHandlers, before.0, handlers);
        }
        detachment.register(cx.waker());
    }

    /// Cancels the handlers if they are those of the connection that has most. Returns true if it was so.
    fn cancel_if_ordered(&mut self) -> bool {
        let ordered = |of| self.share.account.detached.ordered(of);
        let Some(limit) = self.detachment.as_ref().and_then(ordered) else {
            return false;
        };
        // Values of users are dropped here. The connection stays counted, for the case that one of them panics.
        let cancelled = self.handlers.cancel();
        self.serial_queues.drop_all_events();
        self.serial_queues = SerialQueues::default();
        self.router.drop_all_events();
        self.publish();
        self.warn_cancelled(limit, cancelled);
        let (left, bytes) = (self.handlers.len(), self.share.published());
        if let Some(detachment) = &mut self.detachment {
            let counters = &self.server.counters;
            counters.add(Counted::DetachedHandlersCancelled, cancelled);
            let (before, _) = detachment.counted();
            counters.shift(Counted::DetachedHandlers, before, left);
            let detached = &self.share.account.detached;
            detached.cancelled(detachment, left, bytes);
        }
        true
    }

    fn warn_cancelled(&self, limit: Limit, cancelled: usize) {
        if !self.client.logs.allow() {
            return;
        }
        let account = &self.share.account;
        match limit {
            Limit::Handlers => tracing::warn!(
                cancelled,
                option = "max_detached_handlers",
                limit = account.detached.max(),
                "too many handlers go on after their connections have closed"
            ),
            Limit::Bytes => tracing::warn!(
                cancelled,
                option = "max_inbound_bytes",
                limit = account.max(),
                "handlers that go on after their connection has closed hold too much"
            ),
        }
    }

    /// Removes the connection from those whose handlers still run.
    pub(super) fn attach(&mut self) {
        if let Some(detachment) = self.detachment.take() {
            self.share.account.detached.end(&detachment);
            self.server
                .counters
                .shift(Counted::DetachedHandlers, detachment.counted().0, 0);
        }
    }
}
