//! What requests hand to the task of their connection.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Instant;

use tokio::sync::{Notify, oneshot};

use crate::engine::DisconnectReason;
use crate::protocol::engine_io;
use crate::sync::Lock;
use crate::transport::{Body, WebSocket};

/// Requests that may wait for the task. A client that keeps the rules has three at most: a poll, a POST and an upgrade.
const LIMIT: usize = 8;

/// What a request wants.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// A poll. The answer's receiver is dropped when the client gives up.
    Poll(oneshot::Sender<PollAnswer>),
    /// The body of a POST. It is answered when all its packets have been taken.
    Post(engine_io::Body, oneshot::Sender<PostAnswer>),
    /// A request broke the rules of the transport.
    Broken(DisconnectReason),
    /// The body of a POST is longer than the limit.
    TooLarge,
    /// A WebSocket that wants to take over.
    Probe(Box<WebSocket>),
    /// It did not come to it.
    ProbeFailed,
}

/// How a poll ends.
#[derive(Debug)]
pub(crate) enum PollAnswer {
    Payload(Body),
    /// Another poll was pending: 400.
    Overlap,
    /// A WebSocket has become the transport: 400.
    Upgraded,
}

/// How a POST ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PostAnswer {
    /// All its packets have been taken, or the session ended while they were.
    Taken,
    /// It holds something that is no packet.
    Undecodable,
}

/// Why a request was not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The session is over.
    Closed,
    /// Too many wait: its client breaks the rules.
    Full,
}

/// A bounded queue. It has no waker: who puts something in nudges the task.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Lock<State>,
    closed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// With the time at which each has arrived.
    waiting: VecDeque<(Inbound, Instant)>,
    closed: bool,
}

impl Inbox {
    pub(super) fn push(&self, inbound: Inbound, at: Instant) -> Result<(), Refused> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.waiting.len() >= LIMIT {
            return Err(Refused::Full);
        }
        state.waiting.push_back((inbound, at));
        Ok(())
    }

    pub(super) fn pop(&self) -> Option<(Inbound, Instant)> {
        self.state.lock().waiting.pop_front()
    }

    /// Frees the memory of the queue: a connection over WebSocket gets no more requests.
    pub(super) fn shrink(&self) {
        self.state.lock().waiting.shrink_to_fit();
    }

    /// Takes nothing any more. Whoever waits for an answer hears that the session is gone.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.closed.notify_waiters();
        drop(waiting);
    }

    /// Resolves when it takes nothing any more.
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
            assert_eq!(inbox.push(Inbound::ProbeFailed, now()), Ok(()));
        }
        assert_eq!(inbox.push(Inbound::ProbeFailed, now()), Err(Refused::Full));
        assert!(inbox.pop().is_some());
        let (answer, mut waiting) = oneshot::channel();
        inbox.push(Inbound::Poll(answer), now()).unwrap();
        inbox.close();
        assert!(waiting.try_recv().is_err(), "its sender is gone");
        assert!(inbox.pop().is_none());
        assert_eq!(
            inbox.push(Inbound::ProbeFailed, now()),
            Err(Refused::Closed)
        );
    }
}
