//! The end of a connection when the server shuts down.
//!
//! ```text
//!          no event starts; handlers finish       handlers have finished        flushed, or nobody polls
//!   open ──────────────────────────────▶ draining ───────────────────▶ closing ─────────────────────────▶ closed
//!                                            └──────────── drain_limit: handlers are dropped ────────────────┘
//! ```
//!
//! Acknowledgements and upgrades still pass while a connection is draining, and heartbeats continue. Its sockets remain
//! connected until it is closing.

use std::task::Context;
use std::time::{Duration, Instant};

use super::task::ConnectionTask;
use super::timers::Deadline;
use proto::DisconnectReason;
use proto::session::SessionInput;

/// The longest time between two polls of a healthy client. If nothing is queued for a client that has not polled for
/// longer, the shutdown does not wait for it.
const BETWEEN_POLLS: Duration = Duration::from_millis(500);

/// The longest time that a client may take to poll for queued packets.
const FETCH: Duration = Duration::from_secs(5);

impl ConnectionTask {
    /// Begins to drain the connection, since the server is shutting down. The server waits for it until `limit`.
    pub(super) fn drain(&mut self, limit: Instant, cx: &mut Context<'_>) {
        if self.dispatch.is_draining() {
            return;
        }
        self.timers.set(Deadline::Drain, Some(limit));
        self.drained_from = Some(self.now);
        self.dispatch.drain(cx);
    }

    /// Closes the connection when its handlers have finished, and ends it at its limit.
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
            // The packets that the transport takes at once are not lost.
            self.write(cx);
            self.end_drain(handlers);
        } else if self.session.is_closing() {
            self.timers.set(Deadline::Fetch, self.fetch_by());
            if self.timers.has_passed(Deadline::Fetch, self.now) {
                self.end_drain(0);
            }
        }
    }

    /// Returns the time by which the client must poll. There is none while a poll is pending, and none for a
    /// transport other than polling.
    fn fetch_by(&self) -> Option<Instant> {
        if self.duplexes.main.is_some() || self.polls.is_pending() {
            return None;
        }
        let answered = self.polls.answered;
        if !self.client.outbox.is_empty() {
            let from = self.drained_from.unwrap_or(answered);
            return Some(answered.max(from) + FETCH);
        }
        // A client that has joined no namespace loses nothing.
        Some(if self.dispatch.joined {
            answered + BETWEEN_POLLS
        } else {
            answered
        })
    }

    /// Ends the session without sending anything more. `handlers` is the number of handlers that have been dropped.
    fn end_drain(&mut self, handlers: usize) {
        let queued = self.client.outbox.queued().packets;
        if handlers > 0 || queued > 0 {
            tracing::debug!(handlers, queued, "connection cut off by the shutdown");
            self.guard.cut_off();
        }
        let lost = SessionInput::Lost(DisconnectReason::ServerShuttingDown);
        self.session.handle(lost, self.now);
    }
}
