//! The acknowledgement of one client.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::ack_error::AckError;
use super::wait::{Timer, Wait};
use crate::metrics::{Counted, Counters};
use crate::outbox::SendOptions;
use crate::rooms::AckAnswer;
use crate::socket::{Socket, SocketMember};

/// The acknowledgement of one client; returned by [`Socket::emit_with_ack`].
#[must_use = "the event is sent, but nobody hears the answer"]
pub struct AckFuture<R> {
    state: Progress,
    timer: Timer,
    /// The member and the id of the pending acknowledgement, which is removed on drop.
    asked: Option<(Arc<SocketMember>, u64)>,
    counters: Arc<Counters>,
    answer: PhantomData<fn() -> R>,
}

enum Progress {
    Failed(Option<AckError>),
    Waiting(oneshot::Receiver<AckAnswer>),
}

impl<R: DeserializeOwned> AckFuture<R> {
    pub(super) fn ask<T: Serialize>(
        socket: &Socket,
        event: &str,
        args: &T,
        options: SendOptions,
        wait: Wait,
    ) -> Self {
        let id = socket.namespace().next_ack_id();
        let (sender, receiver) = oneshot::channel();
        let member = socket.member();
        member.expect_ack(id, Box::new(move |answer| drop(sender.send(answer))));
        let asked = Some((Arc::clone(member), id));
        let state = match socket.send_question(event, args, id, options) {
            Ok(true) => Progress::Waiting(receiver),
            Ok(false) => Progress::Failed(Some(AckError::Dropped)),
            Err(error) => Progress::Failed(Some(error.into())),
        };
        Self {
            state,
            timer: Timer::new(wait, socket.namespace().options.ack_timeout),
            asked,
            counters: Arc::clone(&socket.namespace().counters),
            answer: PhantomData,
        }
    }
}

impl<R: DeserializeOwned> Future for AckFuture<R> {
    type Output = Result<R, AckError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let answer = match &mut this.state {
            Progress::Failed(error) => {
                return Poll::Ready(Err(error.take().unwrap_or(AckError::Closed)));
            }
            Progress::Waiting(receiver) => Pin::new(receiver).poll(cx),
        };
        match answer {
            Poll::Ready(Ok(Some(args))) => {
                Poll::Ready(args.deserialize().map_err(AckError::Decode))
            }
            Poll::Ready(Ok(None) | Err(_)) => Poll::Ready(Err(AckError::Closed)),
            Poll::Pending if this.timer.has_run_out(cx) => {
                this.counters.add(Counted::AcksTimedOut, 1);
                Poll::Ready(Err(AckError::Timeout))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<R> Drop for AckFuture<R> {
    fn drop(&mut self) {
        if let Some((member, id)) = self.asked.take() {
            let unanswered = member.acks.lock().take(id);
            drop(unanswered);
        }
    }
}

impl<R> fmt::Debug for AckFuture<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AckFuture").finish_non_exhaustive()
    }
}
