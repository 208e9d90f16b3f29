//! Functions of 0 to 8 arguments as handlers of events that other servers send.

use std::future::Future;
use std::sync::Arc;

use super::IntoAck;
use crate::emit::ServerSideEvent;
use crate::extract::FromServerSideEvent;
use crate::http::error_message;
use crate::logs::with_sources;
use crate::metrics::FaultCause;
use crate::namespace::{ServerHandler, ServerSideEventFailure, received};
use crate::socket::{AckBody, Failure, HandlerAnswer};
use proto::Args;

/// An async function that can handle events of other servers, in a namespace with the state `S`.
///
/// It is implemented for functions and closures, and cannot be implemented elsewhere. `M` is inferred.
#[diagnostic::on_unimplemented(
    message = "this function cannot handle events of other servers",
    label = "not a handler for `on_server`",
    note = "it must be `async`, and each of its arguments, 8 at most, `FromServerSideEvent`: `Data<T>`, `Json<T>`, \
            `RawArgs`, `Event`, `State<T>` or `ServerSideEvent`",
    note = "it returns `()`, `Json<T>`, `Reply<T>`, a text, a `Response`, or a `Result` of them",
    note = "`check_handler!(server State; function(A, B))` names the argument, or the result, that is wrong"
)]
pub trait ServerSideEventHandler<S, M>: Clone + Send + Sync + 'static {
    /// The return value of the function when it is called. It must be `Send` wherever a handler is registered.
    type Future;

    /// Binds the handler to its state. The type that it returns has no public name, so no other crate implements it.
    #[doc(hidden)]
    fn into_server_handler(self, state: &Arc<S>) -> ServerHandler
    where
        Self::Future: Send;
}

macro_rules! handler {
    ($($T:ident),*) => {
        #[diagnostic::do_not_recommend]
        #[expect(non_snake_case, unused_variables, clippy::allow_attributes, reason = "names of a macro")]
        #[allow(unfulfilled_lint_expectations, reason = "not every arity needs each of them")]
        impl<F, Fut, R, S, $($T,)*> ServerSideEventHandler<S, (R, $($T,)*)> for F
        where
            F: FnOnce($($T),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = R> + 'static,
            R: IntoAck + 'static,
            S: Send + Sync + 'static,
            $($T: FromServerSideEvent<S> + Send + 'static,)*
        {
            type Future = Fut;

            fn into_server_handler(self, state: &Arc<S>) -> ServerHandler
            where
                Fut: Send,
            {
                let state = Arc::clone(state);
                Arc::new(move |event: ServerSideEvent| {
                    let (function, state) = (self.clone(), Arc::clone(&state));
                    Box::pin(async move {
                        $(let $T = $T::from_server_side_event(&event, &state).map_err(|error| rejected(&error))?;)*
                        drop(event);
                        answer(function($($T),*).await.into_ack().await)
                    })
                })
            }
        }
    };
}

handler!();
handler!(T1);
handler!(T1, T2);
handler!(T1, T2, T3);
handler!(T1, T2, T3, T4);
handler!(T1, T2, T3, T4, T5);
handler!(T1, T2, T3, T4, T5, T6);
handler!(T1, T2, T3, T4, T5, T6, T7);
handler!(T1, T2, T3, T4, T5, T6, T7, T8);

fn rejected(error: &dyn std::fmt::Display) -> ServerSideEventFailure {
    ServerSideEventFailure {
        cause: FaultCause::Extractor,
        error: error.to_string(),
    }
}

/// Returns the answer that the sender receives.
fn answer(AckBody(answer): AckBody) -> Result<Args, ServerSideEventFailure> {
    let (cause, error) = match answer {
        HandlerAnswer::Ok(args) => return Ok(received(&args)),
        HandlerAnswer::Silent => return Ok(Args::none()),
        HandlerAnswer::Error(_, Failure::Serialize(error, _)) => {
            (FaultCause::Serialize, with_sources(&*error))
        }
        HandlerAnswer::Error(args, _) => (FaultCause::Handler, message_of(&received(&args))),
        HandlerAnswer::Malformed(error) => (FaultCause::Extractor, error.to_string()),
    };
    Err(ServerSideEventFailure { cause, error })
}

/// Returns the text of an error.
fn message_of(args: &Args) -> String {
    let error = args.raw().ok().and_then(|raw| error_message(raw.first()?));
    error.unwrap_or_else(|| args.json().to_owned())
}
