//! How a connection ends when the server shuts down.
//!
//! ```text
//!          no event starts; handlers finish       handlers have finished        flushed, or nobody polls
//!   open ──────────────────────────────▶ draining ───────────────────▶ closing ─────────────────────────▶ closed
//!                                            └──────────── drain_limit: handlers are dropped ────────────────┘
//! ```
//!
//! Acknowledgements and upgrades still pass while a connection is draining, and heartbeats go on. Its sockets are connected
//! until it is closing.

use std::task::Context;
use std::time::{Duration, Instant};

use super::task::Connection;
use super::timers::Deadline;
use crate::engine::{DisconnectReason, Input};

/// How long a healthy client may take between two polls. One that has not polled for longer is not waited for when nothing
/// is queued for it.
const BETWEEN_POLLS: Duration = Duration::from_millis(500);

/// How long a client may take to poll for what is queued for it.
const FETCH: Duration = Duration::from_secs(5);

impl Connection {
    /// The server is shutting down, and waits for this connection until `limit`.
    pub(super) fn drain(&mut self, limit: Instant, cx: &mut Context<'_>) {
        if self.dispatch.is_draining() {
            return;
        }
        self.timers.set(Deadline::Drain, Some(limit));
        self.drained_from = Some(self.now);
        self.dispatch.drain(cx);
    }

    /// Closes the connection once its handlers have finished, and ends it when its time is over.
    pub(super) fn check_drain(&mut self, cx: &mut Context<'_>) {
        if !self.dispatch.is_draining() || self.session.is_closed() {
            return;
        }
        if self.session.is_open() && self.dispatch.is_drained() {
            self.drained_from = Some(self.now);
            self.close(DisconnectReason::ServerShuttingDown, cx);
        }
        if self.timers.has_passed(Deadline::Drain, self.now) {
            let handlers = self.dispatch.cut_off();
            if self.session.is_open() {
                self.close(DisconnectReason::ServerShuttingDown, cx);
            }
            // What the transport takes at once is not lost.
            self.write(cx);
            self.end_drain(handlers);
        } else if self.session.is_closing() {
            self.timers.set(Deadline::Fetch, self.fetch_by());
            if self.timers.has_passed(Deadline::Fetch, self.now) {
                self.end_drain(0);
            }
        }
    }

    /// Until when the client must have polled; `None` while it does, and over WebSocket.
    fn fetch_by(&self) -> Option<Instant> {
        if self.sockets.main.is_some() || self.polls.is_pending() {
            return None;
        }
        let answered = self.polls.answered;
        if !self.client.outbox.is_empty() {
            let from = self.drained_from.unwrap_or(answered);
            return Some(answered.max(from) + FETCH);
        }
        // One that has joined nothing loses nothing.
        Some(if self.dispatch.joined {
            answered + BETWEEN_POLLS
        } else {
            answered
        })
    }

    /// Nothing more is sent. So many `handlers` have been dropped.
    fn end_drain(&mut self, handlers: usize) {
        let queued = self.client.outbox.queued().packets;
        if handlers > 0 || queued > 0 {
            tracing::debug!(handlers, queued, "connection cut off by the shutdown");
            self.guard.cut_off();
        }
        let lost = Input::Lost(DisconnectReason::ServerShuttingDown);
        self.session.handle(lost, self.now);
    }
}
