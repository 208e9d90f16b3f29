//! The output of a connection: the queued packets go to the transport, and its state to the session.

use std::task::{Context, Poll};

use super::inbox::PostAnswer;
use super::task::ConnectionTask;
use super::timers::Deadline;
use crate::outbox::{Pressure, Readiness, Written};
use crate::transport::End;
use proto::DisconnectReason;
use proto::session::{Control, SessionInput};

impl ConnectionTask {
    pub(super) fn write(&mut self, cx: &mut Context<'_>) {
        if self.session.is_closed() {
            return;
        }
        let pressure = if self.duplexes.main.is_some() {
            self.write_socket(cx)
        } else {
            self.write_poll()
        };
        if self.slowness.is_idle() && pressure.is_none() {
            return;
        }
        self.slowness.note(pressure, self.now);
        self.timers.set(Deadline::Read, self.slowness.deadline());
    }

    /// Writes the queued packets. Returns whether the client keeps up.
    pub(super) fn write_socket(&mut self, cx: &mut Context<'_>) -> Pressure {
        let Some(socket) = &mut self.duplexes.main else {
            return Pressure::default();
        };
        if let Some(owed) = self.owed.take() {
            socket.owe(owed.text());
        }
        let (write, pressure) = socket.poll_outbox(&self.client.outbox, cx);
        if self.session.owes_ping() && !socket.owes_packets() {
            self.session.handle(SessionInput::PingSent, self.now);
        }
        let written = socket.take_written();
        self.count_sent(written);
        match write {
            Poll::Ready(Err(error)) => {
                tracing::debug!(error = error.to_string(), "cannot write");
                self.duplexes.end = Some(Box::new(End::Lost(error)));
                let lost = SessionInput::Lost(DisconnectReason::TransportClose);
                self.session.handle(lost, self.now);
            }
            Poll::Ready(Ok(())) if self.session.is_closing() => {
                self.session.handle(SessionInput::Flushed, self.now);
            }
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        pressure
    }

    /// Answers a pending poll with the queued packets. Returns whether the client keeps up.
    pub(super) fn write_poll(&mut self) -> Pressure {
        let outbox = &self.client.outbox;
        if self.session.is_closing() && self.polls.is_pending() && outbox.is_empty() {
            // A close packet is sent alone: official clients ignore the packets in one payload with it.
            self.session.handle(SessionInput::Flushed, self.now);
            return Pressure::default();
        }
        let revision = self.client.revision;
        let write = self.polls.write(outbox, &mut self.owed, revision, self.now);
        self.count_sent(write.written);
        if let Some(input) = write.input {
            self.session.handle(input, self.now);
        }
        write.pressure
    }

    pub(super) fn answer_poll(&mut self, controls: &[Control]) {
        let revision = self.client.revision;
        if self.polls.answer(controls, revision, self.now) {
            self.client.outbox.set_readiness(Readiness::Stalled);
        }
    }

    /// Answers the pending requests, since the session is closed.
    pub(super) fn end_polls(&mut self, reason: DisconnectReason) {
        self.answer_poll(self.polls.last_packets(reason));
        self.polls.answer_post(PostAnswer::Taken);
    }

    fn count_sent(&self, written: Written) {
        if written.packets > 0 {
            self.dispatch
                .counters()
                .add_sent(written.packets, written.bytes);
        }
    }
}
