//! The acknowledgements of many clients: a stream with a summary.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use futures_core::Stream;
use serde::de::DeserializeOwned;

use super::ack_error::AckError;
use super::emitted::Emitted;
use super::wait::{Timer, Wait};
use crate::adapter::{Answers, Publication, SentRequest, ServerCount, Unanswered};
use crate::metrics::Counted;
use crate::namespace::Recipients;
use crate::outbox::EmitError;
use crate::rooms::Target;
use crate::sync::Lock;
use proto::{Args, ArgsError, EncodedArgs, Sid};

/// The state of an event that was sent to many sockets with acknowledgements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AckSummary {
    /// The number of sockets that the event was sent to.
    pub asked: usize,
    /// The number of sockets that have answered.
    pub answered: usize,
    /// The sockets that have not answered yet; after the end of the stream, those that did not answer in time. At
    /// most a million without known ids are listed.
    pub missing: Vec<Sid>,
    /// The number of other servers of a cluster that have not said which sockets they ask; after the end of the stream,
    /// those that did not do it in time. It is 1 if the engine has not told how many servers there are.
    pub silent_servers: usize,
    /// The sockets that left before answering.
    pub left: Vec<Sid>,
    /// The sockets that the event was not queued for: the outbox was full, or the event volatile and the client not
    /// ready.
    pub unsent: Vec<Sid>,
    /// The sockets whose answer could not be deserialized into the requested type.
    pub unreadable: Vec<Sid>,
}

/// The acknowledgements of many clients, in the order in which they arrive; returned by
/// [`BroadcastOperator::emit_with_ack`](crate::BroadcastOperator::emit_with_ack).
///
/// The stream does not wait for clients that leave. In a cluster with Node.js servers, the answers of their clients
/// have the id [`Sid::UNNAMED`], as these servers do not say which socket has answered.
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
    /// The pending acknowledgements, which are removed on drop.
    asked: Option<(Recipients, SentRequest)>,
    unreadable: Vec<Sid>,
    /// The last error of an answer that could not be deserialized.
    mismatch: Option<ArgsError>,
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
    /// The number of unanswered events for each socket: in several namespaces, sockets may have the same id.
    missing: HashMap<Sid, usize>,
    servers: Servers,
    left: Vec<Sid>,
    unsent: Vec<Sid>,
    answers: VecDeque<(Sid, Args)>,
    waker: Option<Waker>,
}

/// The other servers that take part.
#[derive(Default)]
struct Servers {
    /// The number of those that have not said which sockets they ask.
    silent: isize,
    /// What is known about their number, if there are others.
    count: Option<ServerCount>,
}

impl Servers {
    fn count(&mut self, count: ServerCount) {
        self.count = Some(count);
        if let ServerCount::Known(count) = count {
            self.silent += isize::try_from(count).unwrap_or(isize::MAX);
        }
    }

    /// Returns true if no server has to be waited for. Without the engine, there is no server that could answer.
    fn are_complete(&self) -> bool {
        match self.count {
            Some(ServerCount::Pending) => false,
            Some(ServerCount::Unknown) => true,
            Some(ServerCount::Known(_)) | None => self.silent <= 0,
        }
    }

    fn silent(&self) -> usize {
        match self.count {
            Some(ServerCount::Pending | ServerCount::Unknown) => 1,
            Some(ServerCount::Known(_)) | None => self.silent.max(0).unsigned_abs(),
        }
    }
}

/// The maximum number of sockets without known ids that are listed.
const MAX_UNNAMED: usize = 1_000_000;

impl Collected {
    /// Returns true if no more answers will arrive.
    fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.servers.are_complete()
    }

    fn ask(&mut self, id: Sid, count: usize) {
        if count > 0 {
            self.asked = self.asked.saturating_add(count);
            let missing = self.missing.entry(id).or_default();
            *missing = missing.saturating_add(count);
        }
    }

    fn missing(&self) -> Vec<Sid> {
        let each = self.missing.iter();
        each.flat_map(|(id, count)| std::iter::repeat_n(*id, (*count).min(MAX_UNNAMED)))
            .collect()
    }

    fn missing_count(&self) -> usize {
        let each = self.missing.values();
        each.fold(0, |sum, count| sum.saturating_add(*count))
    }
}

impl Collector {
    /// Changes the collection, and wakes the stream.
    fn change(&self, change: impl FnOnce(&mut Collected)) {
        let mut collected = self.0.lock();
        change(&mut collected);
        let waker = collected.waker.take();
        drop(collected);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Removes a socket from the missing ones, and notes its result. Does nothing if it was not missing.
    fn settle(&self, id: Sid, note: impl FnOnce(&mut Collected)) {
        self.change(|collected| {
            let Some(count) = collected.missing.get_mut(&id) else {
                return;
            };
            *count -= 1;
            if *count == 0 {
                collected.missing.remove(&id);
            }
            note(collected);
        });
    }
}

impl Answers for Collector {
    fn asked(&self, ids: Vec<Sid>) {
        self.change(|collected| ids.into_iter().for_each(|id| collected.ask(id, 1)));
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

    fn asked_unnamed(&self, count: usize) {
        self.change(|collected| collected.ask(Sid::UNNAMED, count));
    }

    fn left_unnamed(&self, count: usize) {
        self.change(|collected| {
            let missing = { collected.missing.get(&Sid::UNNAMED) }.map_or(0, |missing| *missing);
            let left = count.min(missing);
            if left == missing {
                collected.missing.remove(&Sid::UNNAMED);
            } else {
                collected.missing.insert(Sid::UNNAMED, missing - left);
            }
            let left = std::iter::repeat_n(Sid::UNNAMED, left.min(MAX_UNNAMED));
            collected.left.extend(left);
        });
    }

    fn count_servers(&self, count: ServerCount) {
        self.change(|collected| collected.servers.count(count));
    }

    fn expect_servers(&self, change: isize) {
        self.change(|collected| collected.servers.silent += change);
    }
}

impl<R: DeserializeOwned> AckStream<R> {
    pub(super) fn ask(
        recipients: Recipients,
        target: &Target,
        args: EncodedArgs,
        wait: Wait,
    ) -> Self {
        let shared = Arc::<Collector>::default();
        let timer = Timer::new(wait, recipients.ack_timeout);
        let asked = recipients.adapter.broadcast_with_ack(
            Publication { args, target },
            wait.limit(recipients.ack_timeout),
            Arc::clone(&shared) as _,
        );
        Self {
            asked: Some((recipients, asked)),
            shared,
            timer,
            unreadable: Vec::new(),
            mismatch: None,
            error: None,
            timed_out: false,
            answer: PhantomData,
        }
    }

    /// Creates an empty stream for an event that was sent to no socket.
    pub(super) fn failed(emitted: Emitted) -> Self {
        Self {
            shared: Arc::default(),
            timer: Timer::Never,
            asked: None,
            unreadable: Vec::new(),
            mismatch: None,
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

    /// Polls for the answer of the only socket that was asked.
    pub(super) fn poll_single(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, AckError>> {
        let answer = ready!(self.poll_answer(cx));
        Poll::Ready(answer.map_or_else(|| Err(self.failure()), |(_, answer)| Ok(answer)))
    }

    /// Returns the reason why the only socket that was asked has not answered.
    fn failure(&mut self) -> AckError {
        if let Some(error) = self.error.take() {
            return error.into();
        }
        if let Some(error) = self.mismatch.take() {
            return AckError::Decode(error);
        }
        let summary = self.summary();
        // Without the engine, the server of the socket has not been asked.
        if self.timed_out || !summary.missing.is_empty() || summary.silent_servers > 0 {
            AckError::Timeout
        } else if summary.unsent.is_empty() {
            AckError::Closed
        } else {
            AckError::Dropped
        }
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Option<(Sid, R)>> {
        loop {
            let answer = {
                let mut collected = self.shared.0.lock();
                let answer = collected.answers.pop_front();
                if answer.is_none() {
                    if collected.is_complete() {
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
                        self.mismatch = Some(error);
                    }
                },
                None if self.timer.has_run_out(cx) => {
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
        if let Some((recipients, _)) = &self.asked
            && !std::mem::replace(&mut self.timed_out, true)
        {
            let missing = self.shared.0.lock().missing_count();
            recipients.counters.add(Counted::AcksTimedOut, missing);
        }
    }

    /// Returns the sockets that were asked, have answered, or are missing, as known so far.
    #[must_use]
    pub fn summary(&self) -> AckSummary {
        let collected = self.shared.0.lock();
        AckSummary {
            asked: collected.asked,
            answered: collected.answered,
            missing: collected.missing(),
            silent_servers: collected.servers.silent(),
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
        let Some((recipients, asked)) = &self.asked else {
            return;
        };
        let mut collected = self.shared.0.lock();
        let missing = std::mem::take(&mut collected.missing);
        let unanswered = Unanswered {
            sockets: missing.into_keys().collect(),
            servers: collected.servers.silent() > 0,
        };
        drop(collected);
        recipients.adapter.forget_answers(asked, unanswered);
    }
}

impl<R> fmt::Debug for AckStream<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AckStream")
            .field("summary", &self.summary())
            .finish_non_exhaustive()
    }
}
