//! The acknowledgements of many clients: a stream with a summary.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use serde::de::DeserializeOwned;

use super::emitted::Emitted;
use super::wait::{Timer, Wait, has_run_out, timer};
use crate::adapter::Answers;
use crate::metrics::Counted;
use crate::outbox::EmitError;
use crate::rooms::Target;
use crate::socket::SocketNamespace;
use crate::sync::Lock;
use proto::{Args, EncodedArgs, Sid};

/// The state of an event that was sent to many sockets with acknowledgements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AckSummary {
    /// The number of sockets that the event was sent to.
    pub asked: usize,
    /// The number of sockets that have answered.
    pub answered: usize,
    /// The sockets that have not answered yet; after the end of the stream, those that did not answer in time.
    pub missing: Vec<Sid>,
    /// The sockets that left before answering.
    pub left: Vec<Sid>,
    /// The sockets that the event was not queued for: the outbox was full, or the event volatile and the client not
    /// ready.
    pub unsent: Vec<Sid>,
    /// The sockets whose answer could not be deserialized into the requested type.
    pub unreadable: Vec<Sid>,
}

/// The acknowledgements of many clients, in the order in which they arrive; returned by
/// [`Broadcast::emit_with_ack`](crate::Broadcast::emit_with_ack).
///
/// The stream does not wait for clients that leave.
///
/// ```
/// # use axum_socketio::SocketIo;
/// # async fn f(io: SocketIo) {
/// let mut votes = io.to("raft").emit_with_ack::<bool>("vote", 7);
/// while let Some((id, vote)) = votes.next().await {
///     println!("{id}: {vote}");
/// }
/// println!("silent: {:?}", votes.summary().missing);
/// # }
/// ```
#[must_use = "the event is sent, but nobody hears the answers"]
pub struct AckStream<R> {
    shared: Arc<Collector>,
    timer: Timer,
    /// The namespaces with the ids of their pending acknowledgements, which are removed on drop.
    asked: Vec<(Arc<SocketNamespace>, u64)>,
    unreadable: Vec<Sid>,
    error: Option<EmitError>,
    timed_out: bool,
    answer: PhantomData<fn() -> R>,
}

#[derive(Default)]
struct Collector(Lock<Collected>);

#[derive(Default)]
struct Collected {
    asked: usize,
    answered: usize,
    /// Each socket with the number of its question, since a socket's id is unique within its namespace only.
    missing: HashSet<(usize, Sid)>,
    left: Vec<Sid>,
    unsent: Vec<Sid>,
    answers: VecDeque<(Sid, Args)>,
    waker: Option<Waker>,
}

/// The request for acknowledgements in one namespace.
struct Question {
    number: usize,
    shared: Arc<Collector>,
}

impl Question {
    /// Removes a socket from the missing ones, notes its result and wakes the stream. Does nothing if it was not
    /// missing.
    fn settle(&self, id: Sid, note: impl FnOnce(&mut Collected)) {
        let mut collected = self.shared.0.lock();
        if !collected.missing.remove(&(self.number, id)) {
            return;
        }
        note(&mut collected);
        let waker = collected.waker.take();
        drop(collected);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Answers for Question {
    fn asked(&self, ids: Vec<Sid>) {
        let mut collected = self.shared.0.lock();
        collected.asked += ids.len();
        let missing = ids.into_iter().map(|id| (self.number, id));
        collected.missing.extend(missing);
    }

    fn answer(&self, id: Sid, answer: Option<Args>) {
        self.settle(id, |collected| match answer {
            Some(args) => {
                collected.answered += 1;
                collected.answers.push_back((id, args));
            }
            None => collected.left.push(id),
        });
    }

    fn unsent(&self, id: Sid) {
        self.settle(id, |collected| collected.unsent.push(id));
    }
}

impl<R: DeserializeOwned> AckStream<R> {
    pub(super) fn ask(
        namespaces: Vec<Arc<SocketNamespace>>,
        target: &Target,
        args: &EncodedArgs,
        wait: Wait,
    ) -> Self {
        let shared = Arc::new(Collector::default());
        let timer = namespaces
            .first()
            .and_then(|namespace| timer(wait, namespace.options.ack_timeout));
        let ask = |(number, namespace): (usize, Arc<SocketNamespace>)| {
            let id = namespace.next_ack_id();
            let shared = Arc::clone(&shared);
            namespace.ask(
                target,
                args.clone(),
                id,
                Arc::new(Question { number, shared }),
            );
            (namespace, id)
        };
        Self {
            asked: namespaces.into_iter().enumerate().map(ask).collect(),
            shared,
            timer,
            unreadable: Vec::new(),
            error: None,
            timed_out: false,
            answer: PhantomData,
        }
    }

    /// Creates an empty stream for an event that was sent to no socket.
    pub(super) fn failed(emitted: Emitted) -> Self {
        Self {
            shared: Arc::default(),
            timer: None,
            asked: Vec::new(),
            unreadable: Vec::new(),
            error: emitted.into_result().err(),
            timed_out: false,
            answer: PhantomData,
        }
    }

    /// Returns the error if the event was not sent: it could not be encoded, its name is reserved, or the server has no
    /// such namespace.
    #[must_use]
    pub fn error(&self) -> Option<&EmitError> {
        self.error.as_ref()
    }

    /// Waits for the next acknowledgement and returns it with the id of its socket.
    pub async fn next(&mut self) -> Option<(Sid, R)> {
        std::future::poll_fn(|cx| self.poll_answer(cx)).await
    }

    /// Waits until every socket has answered or left, or the timeout has passed, and returns all acknowledgements.
    pub async fn all(mut self) -> (Vec<(Sid, R)>, AckSummary) {
        let mut answers = Vec::new();
        while let Some(answer) = self.next().await {
            answers.push(answer);
        }
        let summary = self.summary();
        (answers, summary)
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Option<(Sid, R)>> {
        loop {
            let answer = {
                let mut collected = self.shared.0.lock();
                let answer = collected.answers.pop_front();
                if answer.is_none() {
                    if collected.missing.is_empty() {
                        return Poll::Ready(None);
                    }
                    collected.waker = Some(cx.waker().clone());
                }
                answer
            };
            match answer {
                Some((id, args)) => match args.deserialize() {
                    Ok(answer) => return Poll::Ready(Some((id, answer))),
                    Err(error) => {
                        tracing::debug!(socket = %id, error = error.to_string(), "unreadable acknowledgement");
                        self.unreadable.push(id);
                    }
                },
                None if has_run_out(&mut self.timer, cx) => {
                    self.time_out();
                    return Poll::Ready(None);
                }
                None => return Poll::Pending,
            }
        }
    }
}

impl<R> AckStream<R> {
    /// Counts the missing acknowledgements as timed out, once even if the stream is polled again.
    fn time_out(&mut self) {
        if let Some((namespace, _)) = self.asked.first()
            && !std::mem::replace(&mut self.timed_out, true)
        {
            let missing = self.shared.0.lock().missing.len();
            namespace.counters.add(Counted::AcksTimedOut, missing);
        }
    }

    /// Returns the sockets that were asked, have answered, or are missing, as known so far.
    #[must_use]
    pub fn summary(&self) -> AckSummary {
        let collected = self.shared.0.lock();
        AckSummary {
            asked: collected.asked,
            answered: collected.answered,
            missing: collected.missing.iter().map(|(_, id)| *id).collect(),
            left: collected.left.clone(),
            unsent: collected.unsent.clone(),
            unreadable: self.unreadable.clone(),
        }
    }
}

impl<R: DeserializeOwned> Stream for AckStream<R> {
    type Item = (Sid, R);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_answer(cx)
    }
}

impl<R> Drop for AckStream<R> {
    fn drop(&mut self) {
        let missing: Vec<_> = self.shared.0.lock().missing.drain().collect();
        for (number, (namespace, id)) in self.asked.iter().enumerate() {
            let of_it = missing.iter().filter(|(question, _)| *question == number);
            let of_it: Vec<_> = of_it.map(|(_, sid)| *sid).collect();
            if !of_it.is_empty() {
                namespace.adapter.forget_answers(*id, &of_it);
            }
        }
    }
}

impl<R> fmt::Debug for AckStream<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AckStream")
            .field("summary", &self.summary())
            .finish_non_exhaustive()
    }
}
