//! A connection over polling: the GET that waits for packets and the POST that brings some.

use std::task::Context;
use std::time::Instant;

use tokio::sync::oneshot;

use super::inbox::{Inbound, PollAnswer, PostAnswer};
use super::sockets::close_in_background;
use super::task::Connection;
use crate::outbox::{Pressure, Written};
use crate::transport::{Body, collect};
use proto::session::{Control, Input};
use proto::{DisconnectReason, engine_io};

/// The number of packets of a POST that are taken before the answers to them are written.
const BATCH: usize = 128;

/// The requests that are pending.
#[derive(Debug)]
pub(super) struct Polls {
    poll: Option<oneshot::Sender<PollAnswer>>,
    /// The most packets that an answer carries.
    max_packets: Option<usize>,
    /// The time at which the last poll was answered or the session opened.
    pub(super) answered: Instant,
    /// True if the pending poll arrived while the session was closing.
    late: bool,
    post: Option<Post>,
}

/// A POST whose packets are being taken.
#[derive(Debug)]
struct Post {
    packets: engine_io::PostBody,
    done: oneshot::Sender<PostAnswer>,
}

impl Polls {
    pub(super) fn new(max_packets: Option<usize>, now: Instant) -> Self {
        Self {
            poll: None,
            max_packets,
            answered: now,
            late: false,
            post: None,
        }
    }

    pub(super) fn is_pending(&self) -> bool {
        self.poll.is_some()
    }

    /// Returns true if packets of a POST are left to be taken.
    pub(super) fn has_post(&self) -> bool {
        self.post.is_some()
    }

    /// Returns the size of the body of a POST whose packets are being taken, in bytes.
    pub(super) fn post_bytes(&self) -> usize {
        self.post.as_ref().map_or(0, |post| post.packets.size())
    }
}

impl Connection {
    pub(super) fn take_requests(&mut self, cx: &mut Context<'_>) {
        // Polls are taken even while a POST waits for its handlers, so that the packets that these emit can be sent.
        while let Some((inbound, at)) = self.presence.entry.inbox.pop() {
            self.check_arrival(at, cx);
            if self.session.is_closed() {
                return refuse(inbound);
            }
            match inbound {
                Inbound::Poll(poll) => {
                    // The WebSocket is read first, since the client may have sent `2probe` and `5` before this poll.
                    let _ = self.read_probe(cx) && self.read_probe(cx);
                    self.open_poll(poll, cx);
                }
                Inbound::Post(packets, done) => {
                    self.polls.post = Some(Post { packets, done });
                }
                // The transport of this request is not used any more.
                Inbound::Broken(_) | Inbound::TooLarge if self.sockets.main.is_some() => {}
                Inbound::Broken(reason) => self.input(Input::Lost(reason), cx),
                Inbound::TooLarge => {
                    self.presence.too_large = true;
                    self.input(Input::Lost(DisconnectReason::TransportError), cx);
                }
                Inbound::Probe(socket) => {
                    self.sockets.probe = Some(socket);
                    self.input(Input::ProbeOpened, cx);
                }
                Inbound::ProbeFailed => self.probe_over(),
            }
        }
    }

    /// Checks whether the client has cancelled the pending poll.
    pub(super) fn check_poll(&mut self, cx: &mut Context<'_>) {
        let poll = self.polls.poll.as_mut();
        if poll.is_some_and(|poll| poll.poll_closed(cx).is_ready()) {
            self.poll_lost(cx);
        }
    }

    fn open_poll(&mut self, poll: oneshot::Sender<PollAnswer>, cx: &mut Context<'_>) {
        if self.polls.poll.is_some() {
            tracing::debug!("overlapping polls");
            let _ = poll.send(PollAnswer::Overlap);
            self.input(Input::Lost(DisconnectReason::TransportError), cx);
            return;
        }
        if self.sockets.main.is_some() {
            let _ = poll.send(PollAnswer::Upgraded);
            return;
        }
        self.polls.late |= self.session.is_closing();
        self.polls.poll = Some(poll);
        self.client.outbox.stall(false);
        if self.owed.is_none() && self.client.outbox.is_empty() {
            self.input(Input::PollOpened, cx);
        }
    }

    fn poll_lost(&mut self, cx: &mut Context<'_>) {
        tracing::debug!("poll closed prematurely");
        self.polls.poll = None;
        self.input(Input::Lost(DisconnectReason::TransportError), cx);
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
                self.answer_post(PostAnswer::Taken);
            }
            let paused = self.check_paused();
            let Some(post) = &mut self.polls.post else {
                return false;
            };
            if paused && !post.packets.is_done() {
                return false;
            }
            match post.packets.next() {
                Some(Ok(packet)) => {
                    *taken += 1;
                    self.input(Input::Packet(packet), cx);
                    if self.has_used_share(*taken) {
                        return true;
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(error = error.to_string(), "undecodable payload");
                    self.answer_post(PostAnswer::Undecodable);
                    self.input(Input::Lost(DisconnectReason::ParseError), cx);
                }
                None => self.answer_post(PostAnswer::Taken),
            }
        }
        true
    }

    /// Answers a pending poll with the queued packets. Returns whether the client keeps up.
    pub(super) fn write_poll(&mut self, cx: &mut Context<'_>) -> Pressure {
        let outbox = &self.client.outbox;
        let (closing, owed) = (self.session.is_closing(), self.owed);
        let nothing = owed.is_none() && outbox.is_empty();
        if self.polls.poll.is_none() || (nothing && !closing) {
            return outbox.settle(Written::default(), self.polls.poll.is_none());
        }
        if closing && outbox.is_empty() {
            // A close packet is sent alone: official clients ignore the packets in one payload with it.
            self.session.handle(Input::Flushed, self.now);
            return Pressure::default();
        }
        let collected = collect(outbox, owed, self.client.revision, self.polls.max_packets);
        self.owed = None;
        self.polls.answered = self.now;
        self.count_sent(collected.written);
        let outbox = &self.client.outbox;
        let (body, written) = collected.send(outbox);
        let pressure = outbox.settle(written, true);
        if let Some(poll) = self.polls.poll.take() {
            if poll.send(PollAnswer::Payload(body)).is_err() {
                self.poll_lost(cx);
            } else if owed == Some(Control::Ping) {
                self.session.handle(Input::PingSent, self.now);
            }
        }
        pressure
    }

    /// Answers the pending requests, since the session is closed.
    pub(super) fn end_polls(&mut self, reason: DisconnectReason) {
        // A client that has closed the session itself needs no close packet.
        self.answer_poll(match reason {
            DisconnectReason::TransportClose => &[Control::Noop],
            _ if self.polls.late => &[Control::Noop, Control::Close],
            _ => &[Control::Close],
        });
        self.answer_post(PostAnswer::Taken);
    }

    pub(super) fn answer_poll(&mut self, controls: &[Control]) {
        if let Some(poll) = self.polls.poll.take() {
            let _ = poll.send(PollAnswer::Payload(self.controls(controls)));
            self.polls.answered = self.now;
            self.client.outbox.stall(true);
        }
    }

    fn controls(&self, controls: &[Control]) -> Body {
        Body::of(
            controls.iter().map(|control| control.text()),
            self.client.revision,
        )
    }

    fn answer_post(&mut self, answer: PostAnswer) {
        if let Some(post) = self.polls.post.take() {
            let _ = post.done.send(answer);
        }
    }
}

/// Drops a request, since the session has just closed. The request notices that.
fn refuse(inbound: Inbound) {
    if let Inbound::Probe(socket) = inbound {
        close_in_background(socket);
    }
}
