//! The pauses of the reading when a connection holds too much input, and the end of connections whose pause could never
//! end by itself.

use std::task::Context;
use std::time::{Duration, Instant};

use super::account::LITTLE;
use super::dispatch::Dispatch;
use super::pause::{Full, GRACE, Held, Pause, patience};
use super::task::ConnectionTask;
use super::timers::Deadline;
use crate::metrics::{Counted, ReadingLimit};
use crate::socket::Socket;
use proto::DisconnectReason;

/// The memory that an event needs beside its arguments while it waits or its handler runs, in bytes.
const OVERHEAD: usize = 256;

impl ConnectionTask {
    /// Publishes the bytes that the connection holds, and checks a pause.
    pub(super) fn watch_inbound(&mut self, cx: &mut Context<'_>) {
        let unfinished = self.duplexes.unfinished() + self.polls.post_bytes();
        if unfinished > 0 || !self.dispatch.holds_little {
            self.dispatch.unfinished = unfinished;
            self.dispatch.publish();
        }
        let held_back = std::mem::take(&mut self.dispatch.held_back);
        if held_back || self.dispatch.is_paused() {
            self.watch_pause(cx);
        }
    }

    #[cold]
    fn watch_pause(&mut self, cx: &mut Context<'_>) {
        let stuck = self.dispatch.watch(self.now, cx);
        let next = self.dispatch.pause.as_ref().map(|pause| pause.next);
        self.timers.set(Deadline::Pause, next);
        if stuck && self.session.is_open() {
            self.close(DisconnectReason::QueueFull, cx);
        }
    }
}

impl Dispatch {
    /// Returns true if too much is held to read more. In this case, [`watch`](Self::watch) is called in this round and
    /// wakes the task when it can go on.
    #[inline]
    pub(super) fn holds_back(&mut self) -> bool {
        let full = self.is_full();
        self.held_back |= full;
        full
    }

    /// Returns true if too much is held to read more.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.full().is_some()
    }

    #[inline]
    fn full(&self) -> Option<Full> {
        if self.holds_little {
            return None;
        }
        self.measure()
    }

    fn measure(&self) -> Option<Full> {
        let queued = self.queued_bytes();
        if queued >= self.server.settings.max_queued_bytes || self.router.is_spread() {
            return Some(Full::Queue);
        }
        self.share.is_too_much(self.held()).then_some(Full::Server)
    }

    /// Returns the size of the events that wait, in bytes.
    pub(super) fn queued_bytes(&self) -> usize {
        let (requests, bytes) = self.router.backlog();
        bytes + self.serial_queues.bytes() + (requests + self.serial_queues.len()) * OVERHEAD
    }

    /// Returns the size of all input that is held, in bytes: events that wait or whose handlers run, packets that are
    /// not complete, and the auth of all sockets that the router or a handler holds.
    fn held(&self) -> usize {
        let running = self.handlers.bytes() + self.handlers.len() * OVERHEAD;
        let unfinished = self.unfinished + self.router.unfinished();
        self.queued_bytes() + running + unfinished + self.client.auth_bytes()
    }

    /// Publishes the bytes that are held.
    pub(super) fn publish(&mut self) {
        let (queued, held) = (self.queued_bytes(), self.held());
        self.share.set(held);
        self.holds_little = held < LITTLE
            && queued < self.server.settings.max_queued_bytes
            && !self.router.is_spread();
    }

    /// Returns true if the events whose handlers run hold so much that no other event may start.
    #[inline]
    pub(super) fn runs_much(&self) -> bool {
        self.handlers.bytes() >= self.server.settings.max_running_bytes
    }

    #[inline]
    fn is_paused(&self) -> bool {
        self.pause.is_some()
    }

    /// Begins, checks and ends a pause. Returns true if the pause can never end by itself.
    fn watch(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        let mut full = self.full();
        if full == Some(Full::Server) {
            let held = self.held();
            self.share.account.detached.relieve(held);
            self.share.wake(held, cx.waker());
            // The total may have fallen before the waker was registered.
            full = self.full();
        }
        if full != Some(Full::Server) {
            self.share.cancel_wake();
        }
        let moved = std::mem::take(&mut self.moved);
        let Some(full) = full else {
            // The connection was not read before in this round.
            self.pause = None;
            cx.waker().wake_by_ref();
            return false;
        };
        let Some(pause) = &mut self.pause else {
            self.begin_pause(full, now);
            return false;
        };
        if moved {
            pause.moved = now;
        }
        if now < pause.next {
            return false;
        }
        let moved = pause.moved;
        self.warn(full);
        let limit = self.patience(full).map(|limit| moved + limit);
        let next = limit.filter(|limit| *limit > now);
        if let Some(pause) = &mut self.pause {
            pause.next = next.map_or(now + GRACE, |limit| limit.min(now + GRACE));
        }
        limit.is_some_and(|limit| now >= limit)
    }

    fn begin_pause(&mut self, full: Full, now: Instant) {
        let option = self.option(full);
        self.counters().add(Counted::ReadingPaused(option), 1);
        self.pause = Some(Box::new(Pause {
            moved: now,
            next: now + GRACE,
        }));
    }

    /// Returns the time after which a pause without any progress ends the connection. There is none if the pause may
    /// last.
    fn patience(&self, full: Full) -> Option<Duration> {
        let sockets = self.router.sockets();
        let awaited = sockets.map(|socket| socket.member().awaited()).max();
        let held = if self.queued_bytes() > 0 || self.handlers.len() > 0 {
            Held::Events
        } else {
            Held::UnfinishedPacket
        };
        patience(full, awaited.unwrap_or_default(), held)
    }

    /// Returns the option that stops the reading. If events wait, it is the option for which they wait.
    fn option(&self, full: Full) -> ReadingLimit {
        let settings = &self.server.settings;
        let outbox = self.client.outbox.queued();
        if full == Full::Server {
            ReadingLimit::InboundBytes
        } else if self.client.outbox.is_half_full() {
            if outbox.packets > settings.engine.max_outbox_packets / 2 {
                ReadingLimit::OutboxPackets
            } else {
                ReadingLimit::OutboxBytes
            }
        } else if self.handlers.len() >= settings.max_handlers {
            ReadingLimit::Handlers
        } else if self.runs_much() {
            ReadingLimit::RunningBytes
        } else if self.router.sockets().any(Socket::has_max_pending) {
            ReadingLimit::Pending
        } else {
            ReadingLimit::QueuedBytes
        }
    }

    /// Logs a lasting pause, once for each connection.
    fn warn(&mut self, full: Full) {
        if std::mem::replace(&mut self.warned, true) || !self.client.logs.allow() {
            return;
        }
        let (requests, _) = self.router.backlog();
        tracing::warn!(
            option = self.option(full).as_str(),
            max_queued_bytes = self.server.settings.max_queued_bytes,
            queued_events = requests + self.serial_queues.len(),
            queued_bytes = self.queued_bytes(),
            held_bytes = self.held(),
            running_handlers = self.handlers.len(),
            "reading is paused until handlers have caught up"
        );
    }
}
