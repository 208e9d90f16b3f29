//! The checks at the deadlines of a connection. Input that has been received in time counts, even if it has not been
//! read.

use std::task::Context;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};

use super::slowness::Slow;
use super::task::ConnectionTask;
use super::timers::{Deadline, now};
use crate::outbox::Queued;
use proto::DisconnectReason;
use proto::session::SessionInput;

/// The number of times that a passed deadline is put off because the threads were busy: the task of an HTTP connection
/// may hold a pong and run on another thread. On a runtime with one thread that task runs first anyway.
const LATE_TURNS: u8 = 2;

/// The time that the other threads get each time.
const LATE_TURN: Duration = Duration::from_millis(10);

impl ConnectionTask {
    fn check_slowness(&mut self) {
        let early = self.slowness.is_early(self.now);
        let mut slow = self.slowness.verdict(self.now);
        if (early || slow == Some(Slow::Stalled))
            && let Some(mut pressure) = self.duplexes.try_write(&self.client.outbox)
        {
            pressure.moved &= !early;
            self.slowness.note(pressure, self.now);
            slow = self.slowness.verdict(self.now);
        }
        if let Some(slow) = slow {
            let Queued { packets, bytes, .. } = self.client.outbox.queued();
            let option = slow.option();
            tracing::debug!(
                packets,
                bytes,
                option,
                "client does not read what is sent to it"
            );
            self.session
                .handle(SessionInput::Lost(DisconnectReason::SlowClient), self.now);
        }
        self.timers.set(Deadline::Read, self.slowness.deadline());
    }

    pub(super) fn check_time(&mut self, cx: &mut Context<'_>) {
        if self.timers.poll(self.now, cx).is_pending() {
            return;
        }
        if self.timers.is_late(self.now) && self.late_turns < LATE_TURNS && has_many_threads() {
            self.late_turns += 1;
            return self.timers.put_off(self.now + LATE_TURN, cx);
        }
        self.late_turns = 0;
        self.check_deadlines(cx);
        if self.timers.rearm(self.session.poll_timeout(), self.now, cx) {
            cx.waker().wake_by_ref();
        }
    }

    /// Checks the deadlines before a request is taken, if the request has arrived after one of them. Input that has
    /// arrived earlier is read first.
    pub(super) fn check_arrival(&mut self, at: Instant, cx: &mut Context<'_>) {
        let next = self.timers.next(self.session.poll_timeout());
        if next.is_none_or(|next| at < next) || self.timers.is_late(self.now) {
            return;
        }
        self.take_post(cx);
        self.read(cx);
        self.read_probe(cx);
        self.now = now();
        self.check_deadlines(cx);
    }

    /// Returns true if a pong may have been received and not been read, because there is much before it.
    fn has_unread(&self) -> bool {
        !self.paused && (self.duplexes.more || self.polls.has_post())
    }

    fn check_deadlines(&mut self, cx: &mut Context<'_>) {
        if self.dispatch.joined {
            self.timers.set(Deadline::Connect, None);
        }
        if self.duplexes.main.is_some() {
            // `slowness` detects clients that read nothing.
            self.session.handle(SessionInput::PingStuck, self.now);
        }
        if self.paused {
            self.report_pause();
        }
        let receiving = self.duplexes.take_progress() | self.registration.entry.take_progress();
        if receiving || self.has_unread() {
            self.session.handle(SessionInput::Receiving, self.now);
        }
        self.session.handle_timeout(self.now);
        if self.timers.has_passed(Deadline::Connect, self.now) {
            self.timers.set(Deadline::Connect, None);
            tracing::debug!("no namespace joined in time");
            // This includes sockets that are being admitted.
            self.close(DisconnectReason::ForcedClose, cx);
        }
        if self.timers.is_late(self.now) && self.timers.get(Deadline::Read).is_some() {
            // The client may have read much meanwhile, so that the outbox has room again.
            self.write(cx);
        }
        if self.timers.has_passed(Deadline::Read, self.now) {
            self.check_slowness();
        }
        if let Some(by) = self
            .timers
            .get(Deadline::Message)
            .filter(|by| self.now >= *by)
        {
            self.check_message(by);
        }
        if self.timers.has_passed(Deadline::Expiry, self.now) {
            self.check_expiry(cx);
        }
        self.run_actions(cx);
    }
}

fn has_many_threads() -> bool {
    Handle::try_current()
        .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
}
