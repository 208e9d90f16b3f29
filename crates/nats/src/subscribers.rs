//! The subscriptions of a connection, in the order in which their messages arrived.

use std::collections::{HashMap, HashSet};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use async_nats::Subscriber;
use bytes::Bytes;
use futures_util::stream::{AbortHandle, Abortable, SelectAll, Stream, StreamExt};
use tokio::task::unconstrained;

use crate::subjects::NatsTopic;

/// The maximum number of messages that are taken together.
const MAX_TAKEN: usize = 65_536;

/// The origin of a message.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Topic(Arc<NatsTopic>),
    /// The connection itself, which finds out that its subscriptions have been made.
    Echo,
}

/// A subscription with its source.
struct Sourced {
    source: Source,
    subscriber: Subscriber,
}

impl Stream for Sourced {
    type Item = (Source, Bytes);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let message = std::task::ready!(self.subscriber.poll_next_unpin(cx));
        Poll::Ready(message.map(|message| (self.source.clone(), message.payload)))
    }
}

/// The subscriptions of a connection.
///
/// The client has a queue for each of them, so the order between them is lost. It is found again by the numbers of the
/// messages: the client fills the queues in the order of arrival, so when all queues are empty, everything that has
/// arrived before a message has been taken too.
#[derive(Default)]
pub(crate) struct Subscribers {
    streams: SelectAll<Abortable<Sourced>>,
    handles: HashMap<NatsTopic, AbortHandle>,
}

impl Subscribers {
    pub(crate) fn contains(&self, topic: &NatsTopic) -> bool {
        self.handles.contains_key(topic)
    }

    pub(crate) fn insert(&mut self, topic: &NatsTopic, subscriber: Subscriber) {
        let (handle, registration) = AbortHandle::new_pair();
        let source = Source::Topic(Arc::new(topic.clone()));
        let sourced = Sourced { source, subscriber };
        self.streams.push(Abortable::new(sourced, registration));
        if let Some(replaced) = self.handles.insert(topic.clone(), handle) {
            replaced.abort();
        }
    }

    pub(crate) fn insert_echo(&mut self, subscriber: Subscriber) {
        // It lasts as long as the connection.
        let (_, registration) = AbortHandle::new_pair();
        let source = Source::Echo;
        let sourced = Sourced { source, subscriber };
        self.streams.push(Abortable::new(sourced, registration));
    }

    /// Ends a subscription.
    pub(crate) fn remove(&mut self, topic: &NatsTopic) {
        if let Some(handle) = self.handles.remove(topic) {
            handle.abort();
        }
    }

    /// Ends the subscriptions to all other topics.
    pub(crate) fn retain(&mut self, topics: &[NatsTopic]) {
        let topics: HashSet<_> = topics.iter().collect();
        self.handles.retain(|topic, handle| {
            let is_kept = topics.contains(topic);
            if !is_kept {
                handle.abort();
            }
            is_kept
        });
    }

    /// Waits for messages, and takes all that have arrived.
    pub(crate) async fn next(&mut self) -> Vec<(Source, Bytes)> {
        // Otherwise the queues may look empty when the task has worked for a while.
        unconstrained(poll_fn(|cx| self.poll_all(cx))).await
    }

    fn poll_all(&mut self, cx: &Context<'_>) -> Poll<Vec<(Source, Bytes)>> {
        let woken = Arc::new(Woken {
            again: AtomicBool::new(false),
            task: cx.waker().clone(),
        });
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        let mut taken = Vec::new();
        while taken.len() < MAX_TAKEN {
            match self.streams.poll_next_unpin(&mut cx) {
                Poll::Ready(Some(message)) => taken.push(message),
                Poll::Ready(None) => break,
                // It may return early, and says so by waking itself.
                Poll::Pending if woken.again.swap(false, Ordering::AcqRel) => {}
                Poll::Pending => break,
            }
        }
        if taken.is_empty() {
            return Poll::Pending;
        }
        Poll::Ready(taken)
    }
}

/// A waker that also knows whether it has been woken.
struct Woken {
    again: AtomicBool,
    task: Waker,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.again.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}
