//! The requests of polling that are pending: the GET that waits for packets and the POST that brings some.

use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use tokio::sync::oneshot;

use super::inbox::{PollAnswer, PostAnswer};
use crate::outbox::{Outbox, Pressure, Readiness, Written};
use crate::transport::{Body, collect};
use proto::engine_io::Revision;
use proto::session::{Control, SessionInput};
use proto::{DisconnectReason, engine_io};

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

/// The result of an attempt to answer a poll.
#[derive(Debug, Default)]
pub(super) struct PollWrite {
    /// The input for the session.
    pub(super) input: Option<SessionInput>,
    pub(super) pressure: Pressure,
    /// The part of the outbox that the answer contains.
    pub(super) written: Written,
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

    /// Opens a poll. Returns the loss of the transport if another one is pending.
    pub(super) fn open(&mut self, poll: oneshot::Sender<PollAnswer>) -> Option<SessionInput> {
        if self.poll.is_some() {
            tracing::debug!("overlapping polls");
            let _ = poll.send(PollAnswer::Overlap);
            return Some(SessionInput::Lost(DisconnectReason::TransportError));
        }
        self.poll = Some(poll);
        None
    }

    /// Records that the pending poll arrived while the session was closing.
    pub(super) const fn mark_late(&mut self) {
        self.late = true;
    }

    /// Returns the loss of the transport if the client has cancelled the pending poll.
    pub(super) fn check(&mut self, cx: &mut Context<'_>) -> Option<SessionInput> {
        let closed = self.poll.as_mut()?.poll_closed(cx).is_ready();
        closed.then(|| self.lost())
    }

    fn lost(&mut self) -> SessionInput {
        tracing::debug!("poll closed prematurely");
        self.poll = None;
        SessionInput::Lost(DisconnectReason::TransportError)
    }

    /// Answers a pending poll with the queued packets and with the packet that the session owes, if there are any.
    pub(super) fn write(
        &mut self,
        outbox: &Arc<Outbox>,
        owed: &mut Option<Control>,
        revision: Revision,
        now: Instant,
    ) -> PollWrite {
        let transport = match self.poll {
            Some(_) => Readiness::Ready,
            None => Readiness::Stalled,
        };
        if self.poll.is_none() || (owed.is_none() && outbox.is_empty()) {
            return PollWrite {
                pressure: outbox.record_written(Written::default(), transport),
                ..PollWrite::default()
            };
        }
        let owed = owed.take();
        let collected = collect(outbox, owed, revision, self.max_packets);
        let written = collected.written;
        let (body, settled) = collected.send(outbox);
        let pressure = outbox.record_written(settled, Readiness::Stalled);
        self.answered = now;
        let sent = self
            .poll
            .take()
            .map(|poll| poll.send(PollAnswer::Payload(body)));
        let input = match sent {
            Some(Err(_)) => Some(self.lost()),
            Some(Ok(())) if owed == Some(Control::Ping) => Some(SessionInput::PingSent),
            _ => None,
        };
        PollWrite {
            input,
            pressure,
            written,
        }
    }

    /// Answers the pending poll with packets of the protocol. Returns true if there was one.
    pub(super) fn answer(
        &mut self,
        controls: &[Control],
        revision: Revision,
        now: Instant,
    ) -> bool {
        let Some(poll) = self.poll.take() else {
            return false;
        };
        let packets = controls.iter().map(|control| control.text());
        let _ = poll.send(PollAnswer::Payload(Body::of(packets, revision)));
        self.answered = now;
        true
    }

    /// Returns the packets for a poll that is pending when the session closes.
    pub(super) const fn last_packets(&self, reason: DisconnectReason) -> &'static [Control] {
        // A client that has closed the session itself needs no close packet.
        match reason {
            DisconnectReason::TransportClose => &[Control::Noop],
            _ if self.late => &[Control::Noop, Control::Close],
            _ => &[Control::Close],
        }
    }

    /// Begins to take the packets of a POST.
    pub(super) fn begin_post(
        &mut self,
        packets: engine_io::PostBody,
        done: oneshot::Sender<PostAnswer>,
    ) {
        self.post = Some(Post { packets, done });
    }

    /// Returns true if a POST has not been answered.
    pub(super) fn has_post(&self) -> bool {
        self.post.is_some()
    }

    /// Returns true if packets of a POST are left to be taken.
    pub(super) fn has_packets(&self) -> bool {
        self.post
            .as_ref()
            .is_some_and(|post| !post.packets.is_done())
    }

    /// Returns the size of the body of a POST whose packets are being taken, in bytes.
    pub(super) fn post_bytes(&self) -> usize {
        self.post.as_ref().map_or(0, |post| post.packets.size())
    }

    /// Returns the next packet of the POST, or the loss of the transport. Answers the POST if there is none left.
    pub(super) fn next_packet(&mut self) -> Option<SessionInput> {
        match self.post.as_mut()?.packets.next() {
            Some(Ok(packet)) => Some(SessionInput::Packet(packet)),
            Some(Err(error)) => {
                tracing::debug!(error = error.to_string(), "undecodable payload");
                self.answer_post(PostAnswer::Undecodable);
                Some(SessionInput::Lost(DisconnectReason::ParseError))
            }
            None => {
                self.answer_post(PostAnswer::Taken);
                None
            }
        }
    }

    pub(super) fn answer_post(&mut self, answer: PostAnswer) {
        if let Some(post) = self.post.take() {
            let _ = post.done.send(answer);
        }
    }
}
