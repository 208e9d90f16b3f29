//! The handlers of a connection that has closed.

use std::task::{Context, Poll};

use super::dispatch::Dispatch;
use super::task::yield_now;
use crate::metrics::Counted;

impl Dispatch {
    /// Polls the handlers that are left when the connection is over. Ready when there are none.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.router.drop_unfinished();
        self.unfinished = 0;
        self.pause = None;
        self.share.rest();
        loop {
            self.begin_round();
            // Nobody is left to be told of a violation.
            while self.poll_handlers(cx).is_err() {}
            self.publish();
            if self.has_started_all() {
                yield_now(cx);
                return Poll::Pending;
            }
            if self.handlers.len() == 0 {
                self.attach();
                return Poll::Ready(());
            }
            self.count_detached();
            if let Some(detachment) = &self.detachment {
                detachment.register(cx.waker());
            }
            if !self.cancel_if_ordered() {
                return Poll::Pending;
            }
        }
    }

    /// Counts the handlers that go on, if their number has changed.
    fn count_detached(&mut self) {
        let handlers = self.handlers.len();
        let detached = &self.share.inbound.detached;
        let detachment = self.detachment.get_or_insert_with(|| detached.begin());
        let before = detachment.handlers();
        if handlers == before {
            return;
        }
        detached.set(detachment, handlers, self.share.published());
        self.server
            .counters
            .shift(Counted::DetachedHandlers, before, handlers);
    }

    /// Cancels the handlers if they are those of the connection that has most. Returns whether it was so.
    fn cancel_if_ordered(&mut self) -> bool {
        let Some(mut detachment) = self
            .detachment
            .take_if(|detachment| detachment.is_cancelled())
        else {
            return false;
        };
        let cancelled = self.handlers.cancel();
        self.lanes.clear();
        self.router.drop_all_events();
        let (counters, detached) = (&self.server.counters, &self.share.inbound.detached);
        counters.add(Counted::DetachedHandlersCancelled, cancelled);
        if self.client.logs.allow() {
            tracing::warn!(
                cancelled,
                option = "max_detached_handlers",
                limit = detached.max(),
                "too many handlers go on after their connections have closed"
            );
        }
        let left = self.handlers.len();
        counters.shift(Counted::DetachedHandlers, detachment.handlers(), left);
        self.publish();
        let held = self.share.published();
        detachment.cancelled(&self.share.inbound.detached, left, held);
        self.detachment = Some(detachment);
        true
    }

    /// No handler is left.
    pub(super) fn attach(&mut self) {
        if let Some(detachment) = self.detachment.take() {
            self.share.inbound.detached.end(&detachment);
            self.server
                .counters
                .shift(Counted::DetachedHandlers, detachment.handlers(), 0);
        }
    }
}
