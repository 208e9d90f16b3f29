//! The messages that wait to be sent.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use proto::cluster::PublishError;

/// The maximum number of messages that are sent together.
const BATCH: usize = 256;

/// The size that a waiting message counts in addition to its bytes.
const OVERHEAD: usize = 128;

/// The messages that wait to be sent, with their channels.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Notify,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<(String, Bytes)>,
    bytes: usize,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            max_bytes,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, channel: String, message: Bytes) -> Result<(), PublishError> {
        let mut state = self.state();
        if state.closed {
            return Err(PublishError::Closed);
        }
        let size = size(&channel, &message);
        if state.bytes + size > self.max_bytes {
            return Err(PublishError::Full);
        }
        state.bytes += size;
        state.messages.push_back((channel, message));
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
    }

    /// Drops all messages if the queue is closed. Returns their number, or `None` if it is open.
    pub(crate) fn give_up(&self) -> Option<usize> {
        let mut state = self.state();
        state.closed.then(|| {
            state.bytes = 0;
            std::mem::take(&mut state.messages).len()
        })
    }

    /// Waits for messages, and takes some of them. Returns `None` if the queue is closed and empty.
    pub(crate) async fn take(&self) -> Option<Vec<(String, Bytes)>> {
        loop {
            let (batch, closed) = self.take_some();
            if !batch.is_empty() {
                return Some(batch);
            }
            if closed {
                return None;
            }
            self.changed.notified().await;
        }
    }

    /// Takes some messages. Returns true if the queue is closed as well.
    fn take_some(&self) -> (Vec<(String, Bytes)>, bool) {
        let mut state = self.state();
        let count = state.messages.len().min(BATCH);
        let batch: Vec<_> = state.messages.drain(..count).collect();
        let size: usize = batch
            .iter()
            .map(|(channel, message)| size(channel, message))
            .sum();
        state.bytes -= size;
        (batch, state.closed)
    }
}

fn size(channel: &str, message: &Bytes) -> usize {
    channel.len() + message.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_fit_is_refused_and_the_rest_is_taken_after_the_end() {
        let queue = Queue::new(400);
        let push = || queue.push("c".to_owned(), Bytes::from_static(b"message"));
        assert_eq!((push(), push()), (Ok(()), Ok(())));
        assert_eq!(push(), Err(PublishError::Full));
        assert_eq!(queue.take().await.map(|batch| batch.len()), Some(2));
        assert_eq!(push(), Ok(()));
        queue.close();
        assert_eq!(push(), Err(PublishError::Closed));
        assert_eq!(queue.take().await.map(|batch| batch.len()), Some(1));
        assert_eq!(queue.take().await, None);
    }
}
