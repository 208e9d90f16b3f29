//! A connection over WebSocket: the WebSocket in use, and one that probes in order to replace polling.

use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use super::task::{CLOSE_HANDSHAKE, Connection};
use super::timers::Deadline;
use crate::metrics::{Counted, Place};
use crate::outbox::{Outbox, Pressure, Written};
use crate::server::OverLimit;
use crate::transport::{Batch, End, Exceeded, Farewell, Reading, Unfinished, Violation, WebSocket};
use proto::DisconnectReason;
use proto::engine_io::{Packet, Transport};
use proto::session::{Control, Input};

const RECEIVED_PACKETS: Place = Place::of(Counted::ReceivedPackets);
const RECEIVED_BYTES: Place = Place::of(Counted::ReceivedBytes);

/// The WebSockets of a connection.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// The WebSocket in use, unless the transport is polling.
    pub(super) main: Option<Box<WebSocket>>,
    pub(super) probe: Option<Box<WebSocket>>,
    /// The rest of its last read.
    left: Option<Box<Left>>,
    /// True if more may have been received by it than has been handled.
    more: bool,
    /// The reason of its end, for the closing handshake.
    pub(super) end: Option<Box<End>>,
}

/// The rest of a read for which the connection was too busy. Nothing more is read before it has been handled.
#[derive(Debug)]
struct Left {
    batch: Batch,
    /// The memory that the packets hold, in bytes.
    bytes: usize,
    /// The end of the transport, behind the packets.
    end: Option<End>,
}

impl Sockets {
    pub(super) fn new(main: Option<WebSocket>) -> Self {
        Self {
            main: main.map(Box::new),
            ..Self::default()
        }
    }

    /// Returns true if a part of an unfinished message has arrived since the last call.
    pub(super) fn more_of_a_message(&mut self) -> bool {
        self.main.as_mut().is_some_and(|main| main.take_progress())
    }

    /// Returns true if more may have been received than has been handled.
    pub(super) const fn may_have_more(&self) -> bool {
        self.more
    }

    /// Writes as much as the connection takes; see [`WebSocket::try_write`].
    pub(super) fn try_write(&mut self, outbox: &Outbox) -> Option<Pressure> {
        self.main.as_mut()?.try_write(outbox)
    }

    /// Returns the size of the input that both have received and that has not been handled, in bytes.
    pub(super) fn unfinished(&self) -> usize {
        let both = [&self.main, &self.probe].into_iter().flatten();
        let unfinished: usize = both.map(|socket| socket.unfinished()).sum();
        unfinished + self.left.as_ref().map_or(0, |left| left.bytes)
    }

    /// Keeps the rest of a read.
    fn keep(&mut self, batch: &mut Batch, end: Option<End>) {
        let batch = std::mem::take(batch);
        let bytes = batch.held_bytes();
        self.left = Some(Box::new(Left { batch, bytes, end }));
        self.more = true;
    }

    /// Answers the probe, and writes the answer as far as possible at once: the poll is released next, and the client
    /// should read the answer first.
    pub(super) fn answer_probe(&mut self, cx: &mut Context<'_>) {
        if let Some(probe) = &mut self.probe {
            if !probe.push_packet(Packet::PONG_PROBE.as_bytes()) {
                tracing::debug!("too many probes of a client that does not read the answers");
            }
            // The next write of the probe, which is in this round, returns the error again.
            let _ = probe.poll_write(cx);
        }
    }

    /// Performs the closing handshakes of the remaining WebSockets.
    pub(super) async fn farewell(self) {
        if let Some(probe) = self.probe {
            close_in_background(probe);
        }
        if let Some(main) = self.main {
            main.close(self.end.as_deref()).await;
        }
    }
}

impl Connection {
    /// Reads the WebSocket. Returns true if it should be read again at once.
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> bool {
        if self.session.is_closed() || !self.goes_on_reading() {
            return false;
        }
        if let Some(left) = self.sockets.left.take() {
            let Left { mut batch, end, .. } = *left;
            let read = Poll::Ready(end.map_or(Ok(()), Err));
            return self.take_read(&mut batch, read, cx);
        }
        let Some(socket) = &mut self.sockets.main else {
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
                self.sockets.keep(batch, end);
                return self.goes_on_reading();
            }
        }
        self.sockets.more = matches!(read, Poll::Ready(Ok(())));
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
            self.input(Input::Packet(packet), cx);
            taken += 1;
            if self.dispatch.is_full() || self.session.is_closed() || self.has_used_share(taken) {
                break;
            }
        }
    }

    /// Handles the end of the WebSocket.
    fn ended(&mut self, end: End, cx: &mut Context<'_>) {
        tracing::debug!(end = end.to_string(), "websocket ended");
        let reason = match &end {
            End::Closed(_) | End::Lost(_) | End::Ours(_) => DisconnectReason::TransportClose,
            End::Undecodable(_) => {
                // A close frame that has been ordered is still sent.
                return self.input(Input::Lost(DisconnectReason::ParseError), cx);
            }
            End::Violation(violation) => {
                // The packets before the violation are answered.
                self.write_socket(cx);
                self.presence.too_large = self.is_too_big(*violation);
                DisconnectReason::TransportError
            }
        };
        self.sockets.end = Some(Box::new(end));
        self.input(Input::Lost(reason), cx);
    }

    /// Sets the deadline of a message that has begun.
    fn time_message(&mut self, unfinished: Unfinished) {
        match unfinished {
            Unfinished::Nothing => return self.timers.set(Deadline::Message, None),
            Unfinished::Same if self.timers.get(Deadline::Message).is_some() => return,
            Unfinished::Same | Unfinished::New => {}
        }
        let by = self.now + self.message_timeout();
        self.timers.set(Deadline::Message, Some(by));
    }

    fn message_timeout(&self) -> Duration {
        self.dispatch.server.settings.engine.message_timeout()
    }

    /// Closes the connection if a message takes too long, unless the rest of it may have been received and not been
    /// read.
    pub(super) fn check_message(&mut self) {
        if self.sockets.more {
            return;
        }
        self.timers.set(Deadline::Message, None);
        let timeout = self.message_timeout();
        tracing::debug!(?timeout, "message takes longer than `message_timeout`");
        let counters = self.dispatch.counters();
        counters.add_for(Counted::InputTimeouts, "message", 1);
        if self.session.is_open() {
            let farewell = Farewell::policy("message takes too long");
            self.sockets.end = Some(Box::new(End::Ours(farewell)));
        }
        let lost = Input::Lost(DisconnectReason::TransportError);
        self.session.handle(lost, self.now);
    }

    /// Returns true if the violation is that a message is over a limit, and reports that.
    fn is_too_big(&self, violation: Violation) -> bool {
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
    pub(super) fn count_received(&self, packets: usize, bytes: usize) {
        if packets > 0 {
            let counters = self.dispatch.counters();
            counters.add_all([(RECEIVED_PACKETS, packets), (RECEIVED_BYTES, bytes)]);
        }
    }

    pub(super) fn count_sent(&self, written: Written) {
        if written.packets > 0 {
            self.dispatch
                .counters()
                .add_sent(written.packets, written.bytes);
        }
    }

    /// Reads and writes the WebSocket that probes. Returns true if it should be read again at once.
    pub(super) fn read_probe(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(probe) = &mut self.sockets.probe else {
            return false;
        };
        // One packet is read at a time: the packets after the upgrade belong to the session.
        let mut reading = Reading::one();
        let read = probe.poll_packets(cx, &mut reading);
        let packet = reading.batch.next();
        reading.put_back();
        // The read may have ended after many frames that are not packets.
        let any = matches!(read, Poll::Ready(Ok(())));
        if let Some(packet) = packet {
            self.input(Input::ProbePacket(packet), cx);
        } else if let Poll::Ready(Err(end)) = read {
            if let End::Violation(violation) = end {
                self.is_too_big(violation);
            }
            self.probe_lost(cx);
        }
        if let Some(probe) = &mut self.sockets.probe
            && let Poll::Ready(Err(_)) = probe.poll_write(cx)
        {
            self.probe_lost(cx);
        }
        any
    }

    fn probe_lost(&mut self, cx: &mut Context<'_>) {
        self.probe_over();
        self.input(Input::ProbeLost, cx);
    }

    pub(super) fn probe_over(&mut self) {
        if let Some(probe) = self.sockets.probe.take() {
            close_in_background(probe);
        }
        self.dispatch
            .counters()
            .add_for(Counted::Upgrades, "failed", 1);
        self.presence
            .entry
            .upgrading
            .store(false, Ordering::Release);
    }

    pub(super) fn upgrade(&mut self) {
        self.answer_poll(&[Control::Noop]);
        self.sockets.main = self.sockets.probe.take();
        self.client.set_transport(Transport::WebSocket);
        self.presence.entry.inbox.shrink();
        let counters = self.dispatch.counters();
        counters.add_for(Counted::Upgrades, "done", 1);
        counters.sub_for(Counted::Connections, Transport::Polling.as_str());
        counters.add_for(Counted::Connections, Transport::WebSocket.as_str(), 1);
        let outbox = &self.client.outbox;
        outbox.stall(false);
        if let Some(main) = &self.sockets.main {
            main.open_direct(outbox);
        }
    }

    /// Writes the queued packets. Returns whether the client keeps up.
    pub(super) fn write_socket(&mut self, cx: &mut Context<'_>) -> Pressure {
        let Some(socket) = &mut self.sockets.main else {
            return Pressure::default();
        };
        if let Some(owed) = self.owed.take() {
            socket.owe(owed.text());
        }
        let (write, pressure) = socket.poll_outbox(&self.client.outbox, cx);
        if self.session.owes_ping() && !socket.owes_packets() {
            self.session.handle(Input::PingSent, self.now);
        }
        let written = socket.take_written();
        self.count_sent(written);
        match write {
            Poll::Ready(Err(error)) => {
                tracing::debug!(error = error.to_string(), "cannot write");
                self.sockets.end = Some(Box::new(End::Lost(error)));
                let lost = Input::Lost(DisconnectReason::TransportClose);
                self.session.handle(lost, self.now);
            }
            Poll::Ready(Ok(())) if self.session.is_closing() => {
                self.session.handle(Input::Flushed, self.now);
            }
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        pressure
    }
}

pub(super) fn close_in_background(socket: Box<WebSocket>) {
    tokio::spawn(turn_away(*socket));
}

/// Closes a WebSocket that no session takes.
pub(crate) async fn turn_away(socket: WebSocket) {
    let _ = tokio::time::timeout(CLOSE_HANDSHAKE, socket.close(None)).await;
}
