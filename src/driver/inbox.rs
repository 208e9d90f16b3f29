//! The queue from HTTP requests to the task of their connection.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Instant;

use tokio::sync::{Notify, oneshot};

use crate::sync::Lock;
use crate::transport::{Body, Duplex};
use proto::{DisconnectReason, engine_io};

/// The number of requests that may wait for the task. A client that follows the protocol has at most three: a poll, a
/// POST and an upgrade.
const LIMIT: usize = 8;

/// A request, or the result of one.
#[derive(Debug)]
pub(crate) enum InboundRequest {
    /// A poll. The answer's receiver is dropped when the client gives up.
    Poll(oneshot::Sender<PollAnswer>),
    /// The body of a POST. It is answered when all its packets have been taken.
    Post(engine_io::PostBody, oneshot::Sender<PostAnswer>),
    /// A request broke the rules of the transport.
    Broken(DisconnectReason),
    /// The body of a POST is longer than the limit.
    TooLarge,
    /// A full-duplex transport that asks to replace polling.
    Probe(Duplex),
    /// The upgrade failed before the handshake of the new transport was complete.
    ProbeFailed,
}

/// The answer to a poll.
#[derive(Debug)]
pub(crate) enum PollAnswer {
    Payload(Body),
    /// Another poll was pending: 400.
    Overlap,
    /// A full-duplex transport has replaced polling: 400.
    Upgraded,
}

/// The answer to a POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PostAnswer {
    /// All its packets have been taken, or the session ended while they were.
    Taken,
    /// The body contains something that is not a packet.
    Undecodable,
}

/// The reason for which a request was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotQueued {
    /// The session is over.
    Closed,
    /// Too many requests wait, so the client breaks the protocol.
    Full,
}

/// A bounded queue. It has no waker: the code that adds a request nudges the task.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Lock<State>,
    closed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The requests, each with the time of its arrival.
    waiting: VecDeque<(InboundRequest, Instant)>,
    closed: bool,
}

impl Inbox {
    pub(super) fn push(&self, inbound: InboundRequest, at: Instant) -> Result<(), NotQueued> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(NotQueued::Closed);
        }
        if state.waiting.len() >= LIMIT {
            return Err(NotQueued::Full);
        }
        state.waiting.push_back((inbound, at));
        Ok(())
    }

    pub(super) fn pop(&self) -> Option<(InboundRequest, Instant)> {
        self.state.lock().waiting.pop_front()
    }

    /// Frees the memory of the queue. A connection that does not poll receives no more requests.
    pub(super) fn shrink(&self) {
        self.state.lock().waiting.shrink_to_fit();
    }

    /// Closes the queue and drops its requests, which ends their waiting for an answer.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.closed.notify_waiters();
        drop(waiting);
    }

    /// Resolves when the queue is closed.
    pub(super) fn closed(&self) -> impl Future<Output = ()> + Send {
        let closed = self.closed.notified();
        async move {
            let mut closed = std::pin::pin!(closed);
            closed.as_mut().enable();
            if !self.state.lock().closed {
                closed.await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::timers::now;

    #[test]
    fn it_takes_a_few_requests_and_none_when_it_is_closed() {
        let inbox = Inbox::default();
        for _ in 0..LIMIT {
            assert_eq!(inbox.push(InboundRequest::ProbeFailed, now()), Ok(()));
        }
        assert_eq!(
            inbox.push(InboundRequest::ProbeFailed, now()),
            Err(NotQueued::Full)
        );
        assert!(inbox.pop().is_some());
        let (answer, mut waiting) = oneshot::channel();
        inbox.push(InboundRequest::Poll(answer), now()).unwrap();
        inbox.close();
        assert!(waiting.try_recv().is_err(), "its sender is gone");
        assert!(inbox.pop().is_none());
        assert_eq!(
            inbox.push(InboundRequest::ProbeFailed, now()),
            Err(NotQueued::Closed)
        );
    }
}
