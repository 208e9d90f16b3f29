//! Functions of 0 to 16 arguments as handlers.

use std::any::type_name;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use axum_core::response::IntoResponse;

use super::check::one_data;
use super::outcome::{AckWanted, Names};
use super::{Handler, IntoOutcome, Phase};
use crate::adapter::BoxFuture;
use crate::extract::{EventContext, FromEvent};
use crate::socket::{BoxHandler, ErasedHandler};

/// A function with its state. The type of `call` includes those of the arguments.
struct Bound<F, S, C, M> {
    function: F,
    state: Arc<S>,
    call: C,
    marker: PhantomData<fn() -> M>,
}

impl<F, S, C, M, Out> ErasedHandler<Out> for Bound<F, S, C, M>
where
    F: Clone + Send + Sync,
    S: Send + Sync,
    C: Fn(F, EventContext, Arc<S>) -> BoxFuture<Out> + Send + Sync,
{
    fn call(&self, cx: EventContext) -> BoxFuture<Out> {
        (self.call)(self.function.clone(), cx, Arc::clone(&self.state))
    }
}

macro_rules! handler {
    ($($T:ident $M:ident),*) => {
        #[diagnostic::do_not_recommend]
        #[expect(non_snake_case, unused_mut, unused_variables, clippy::allow_attributes, reason = "names of a macro")]
        #[allow(unfulfilled_lint_expectations, reason = "not every arity needs each of them")]
        impl<F, Fut, R, S, P, $($T, $M,)*> Handler<S, P, (P, R, $(($M, $T),)*)> for F
        where
            F: FnOnce($($T),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = R> + 'static,
            R: IntoOutcome<P> + 'static,
            S: Send + Sync + 'static,
            P: Phase,
            $($T: FromEvent<S, P, $M> + Send + 'static, $M: 'static,)*
        {
            type Future = Fut;

            fn into_boxed(self, state: &Arc<S>) -> BoxHandler<P::Outcome>
            where
                Fut: Send,
            {
                const { one_data(&[$(<$T as FromEvent<S, P, $M>>::DATA),*]) };
                BoxHandler::new(Bound {
                    function: self,
                    state: Arc::clone(state),
                    call: |function: F, mut cx: EventContext, state: Arc<S>| -> BoxFuture<P::Outcome> {
                        Box::pin(async move {
                            $(let argument = $T::from_event(&mut cx, &state).await;
                            let $T = match argument.map_err(IntoResponse::into_response) {
                                Ok(argument) => argument,
                                // Rejections are rare, so they have a box of their own and do not enlarge every future.
                                Err(rejection) => {
                                    let names = Names { handler: type_name::<F>, argument: type_name::<$T> };
                                    return Box::pin(P::rejected(cx, rejection, names)).await;
                                }
                            };)*
                            if let Err(error) = cx.finish() {
                                return P::malformed(error);
                            }
                            let ack = if cx.wants_ack() { AckWanted::Yes } else { AckWanted::No };
                            // The handler has its arguments and may run for long, so the packet is dropped first.
                            drop(cx);
                            P::named(function($($T),*).await.into_outcome(ack).await, type_name::<F>)
                        })
                    },
                    marker: PhantomData::<fn() -> (P, R, $(($M, $T),)*)>,
                })
            }
        }
    };
}

handler!();
handler!(T1 M1);
handler!(T1 M1, T2 M2);
handler!(T1 M1, T2 M2, T3 M3);
handler!(T1 M1, T2 M2, T3 M3, T4 M4);
handler!(T1 M1, T2 M2, T3 M3, T4 M4, T5 M5);
handler!(T1 M1, T2 M2, T3 M3, T4 M4, T5 M5, T6 M6);
handler!(T1 M1, T2 M2, T3 M3, T4 M4, T5 M5, T6 M6, T7 M7);
handler!(T1 M1, T2 M2, T3 M3, T4 M4, T5 M5, T6 M6, T7 M7, T8 M8);
handler!(T1 M1, T2 M2, T3 M3, T4 M4, T5 M5, T6 M6, T7 M7, T8 M8, T9 M9);
handler!(T1 M1, T2 M2, T3 M3, T4 M4, T5 M5, T6 M6, T7 M7, T8 M8, T9 M9, T10 M10);
handler!(T1 M1, T2 M2, T3 M3, T4 M4, T5 M5, T6 M6, T7 M7, T8 M8, T9 M9, T10 M10, T11 M11);
handler!(T1 M1, T2 M2, T3 M3, T4 M4, T5 M5, T6 M6, T7 M7, T8 M8, T9 M9, T10 M10, T11 M11, T12 M12);
handler!(T1 M1, T2 M2, T3 M3, T4 M4, T5 M5, T6 M6, T7 M7, T8 M8, T9 M9, T10 M10, T11 M11, T12 M12, T13 M13);
handler!(T1 M1, T2 M2, T3 M3, T4 M4, T5 M5, T6 M6, T7 M7, T8 M8, T9 M9, T10 M10, T11 M11, T12 M12, T13 M13, T14 M14);
handler!(
    T1 M1, T2 M2, T3 M3, T4 M4, T5 M5, T6 M6, T7 M7, T8 M8, T9 M9, T10 M10, T11 M11, T12 M12, T13 M13, T14 M14, T15 M15
);
handler!(
    T1 M1, T2 M2, T3 M3, T4 M4, T5 M5, T6 M6, T7 M7, T8 M8, T9 M9, T10 M10, T11 M11, T12 M12, T13 M13, T14 M14, T15 M15,
    T16 M16
);
