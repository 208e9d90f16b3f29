//! Events between servers.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytestring::ByteString;
use futures_util::future::join_all;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::Instrument;

use super::nsp::Handlers;
use super::operators::Wait;
use super::{AckError, Cause, Emitted, Nsp, ServerLogs, in_full};
use crate::adapter::{self, BoxFuture, ServerSide};
use crate::metrics::{Counted, Counters};
use crate::outbox::EmitError;
use crate::panics::{Panicked, guarded_future};
use proto::{Args, ArgsError, EncodedArgs};

/// An event of another server; see [`Namespace::on_server`](crate::Namespace::on_server).
#[derive(Clone, Debug)]
pub struct ServerEvent {
    nsp: Arc<str>,
    event: Box<str>,
    args: Args,
}

impl ServerEvent {
    /// Returns the event's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.event
    }

    /// Returns the namespace in which the event was sent, with the slash.
    #[must_use]
    pub fn nsp(&self) -> &str {
        &self.nsp
    }

    /// Deserializes the arguments like [`Data`](crate::Data): a tuple takes several, any other type the first.
    ///
    /// # Errors
    ///
    /// Fails if the arguments are of another type.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, ArgsError> {
        self.args.deserialize()
    }
}

/// A handler of events of other servers, with its answer.
pub(crate) type ServerHandler =
    Arc<dyn Fn(ServerEvent) -> BoxFuture<Result<Args, EmitError>> + Send + Sync>;

/// Encodes the arguments of an event between servers, or of its answer, without the event's name.
pub(crate) fn server_args<T: Serialize + ?Sized>(args: &T) -> Result<Args, EmitError> {
    let args = EncodedArgs::ack(args).map_err(EmitError::Serialize)?;
    let json = ByteString::from(args.json());
    Ok(Args::new(json, args.attachments().to_vec()))
}

/// The answers of the other servers.
///
/// See [`Broadcast::server_side_emit_with_ack`](crate::Broadcast::server_side_emit_with_ack).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerAnswers<R> {
    /// The answers, one of each server that has answered.
    pub answers: Vec<R>,
    /// The number of servers without an answer in time: they do not handle the event, their handler panicked, or they
    /// are slow.
    pub missing: usize,
}

/// The handlers of a namespace for events of other servers.
pub(super) struct Ears {
    pub(super) nsp: Arc<str>,
    pub(super) handlers: Arc<Handlers>,
    pub(super) logs: Arc<ServerLogs>,
}

impl ServerSide for Ears {
    fn hear(&self, event: &str, args: Args) -> BoxFuture<Option<Args>> {
        let Some(handler) = self.handlers.servers.get(event) else {
            tracing::debug!(
                nsp = &*self.nsp,
                event,
                "no handler for this event of a server"
            );
            return Box::pin(std::future::ready(None));
        };
        let (handler, logs, nsp) = (
            Arc::clone(handler),
            Arc::clone(&self.logs),
            Arc::clone(&self.nsp),
        );
        let name: Box<str> = event.into();
        // The span has no parent, since the event may come from another process.
        let span = tracing::debug_span!(parent: None, "server event", nsp = &*self.nsp, event);
        let event = ServerEvent {
            nsp: Arc::clone(&self.nsp),
            event: name.clone(),
            args,
        };
        let answer = async move {
            match guarded_future(|| handler(event)).await {
                Ok(Ok(answer)) => return Some(answer),
                Ok(Err(error)) => logs.server_answer_failed(&nsp, &name, &error),
                Err(panicked) => logs.server_handler_panicked(&nsp, &name, &panicked),
            }
            None
        };
        Box::pin(answer.instrument(span))
    }
}

impl ServerLogs {
    /// Counts and logs a panic in a handler for events of other servers.
    pub(super) fn server_handler_panicked(&self, nsp: &str, event: &str, panicked: &Panicked) {
        let hook = "on_server";
        self.counters().add_for(Counted::HookPanics, hook, 1);
        if self.allow() {
            tracing::error!(
                hook,
                nsp,
                event,
                panic = panicked.message(),
                "hook panicked"
            );
        }
    }

    /// Counts and logs an answer to another server that cannot be serialized.
    pub(super) fn server_answer_failed(&self, nsp: &str, event: &str, error: &EmitError) {
        let cause = Cause::Serialize.as_str();
        self.counters().add_for(Counted::ServerErrors, cause, 1);
        if self.allow() {
            let error = in_full(error);
            tracing::warn!(
                nsp,
                event,
                error,
                "cannot serialize the answer to another server"
            );
        }
    }
}

/// Sends an event to the other servers.
pub(super) fn tell<T: Serialize>(
    nsps: &[Arc<Nsp>],
    event: &str,
    args: &T,
    counters: &Counters,
) -> Emitted {
    let told = server_args(args).map(|args| {
        for nsp in nsps {
            nsp.adapter.tell_servers(event, &args);
        }
    });
    Emitted::new(told, counters)
}

/// The pending answers of other servers; returned by
/// [`Broadcast::server_side_emit_with_ack`](crate::Broadcast::server_side_emit_with_ack).
#[must_use = "the event is sent, but nobody hears the answers"]
pub struct ServerAckFuture<R> {
    asked: BoxFuture<Result<adapter::ServerAnswers, AckError>>,
    answer: PhantomData<fn() -> R>,
}

impl<R> ServerAckFuture<R> {
    /// Sends the event at once.
    pub(super) fn ask<T: Serialize>(nsps: &[Arc<Nsp>], event: &str, args: &T, wait: Wait) -> Self {
        let ask = |args: Args| {
            let ask = |nsp: &Arc<Nsp>| {
                let limit = wait.limit(nsp.options.ack_timeout);
                nsp.adapter.ask_servers(event, &args, limit)
            };
            nsps.iter().map(ask).collect::<Vec<_>>()
        };
        let asked = server_args(args).map(ask);
        let asked = async move {
            let mut all = adapter::ServerAnswers::default();
            for of_nsp in join_all(asked?).await {
                all.answers.extend(of_nsp.answers);
                all.missing += of_nsp.missing;
            }
            Ok(all)
        };
        Self {
            asked: Box::pin(asked),
            answer: PhantomData,
        }
    }
}

impl<R: DeserializeOwned> Future for ServerAckFuture<R> {
    type Output = Result<ServerAnswers<R>, AckError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let adapter::ServerAnswers { answers, missing } = ready!(self.asked.as_mut().poll(cx))?;
        let answers = answers.iter().map(Args::deserialize_one);
        let answers = answers.collect::<Result<_, _>>().map_err(AckError::Decode);
        Poll::Ready(answers.map(|answers| ServerAnswers { answers, missing }))
    }
}

impl<R> fmt::Debug for ServerAckFuture<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerAckFuture").finish_non_exhaustive()
    }
}

impl fmt::Debug for Ears {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ears")
            .field("nsp", &self.nsp)
            .finish_non_exhaustive()
    }
}
