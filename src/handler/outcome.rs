//! The return values of handlers, by the kind of handler.
#![expect(
    clippy::result_large_err,
    reason = "errors are responses here, as in axum"
)]

use std::future::Future;

use axum::Extension;
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;

use super::refused::Refused;
use super::reply::IntoAck;
use crate::extract::{EventContext, phase};
use crate::http::{Content, INTERNAL_ERROR, error_message, reason};
use crate::logs::TypeName;
use crate::metrics::{FaultCause, Hook};
use crate::panics::guarded;
use crate::socket::{
    AckBody, Admission, Done, Failure, Fault, HandlerAnswer, Refusal, Rejected, SocketValue,
    SocketValues,
};
use proto::{DecodeError, always};

/// A kind of handler: one of the types in [`phase`](crate::extract::phase). No other type implements it.
pub trait Phase: sealed::PhaseOutcome {}

impl Phase for phase::Middleware {}
impl Phase for phase::Connect {}
impl Phase for phase::Event {}
impl Phase for phase::Disconnect {}

mod sealed {
    use std::future::Future;

    use axum_core::response::Response;

    use crate::extract::EventContext;
    use crate::logs::TypeName;
    use proto::DecodeError;

    /// The outcome of one kind of handler.
    pub trait PhaseOutcome: Send + Sync + Sized + 'static {
        /// The outcome on which the server acts.
        type Outcome: Send + 'static;

        /// Makes the outcome of a handler one of whose arguments was rejected.
        fn rejected(
            cx: EventContext,
            rejection: Response,
            names: Names,
        ) -> impl Future<Output = Self::Outcome> + Send;

        /// Adds the handler's name to the outcome, for the log.
        fn named(outcome: Self::Outcome, handler: TypeName) -> Self::Outcome;

        /// Makes the outcome of a handler whose event is not JSON.
        fn malformed(error: DecodeError) -> Self::Outcome;
    }

    /// The types of a handler's function and of one of its arguments.
    #[derive(Clone, Copy, Debug)]
    pub struct Names {
        pub(in crate::handler) handler: TypeName,
        pub(in crate::handler) argument: TypeName,
    }
}

pub(super) use sealed::Names;
use sealed::PhaseOutcome;

impl Names {
    /// Logs and counts that the argument could not be extracted through no fault of the client, which does not get the
    /// error's text: it names types of the application.
    fn report(self, cx: &EventContext, status: StatusCode, error: impl FnOnce() -> String) {
        FaultCause::Extractor.report(cx.socket(), || Fault {
            event: cx.label(),
            handler: Some(self.handler),
            argument: Some(self.argument),
            status,
            error: error().into(),
        });
    }

    /// Returns the refusal that the client of a middleware or a connect handler gets.
    async fn refusal(self, cx: EventContext, rejection: Response) -> Refusal {
        if !rejection.status().is_server_error() {
            return Refusal::from_response(rejection).await;
        }
        let (status, content) = Content::of(rejection).await;
        self.report(&cx, status, || content.into_words(status));
        Refusal {
            reported: true,
            ..Refusal::internal()
        }
    }
}

/// The wish of a client for an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckWanted {
    /// The client waits for one.
    Yes,
    /// The client has not asked for one, or an argument of the handler sends it.
    No,
}

/// A return value of a handler of the kind `P`: [`IntoAck`] for an event, [`IntoAdmission`] for a middleware, and
/// [`IntoDone`] for connect and disconnect. It cannot be implemented elsewhere.
#[diagnostic::on_unimplemented(
    message = "a Socket.IO handler cannot return `{Self}` here",
    note = "the handler of an event returns an acknowledgement: `()`, `Json<T>`, `Reply<T>`, a text, `StatusCode`, \
            `(StatusCode, _)`, a `Response`, or a `Result` of them",
    note = "a middleware returns `()`, `Extension<T>`, a tuple of them, a `Result` of them, or a `bool`",
    note = "connect and disconnect handlers return `()` or `Result<(), E>`"
)]
pub trait IntoOutcome<P: Phase>: Send {
    #[doc(hidden)]
    fn into_outcome(self, ack: AckWanted) -> impl Future<Output = P::Outcome> + Send;
}

impl PhaseOutcome for phase::Event {
    type Outcome = AckBody;

    async fn rejected(mut cx: EventContext, rejection: Response, names: Names) -> AckBody {
        if let Err(error) = cx.finish() {
            return Self::malformed(error);
        }
        let (status, content) = Content::of(rejection).await;
        let value = content.into_error(status);
        let message = value
            .as_deref()
            .and_then(|error| error_message(error.get()))
            .unwrap_or_else(|| reason(status));
        let event = always(cx.event(), "a handler of events has an event");
        let is_fault = status.is_server_error();
        if is_fault {
            names.report(&cx, status, || message.clone());
        }
        if cx.only_observes() {
            tracing::trace!(socket = %cx.socket().id(), event, %status, error = message, "event not observed");
            return AckBody::SILENT;
        }
        tracing::debug!(socket = %cx.socket().id(), event, %status, error = message, "event rejected");
        if let Some(hook) = &cx.socket().namespace().handlers.on_rejection {
            let rejected = Rejected {
                socket: cx.socket(),
                event,
                status,
                message: &message,
            };
            // The client gets the rejection even if the hook panics.
            if let Err(panicked) = guarded(|| hook(&rejected)) {
                cx.socket().report_panic(Hook::OnRejection, &panicked);
            }
        }
        if is_fault {
            return AckBody::error(INTERNAL_ERROR, Failure::Rejection);
        }
        AckBody::error_value(&value, Failure::Rejection)
    }

    fn named(outcome: AckBody, handler: TypeName) -> AckBody {
        outcome.named(handler)
    }

    fn malformed(error: DecodeError) -> AckBody {
        AckBody(HandlerAnswer::Malformed(error))
    }
}

impl<T: IntoAck> IntoOutcome<phase::Event> for T {
    async fn into_outcome(self, ack: AckWanted) -> AckBody {
        // No client waits for the answer, so it is not serialized; but errors are traced all the same.
        if ack == AckWanted::Yes || self.is_error() {
            self.into_ack().await
        } else {
            AckBody::SILENT
        }
    }
}

impl PhaseOutcome for phase::Middleware {
    type Outcome = Admission;

    async fn rejected(cx: EventContext, rejection: Response, names: Names) -> Admission {
        Admission(Err(names.refusal(cx, rejection).await))
    }

    fn named(Admission(result): Admission, handler: TypeName) -> Admission {
        Admission(result.map_err(|refusal| refusal.named(handler)))
    }

    fn malformed(error: DecodeError) -> Admission {
        Admission(Err(Refusal::new(error.to_string())))
    }
}

/// Values that a middleware may return to store them with the socket: `()`, `Extension<T>`, and tuples of up to four of
/// them. It cannot be implemented elsewhere.
pub trait IntoValues: Send {
    #[doc(hidden)]
    fn into_values(self) -> SocketValues;
}

impl IntoValues for () {
    fn into_values(self) -> SocketValues {
        SocketValues::new()
    }
}

impl<T: Clone + Send + Sync + 'static> IntoValues for Extension<T> {
    fn into_values(self) -> SocketValues {
        vec![SocketValue::new(self.0)]
    }
}

macro_rules! values {
    ($($T:ident),*) => {
        #[expect(non_snake_case, reason = "names of a macro")]
        impl<$($T: IntoValues),*> IntoValues for ($($T,)*) {
            fn into_values(self) -> SocketValues {
                let ($($T,)*) = self;
                [$($T.into_values()),*].concat()
            }
        }
    };
}

values!(A);
values!(A, B);
values!(A, B, C);
values!(A, B, C, D);

/// A return value of a middleware: [values](IntoValues) to store with the socket, a `Result` of them, or a `bool`, of
/// which false reports that there is no such namespace. A [`Joined`](crate::rooms::Joined) and a
/// [`Listener`](super::Listener) count as `()`. It cannot be implemented elsewhere.
pub trait IntoAdmission: Send {
    #[doc(hidden)]
    fn into_admission(self) -> Result<SocketValues, Response>;
}

impl<T: IntoValues> IntoAdmission for T {
    fn into_admission(self) -> Result<SocketValues, Response> {
        Ok(self.into_values())
    }
}

/// Decides whether the namespace exists for this client.
impl IntoAdmission for bool {
    fn into_admission(self) -> Result<SocketValues, Response> {
        if self {
            Ok(SocketValues::new())
        } else {
            Err(Refused::invalid_namespace().into_response())
        }
    }
}

impl<T: IntoValues, E: IntoResponse + Send> IntoAdmission for Result<T, E> {
    fn into_admission(self) -> Result<SocketValues, Response> {
        self.map(IntoValues::into_values)
            .map_err(IntoResponse::into_response)
    }
}

impl<T: IntoAdmission> IntoOutcome<phase::Middleware> for T {
    async fn into_outcome(self, _: AckWanted) -> Admission {
        match self.into_admission() {
            Ok(values) => Admission(Ok(values)),
            Err(response) => Admission(Err(Refusal::from_response(response).await)),
        }
    }
}

/// A return value of connect and disconnect handlers: `()`, or `Result<(), E>`, whose error is a response, as in axum.
/// A [`Joined`](crate::rooms::Joined) and a [`Listener`](super::Listener) count as `()`. It cannot be implemented
/// elsewhere.
pub trait IntoDone: Send {
    #[doc(hidden)]
    fn into_done(self) -> Result<(), Response>;
}

impl IntoDone for () {
    fn into_done(self) -> Result<(), Response> {
        Ok(())
    }
}

impl<E: IntoResponse + Send> IntoDone for Result<(), E> {
    fn into_done(self) -> Result<(), Response> {
        self.map_err(IntoResponse::into_response)
    }
}

macro_rules! done {
    ($($phase:ty),*) => {$(
        impl PhaseOutcome for $phase {
            type Outcome = Done;

            async fn rejected(cx: EventContext, rejection: Response, names: Names) -> Done {
                Done(Err(names.refusal(cx, rejection).await))
            }

            fn named(Done(result): Done, handler: TypeName) -> Done {
                Done(result.map_err(|refusal| refusal.named(handler)))
            }

            fn malformed(error: DecodeError) -> Done {
                Done(Err(Refusal::new(error.to_string())))
            }
        }

        impl<T: IntoDone> IntoOutcome<$phase> for T {
            async fn into_outcome(self, _: AckWanted) -> Done {
                match self.into_done() {
                    Ok(()) => Done(Ok(())),
                    Err(response) => Done(Err(Refusal::from_response(response).await)),
                }
            }
        }
    )*};
}

done!(phase::Connect, phase::Disconnect);
