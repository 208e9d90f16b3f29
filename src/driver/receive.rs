//! The input of a connection: the loop pulls packets from the transports and feeds them to the session.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::duplexes::{Remainder, close_in_background};
use super::inbox::{InboundRequest, PollAnswer, PostAnswer};
use super::task::ConnectionTask;
use super::timers::{Deadline, LATE};
use crate::metrics::{Counted, LateInput};
use crate::outbox::Readiness;
use crate::server::OverLimit;
use crate::transport::{Batch, End, Exceeded, Farewell, Reading, TransportViolation, Unfinished};
use proto::DisconnectReason;
use proto::session::SessionInput;

/// The number of packets of a POST that are taken before the answers to them are written.
const BATCH: usize = 128;

impl ConnectionTask {
    pub(super) fn take_requests(&mut self, cx: &mut Context<'_>) {
        // Polls are taken even while a POST waits for its handlers, so that the packets that these emit can be sent.
        while let Some((inbound, at)) = self.registration.entry.inbox.pop() {
            self.check_arrival(at, cx);
            if self.session.is_closed() {
                return refuse(inbound);
            }
            match inbound {
                InboundRequest::Poll(poll) => {
                    // The probe is read first, since the client may have sent `2probe` and `5` before this poll.
                    let _ = self.read_probe(cx) && self.read_probe(cx);
                    self.open_poll(poll, cx);
                }
                InboundRequest::Post(packets, done) => {
                    self.polls.begin_post(packets, done);
                }
                // The transport of this request is not used any more.
                InboundRequest::Broken(_) | InboundRequest::TooLarge
                    if self.duplexes.main.is_some() => {}
                InboundRequest::Broken(reason) => self.input(SessionInput::Lost(reason), cx),
                InboundRequest::TooLarge => {
                    self.registration.too_large = true;
                    self.input(SessionInput::Lost(DisconnectReason::TransportError), cx);
                }
                InboundRequest::Probe(socket) => {
                    self.duplexes.probe = Some(socket);
                    self.input(SessionInput::ProbeOpened, cx);
                }
                InboundRequest::ProbeFailed => self.probe_over(),
            }
        }
    }

    /// Checks whether the client has cancelled the pending poll.
    pub(super) fn check_poll(&mut self, cx: &mut Context<'_>) {
        if let Some(input) = self.polls.check(cx) {
            self.input(input, cx);
        }
    }

    fn open_poll(&mut self, poll: oneshot::Sender<PollAnswer>, cx: &mut Context<'_>) {
        if self.duplexes.main.is_some() {
            let _ = poll.send(PollAnswer::Upgraded);
            return;
        }
        if let Some(input) = self.polls.open(poll) {
            return self.input(input, cx);
        }
        if self.session.is_closing() {
            self.polls.mark_late();
        }
        self.client.outbox.set_readiness(Readiness::Ready);
        if self.owed.is_none() && self.client.outbox.is_empty() {
            self.input(SessionInput::PollOpened, cx);
        }
    }

    /// Takes packets of a POST while input is accepted. Returns true if there are more to be taken at once.
    pub(super) fn take_post(&mut self, cx: &mut Context<'_>) -> bool {
        let mut taken = 0;
        let more = self.take_packets(&mut taken, cx);
        // The bytes were counted when the body arrived.
        self.count_received(taken, 0);
        more
    }

    fn take_packets(&mut self, taken: &mut usize, cx: &mut Context<'_>) -> bool {
        for _ in 0..BATCH {
            if !self.session.is_open() {
                self.polls.answer_post(PostAnswer::Taken);
            }
            let paused = self.check_paused();
            if !self.polls.has_post() || (paused && self.polls.has_packets()) {
                return false;
            }
            let Some(input) = self.polls.next_packet() else {
                continue;
            };
            *taken += usize::from(matches!(input, SessionInput::Packet(_)));
            self.input(input, cx);
            if self.has_used_share(*taken) {
                return true;
            }
        }
        true
    }

    /// Reads the transport, unless it is polling. Returns true if it should be read again at once.
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> bool {
        if self.session.is_closed() || !self.goes_on_reading() {
            return false;
        }
        if let Some(remainder) = self.duplexes.remainder.take() {
            let Remainder { mut batch, end, .. } = *remainder;
            let read = Poll::Ready(end.map_or(Ok(()), Err));
            return self.take_read(&mut batch, read, cx);
        }
        let Some(socket) = &mut self.duplexes.main else {
            return false;
        };
        let mut reading = Reading::many();
        let read = socket.poll_packets(cx, &mut reading);
        let unfinished = socket.take_unfinished();
        self.time_message(unfinished);
        let batch = &mut reading.batch;
        self.count_received(batch.len(), batch.read_bytes());
        let again = self.take_read(batch, read, cx);
        reading.put_back();
        again
    }

    /// Feeds the packets of a read to the session, and its end when there are none left. Returns true if there is more
    /// to be taken at once.
    fn take_read(
        &mut self,
        batch: &mut Batch,
        read: Poll<Result<(), End>>,
        cx: &mut Context<'_>,
    ) -> bool {
        let any = !batch.is_empty();
        if any {
            self.feed(batch, cx);
            if self.session.is_closed() {
                return false;
            }
            if !batch.is_empty() {
                let end = match read {
                    Poll::Ready(Err(end)) => Some(end),
                    Poll::Ready(Ok(())) | Poll::Pending => None,
                };
                self.duplexes.keep(batch, end);
                return self.goes_on_reading();
            }
        }
        self.duplexes.more = matches!(read, Poll::Ready(Ok(())));
        match read {
            Poll::Pending => {
                if any {
                    self.goes_on_reading();
                }
                false
            }
            Poll::Ready(Ok(())) => self.goes_on_reading(),
            Poll::Ready(Err(end)) => {
                self.ended(end, cx);
                false
            }
        }
    }

    /// Returns true unless the reading is paused, in which case the time of a message stands still: its rest may have
    /// arrived.
    fn goes_on_reading(&mut self) -> bool {
        let paused = self.check_paused();
        if paused {
            self.timers.set(Deadline::Message, None);
        }
        !paused
    }

    /// Feeds packets to the session while it takes them.
    fn feed(&mut self, batch: &mut Batch, cx: &mut Context<'_>) {
        let mut taken = 0;
        while let Some(packet) = batch.next() {
            self.input(SessionInput::Packet(packet), cx);
            taken += 1;
            if self.dispatch.is_full() || self.session.is_closed() || self.has_used_share(taken) {
                break;
            }
        }
    }

    /// Handles the end of the transport.
    fn ended(&mut self, end: End, cx: &mut Context<'_>) {
        tracing::debug!(end = end.to_string(), "transport ended");
        let reason = match &end {
            End::Closed(_) | End::Lost(_) | End::Ours(_) => DisconnectReason::TransportClose,
            End::Undecodable(_) => {
                // A close frame that has been ordered is still sent.
                return self.input(SessionInput::Lost(DisconnectReason::ParseError), cx);
            }
            End::Violation(violation) => {
                // The packets before the violation are answered.
                self.write_socket(cx);
                self.registration.too_large = self.is_too_big(*violation);
                DisconnectReason::TransportError
            }
        };
        self.duplexes.end = Some(Box::new(end));
        self.input(SessionInput::Lost(reason), cx);
    }

    /// Sets the deadline of a message that has begun.
    fn time_message(&mut self, unfinished: Unfinished) {
        let timed = self.timers.get(Deadline::Message).is_some();
        match unfinished {
            Unfinished::Nothing if !timed => return,
            Unfinished::Nothing => return self.timers.set(Deadline::Message, None),
            Unfinished::Same if timed => return,
            Unfinished::Same | Unfinished::New => {}
        }
        let by = self.now + self.message_timeout();
        self.timers.set(Deadline::Message, Some(by));
    }

    fn message_timeout(&self) -> Duration {
        self.dispatch.server.settings.engine.message_timeout()
    }

    /// Closes the connection if a message takes too long, unless the rest of it may have been received and not been
    /// read. Time in which the thread was blocked does not count.
    pub(super) fn check_message(&mut self, by: Instant) {
        if self.duplexes.more {
            return;
        }
        let late = self.now - by;
        if late > LATE {
            return self.timers.set(Deadline::Message, Some(self.now + late));
        }
        self.timers.set(Deadline::Message, None);
        let timeout = self.message_timeout();
        tracing::debug!(?timeout, "message takes longer than `message_timeout`");
        let counters = self.dispatch.counters();
        counters.add(Counted::InputTimeouts(LateInput::Message), 1);
        if self.session.is_open() {
            let farewell = Farewell::policy("message takes too long");
            self.duplexes.end = Some(Box::new(End::Ours(farewell)));
        }
        let lost = SessionInput::Lost(DisconnectReason::TransportError);
        self.session.handle(lost, self.now);
    }

    /// Returns true if the violation is that a message is over a limit, and reports that.
    pub(super) fn is_too_big(&self, violation: TransportViolation) -> bool {
        let Some(exceeded) = violation.exceeded() else {
            return false;
        };
        let over = match exceeded {
            Exceeded::Length { limit, size } => OverLimit::payload(limit, size),
            Exceeded::Ratio(limit) => OverLimit::ratio(limit),
        };
        over.report(&self.dispatch.server, &self.client);
        true
    }

    /// Counts the packets and bytes of one read.
    fn count_received(&self, packets: usize, bytes: usize) {
        if packets > 0 {
            let counters = self.dispatch.counters();
            counters.add_all([
                (Counted::ReceivedPackets, packets),
                (Counted::ReceivedBytes, bytes),
            ]);
        }
    }
}

/// Drops a request, since the session has just closed. The request notices that.
fn refuse(inbound: InboundRequest) {
    if let InboundRequest::Probe(socket) = inbound {
        close_in_background(socket);
    }
}
