//! Events to other servers, and their answers.

use std::fmt;
use std::future::ready as resolved;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ack_error::AckError;
use super::emitted::Emitted;
use super::wait::Wait;
use crate::adapter::{BoxFuture, ServerReplies};
use crate::namespace::{Recipients, server_args};
use proto::Args;

/// The answers of the other servers.
///
/// See [`NamespaceHandle::server_side_emit_with_ack`](crate::NamespaceHandle::server_side_emit_with_ack).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerAnswers<R> {
    /// The answers, one of each server that has answered.
    pub answers: Vec<R>,
    /// The number of servers without an answer in time: they do not handle the event, their handler failed or
    /// panicked, or they are slow. It is at least 1 if the engine has not told how many servers there are.
    pub missing: usize,
}

/// Sends an event to the other servers.
pub(super) fn emit_to_servers<T: Serialize>(
    recipients: &Recipients,
    event: &str,
    args: &T,
) -> Emitted {
    let sent = server_args(event, args);
    let sent = sent.map(|args| recipients.adapter.emit_to_servers(event, &args));
    Emitted::published_or_not(sent, &recipients.counters)
}

/// The pending answers of other servers; returned by
/// [`NamespaceHandle::server_side_emit_with_ack`](crate::NamespaceHandle::server_side_emit_with_ack).
#[must_use = "the event is sent, but nobody hears the answers"]
pub struct ServerAckFuture<R> {
    asked: BoxFuture<Result<ServerReplies, AckError>>,
    answer: PhantomData<fn() -> R>,
}

impl<R> ServerAckFuture<R> {
    /// Sends the event at once.
    pub(super) fn ask<T: Serialize>(
        recipients: &Recipients,
        event: &str,
        args: &T,
        wait: Wait,
    ) -> Self {
        let limit = wait.limit(recipients.ack_timeout);
        let ask = |args: Args| recipients.adapter.ask_servers(event, &args, limit);
        let asked = server_args(event, args).map(ask);
        Self {
            asked: Box::pin(async move { Ok(asked?.await) }),
            answer: PhantomData,
        }
    }

    /// Creates the future of an event that was not sent.
    pub(super) fn failed(emitted: Emitted) -> Self {
        let result = emitted.into_result().map_err(AckError::from);
        let asked = resolved(result.map(|()| ServerReplies::default()));
        Self {
            asked: Box::pin(asked),
            answer: PhantomData,
        }
    }
}

impl<R: DeserializeOwned> Future for ServerAckFuture<R> {
    type Output = Result<ServerAnswers<R>, AckError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ServerReplies { answers, missing } = ready!(self.asked.as_mut().poll(cx))?;
        let answers = answers.iter().map(Args::deserialize);
        let answers = answers.collect::<Result<_, _>>().map_err(AckError::Decode);
        Poll::Ready(answers.map(|answers| ServerAnswers { answers, missing }))
    }
}

impl<R> fmt::Debug for ServerAckFuture<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerAckFuture").finish_non_exhaustive()
    }
}
