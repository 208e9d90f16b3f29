//! The messages that wait to be sent to an engine.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;

use super::PublishError;

/// The maximum number of messages that are sent together.
const BATCH: usize = 256;

/// The size that a waiting message counts in addition to its bytes.
const OVERHEAD: usize = 128;

/// The place that a message is sent to: by default, the name of a channel.
pub trait Destination {
    /// Returns the size that it counts in the queue, in bytes.
    fn size(&self) -> usize;
}

impl Destination for String {
    fn size(&self) -> usize {
        self.len()
    }
}

/// The messages that wait to be sent, with their destinations, within a limit. One task takes them.
#[derive(Debug)]
pub struct PublishQueue<D = String> {
    state: Mutex<State<D>>,
    max_bytes: usize,
}

#[derive(Debug)]
struct State<D> {
    messages: VecDeque<Queued<D>>,
    bytes: usize,
    closed: bool,
    /// The time of the oldest of the messages that have been taken and may not have been sent yet.
    taken: Option<Instant>,
    /// The task that waits for messages.
    waiting: Option<Waker>,
    /// The tasks that wait until all messages have been sent.
    flushing: Vec<Waker>,
}

/// A message that waits.
#[derive(Debug)]
struct Queued<D> {
    destination: D,
    message: Bytes,
    since: Instant,
}

/// The messages that wait in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueueState {
    pub(super) messages: usize,
    pub(super) bytes: usize,
    /// The time since which the oldest message waits. Messages that have been taken wait until more are taken.
    pub(super) since: Option<Instant>,
}

impl<D: Destination> PublishQueue<D> {
    /// Creates an empty queue for messages of at most this size, in bytes. Each message counts 128 bytes more than its
    /// destination and content.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self {
            state: Mutex::new(State {
                messages: VecDeque::new(),
                bytes: 0,
                closed: false,
                taken: None,
                waiting: None,
                flushing: Vec::new(),
            }),
            max_bytes,
        }
    }

    fn state(&self) -> MutexGuard<'_, State<D>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a message, at this time.
    ///
    /// # Errors
    ///
    /// Fails if the message does not fit, or if the queue has been closed.
    pub fn push(&self, to: D, message: Bytes, now: Instant) -> Result<(), PublishError> {
        let mut state = self.state();
        if state.closed {
            return Err(PublishError::Closed);
        }
        let queued = Queued {
            destination: to,
            message,
            since: now,
        };
        let bytes = state.bytes.saturating_add(queued.size());
        if bytes > self.max_bytes {
            return Err(PublishError::Full);
        }
        state.bytes = bytes;
        state.messages.push_back(queued);
        wake(state);
        Ok(())
    }

    /// Closes the queue: nothing more is added, and the messages that wait can still be taken.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        wake(state);
    }

    /// Drops all messages if the queue is closed. Returns their number, or `None` if it is open.
    pub fn give_up(&self) -> Option<usize> {
        let mut state = self.state();
        let given_up = state.closed.then(|| {
            state.bytes = 0;
            std::mem::take(&mut state.messages).len()
        });
        if given_up.is_some() {
            sent(state);
        }
        given_up
    }

    pub(super) fn waiting(&self) -> QueueState {
        let state = self.state();
        let first = state.messages.front().map(|first| first.since);
        QueueState {
            messages: state.messages.len(),
            bytes: state.bytes,
            since: state.taken.or(first),
        }
    }

    /// Waits until all messages have been taken, and more were to be taken after them: then they have been sent, or are
    /// lost.
    pub async fn flushed(&self) {
        poll_fn(|cx| {
            let mut state = self.state();
            if state.messages.is_empty() && state.taken.is_none() {
                return Poll::Ready(());
            }
            if !state
                .flushing
                .iter()
                .any(|waker| waker.will_wake(cx.waker()))
            {
                state.flushing.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// Waits for messages, and takes at most 256 of them. Returns `None` if the queue is closed and empty. Nothing is
    /// taken if the future is dropped. The messages that were taken before have been sent, or are lost.
    pub async fn take(&self) -> Option<Vec<(D, Bytes)>> {
        poll_fn(|cx| self.poll_take(cx)).await
    }

    fn poll_take(&self, cx: &Context<'_>) -> Poll<Option<Vec<(D, Bytes)>>> {
        let mut state = self.state();
        let count = state.messages.len().min(BATCH);
        if count == 0 {
            let closed = state.closed;
            if !closed {
                state.waiting = Some(cx.waker().clone());
            }
            sent(state);
            return if closed {
                Poll::Ready(None)
            } else {
                Poll::Pending
            };
        }
        state.taken = state.messages.front().map(|first| first.since);
        let sizes = state.messages.iter().take(count).map(Queued::size);
        state.bytes -= sizes.sum::<usize>();
        let batch = state.messages.drain(..count);
        let batch = batch
            .map(|queued| (queued.destination, queued.message))
            .collect();
        if state.messages.is_empty() {
            // The queue was long in an outage.
            state.messages.shrink_to(BATCH);
        }
        Poll::Ready(Some(batch))
    }
}

/// Wakes the task that waits, when the lock has been released.
fn wake<D>(mut state: MutexGuard<'_, State<D>>) {
    let waiting = state.waiting.take();
    drop(state);
    if let Some(waiting) = waiting {
        waiting.wake();
    }
}

/// Wakes the tasks that wait until all messages have been sent, when the lock has been released.
fn sent<D>(mut state: MutexGuard<'_, State<D>>) {
    state.taken = None;
    let flushing = std::mem::take(&mut state.flushing);
    drop(state);
    flushing.into_iter().for_each(Waker::wake);
}

impl<D: Destination> Queued<D> {
    fn size(&self) -> usize {
        self.destination.size() + self.message.len() + OVERHEAD
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn push(queue: &PublishQueue) -> Result<(), PublishError> {
        let message = Bytes::from_static(b"message");
        queue.push("c".to_owned(), message, Instant::now())
    }

    /// Takes messages without waiting. Returns their number.
    fn take(queue: &PublishQueue) -> Poll<Option<usize>> {
        let taken = pin!(queue.take()).poll(&mut Context::from_waker(Waker::noop()));
        taken.map(|batch| batch.map(|batch| batch.len()))
    }

    #[test]
    fn messages_that_do_not_fit_are_refused_and_the_rest_is_taken_after_the_end() {
        let queue = PublishQueue::new(400);
        assert_eq!((push(&queue), push(&queue)), (Ok(()), Ok(())));
        assert_eq!(push(&queue), Err(PublishError::Full));
        assert_eq!(queue.give_up(), None);
        assert_eq!(take(&queue), Poll::Ready(Some(2)));
        assert_eq!(push(&queue), Ok(()));
        queue.close();
        assert_eq!(push(&queue), Err(PublishError::Closed));
        assert_eq!(take(&queue), Poll::Ready(Some(1)));
        assert_eq!(take(&queue), Poll::Ready(None));
    }

    #[test]
    fn a_closed_queue_gives_up_what_it_has() {
        let queue = PublishQueue::new(usize::MAX);
        for _ in 0..2 * BATCH {
            push(&queue).unwrap();
        }
        assert_eq!(take(&queue), Poll::Ready(Some(BATCH)));
        queue.close();
        assert_eq!(queue.give_up(), Some(BATCH));
        assert_eq!(take(&queue), Poll::Ready(None));
    }

    #[test]
    fn a_task_that_waits_is_woken_by_a_message_and_by_the_end() {
        let queue = PublishQueue::new(usize::MAX);
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut cx = Context::from_waker(&waker);
        let woken = || wakes.0.load(Ordering::Relaxed);
        {
            let mut taking = pin!(queue.take());
            assert!(taking.as_mut().poll(&mut cx).is_pending());
            push(&queue).unwrap();
            assert_eq!(woken(), 1);
            assert!(taking.poll(&mut cx).is_ready());
        }
        let mut taking = pin!(queue.take());
        assert!(taking.as_mut().poll(&mut cx).is_pending());
        queue.close();
        assert_eq!(woken(), 2);
        assert_eq!(taking.poll(&mut cx), Poll::Ready(None));
    }

    #[test]
    fn it_is_flushed_when_more_could_be_taken() {
        let queue = PublishQueue::new(1000);
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut cx = Context::from_waker(&waker);
        assert_eq!(pin!(queue.flushed()).poll(&mut cx), Poll::Ready(()));
        push(&queue).unwrap();
        let mut flushed = pin!(queue.flushed());
        assert!(flushed.as_mut().poll(&mut cx).is_pending());
        assert!(take(&queue).is_ready());
        assert!(flushed.as_mut().poll(&mut cx).is_pending(), "not sent yet");
        assert!(queue.waiting().since.is_some());
        assert!(take(&queue).is_pending());
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert_eq!(flushed.poll(&mut cx), Poll::Ready(()));
        assert_eq!(queue.waiting().since, None);

        push(&queue).unwrap();
        let mut flushed = pin!(queue.flushed());
        assert!(flushed.as_mut().poll(&mut cx).is_pending());
        queue.close();
        assert_eq!(queue.give_up(), Some(1));
        assert_eq!(flushed.poll(&mut cx), Poll::Ready(()), "nobody sends it");
    }
}
