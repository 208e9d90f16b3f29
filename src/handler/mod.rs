//! Async functions as handlers.
//!
//! A handler is an async function (or closure) of up to 16 arguments, each [`FromEvent`](crate::extract::FromEvent).
//! Its arguments are extracted one after another, then its body runs.
//!
//! | handler | return values |
//! |---|---|
//! | event | the client's acknowledgement, see [`IntoAck`] |
//! | middleware | values to store with the socket, such as `Extension<T>`, or `()`, see [`IntoAdmission`] |
//! | event of another server | the answer that the other server awaits, see [`IntoAck`] |
//! | connect, disconnect | `()`, or `Result<(), E: IntoResponse>`, see [`IntoDone`] |

mod cancel;
#[doc(hidden)]
pub mod check;
mod declared;
mod event_request;
mod function;
#[cfg(feature = "metrics")]
mod handler_time;
mod joined;
mod layer;
mod listener;
mod outcome;
mod rate_limit;
mod refused;
mod reply;
mod server_side_event_handler;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

pub use declared::{Answers, Late, Takes};
pub use event_request::EventRequest;
#[cfg(feature = "metrics")]
pub use handler_time::{HandlerTime, Timed, TimedFuture};
pub use layer::EventService;
pub(crate) use layer::{Dispatcher, layered};
pub use outcome::{IntoAdmission, IntoDone, IntoOutcome, IntoValues, Phase};
pub use rate_limit::{RateLimit, RateLimited, RateLimitedFuture};
pub use refused::Refused;
pub use reply::{IntoAck, Reply};
pub use server_side_event_handler::ServerSideEventHandler;

use crate::extract::phase;
use crate::logs::may_log;
pub(crate) use crate::socket::BoxHandler;
pub use crate::socket::{AckBody, Failed, Listener, Outgoing, Rejected};
use crate::socket::{Calls, ListenerEnd, Socket};
use proto::args::reserved;

/// An async function that can handle events in a namespace with the state `S`.
///
/// It is implemented for functions and closures, and cannot be implemented elsewhere. `P` is the kind of handler; `M`
/// is inferred.
///
/// To find out *which argument* of a function is wrong, use [`check_handler!`](crate::check_handler).
#[diagnostic::on_unimplemented(
    message = "this function cannot be such a handler in a Socket.IO namespace whose state is `{S}`",
    label = "not a handler here",
    note = "it must be `async`, and each of its arguments, 16 at most, `FromEvent`",
    note = "the handler of an event returns `()`, `Json<T>`, `Reply<T>`, a text, a `Response`, or a `Result` of them; \
            a middleware `()`, `Extension<T>`, or a `Result` of them; connect and disconnect handlers `()` or \
            `Result<(), E>`",
    note = "`check_handler!(State; function(A, B))` names the argument, or the result, that is wrong",
    note = "if the state should be another one: `with_state` comes after the namespaces whose handlers need the state"
)]
pub trait Handler<S, P: Phase, M>: Clone + Send + Sync + Sized + 'static {
    /// The return value of the function when it is called. It must be `Send` wherever a handler is registered. This is
    /// a separate bound, so that the compiler can point at the `.await` over which a value that is not `Send` is held.
    type Future;

    /// Binds the handler to its state. The type that it returns has no public name, so no other crate implements it.
    #[doc(hidden)]
    fn into_boxed(self, state: &Arc<S>) -> BoxHandler<P::Outcome>
    where
        Self::Future: Send;

    /// Delays the next event of the same socket for this handler until this one has ended.
    fn one_at_a_time(self) -> OneAtATime<Self, S, P, M> {
        OneAtATime(self, PhantomData)
    }

    /// Drops the handler's future when its socket disconnects. By default, the handler runs to its end, since it may be
    /// between two writes to a database.
    fn cancel_on_disconnect(self) -> CancelOnDisconnect<Self, S, P, M> {
        CancelOnDisconnect(self, PhantomData)
    }

    /// Wraps the handler in a tower layer. The inner service is a [`Service`](tower_service::Service) of
    /// [`EventRequest`]s.
    ///
    /// An error of the layer is sent to the client: a timeout answers `{"error":"timed out"}`, load shedding
    /// `{"error":"overloaded"}`.
    fn layer<L>(self, layer: L) -> Layered<L, Self, S, P, M> {
        Layered {
            layer,
            handler: self,
            marker: PhantomData,
        }
    }
}

/// The inferred types of a wrapped handler.
type Inferred<S, P, M> = PhantomData<fn(&S) -> (P, M)>;

/// The handler made by [`Handler::one_at_a_time`].
pub struct OneAtATime<H, S, P, M>(H, Inferred<S, P, M>);

/// The handler made by [`Handler::cancel_on_disconnect`].
pub struct CancelOnDisconnect<H, S, P, M>(H, Inferred<S, P, M>);

/// The handler made by [`Handler::layer`].
pub struct Layered<L, H, S, P, M> {
    layer: L,
    handler: H,
    marker: Inferred<S, P, M>,
}

#[diagnostic::do_not_recommend]
impl<H, S, M> Handler<S, phase::Event, M> for OneAtATime<H, S, phase::Event, M>
where
    H: Handler<S, phase::Event, M>,
    S: 'static,
    M: 'static,
{
    type Future = H::Future;

    fn into_boxed(self, state: &Arc<S>) -> BoxHandler<AckBody>
    where
        H::Future: Send,
    {
        let mut boxed = self.0.into_boxed(state);
        boxed.options.one_at_a_time = true;
        boxed
    }
}

#[diagnostic::do_not_recommend]
impl<H, S, M> Handler<S, phase::Event, M> for CancelOnDisconnect<H, S, phase::Event, M>
where
    H: Handler<S, phase::Event, M>,
    S: 'static,
    M: 'static,
{
    type Future = H::Future;

    fn into_boxed(self, state: &Arc<S>) -> BoxHandler<AckBody>
    where
        H::Future: Send,
    {
        cancel::on_disconnect(self.0.into_boxed(state))
    }
}

impl<H: Clone, S, P, M> Clone for OneAtATime<H, S, P, M> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<H: Clone, S, P, M> Clone for CancelOnDisconnect<H, S, P, M> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<L: Clone, H: Clone, S, P, M> Clone for Layered<L, H, S, P, M> {
    fn clone(&self) -> Self {
        let (layer, handler) = (self.layer.clone(), self.handler.clone());
        Self {
            layer,
            handler,
            marker: PhantomData,
        }
    }
}

impl<H, S, P, M> fmt::Debug for OneAtATime<H, S, P, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneAtATime").finish_non_exhaustive()
    }
}

impl<H, S, P, M> fmt::Debug for CancelOnDisconnect<H, S, P, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelOnDisconnect").finish_non_exhaustive()
    }
}

impl<L, H, S, P, M> fmt::Debug for Layered<L, H, S, P, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layered").finish_non_exhaustive()
    }
}

impl Socket {
    /// Sets the handler of an event for this socket alone, instead of the namespace's own handler for it. It is meant
    /// for users who come from Node; [`Namespace::on`](crate::Namespace::on) costs less. A second handler for the same
    /// event replaces the first.
    ///
    /// `State` is not available: capture the values that the handler needs, the socket included. For `disconnect`, use
    /// [`Namespace::on_disconnect`](crate::Namespace::on_disconnect), or await [`Socket::closed`].
    ///
    /// ```
    /// # use axum_socketio::{Data, Socket};
    /// # async fn welcome(socket: Socket) {
    /// socket.on("rename", async |Data(name): Data<String>| println!("{name}"));
    /// # }
    /// ```
    pub fn on<H: Handler<(), phase::Event, M>, M>(&self, event: impl AsRef<str>, handler: H)
    where
        H::Future: Send,
    {
        let event = event.as_ref();
        report_reserved(event);
        self.add_handler(event, handler.into_boxed(&Arc::new(())), Calls::Every);
    }

    /// Adds a handler that is called with every event of this socket, after the namespace's
    /// [`on_any`](crate::Namespace::on_any) and before the event's own handler. Its return value is ignored, and it is
    /// not called for an event that does not fit its arguments. Node's `socket.onAny`.
    ///
    /// The result may be ignored; [`Listener::remove`] removes the handler, and [`off_any`](Self::off_any) all of them.
    pub fn on_any<H: Handler<(), phase::Event, M>, M>(&self, handler: H) -> Listener
    where
        H::Future: Send,
    {
        self.add_any(handler.into_boxed(&Arc::new(())), ListenerEnd::Last)
    }

    /// Adds a handler that is called with every event of this socket, before those that [`on_any`](Self::on_any) has
    /// added, and after those of the namespace. Node's `socket.prependAny`.
    ///
    /// ```
    /// # use axum_socketio::{Event, Socket};
    /// # async fn first(socket: Socket) {
    /// socket.prepend_any(async |Event(name): Event| println!("{name} has arrived"));
    /// # }
    /// ```
    pub fn prepend_any<H: Handler<(), phase::Event, M>, M>(&self, handler: H) -> Listener
    where
        H::Future: Send,
    {
        self.add_any(handler.into_boxed(&Arc::new(())), ListenerEnd::First)
    }

    /// Adds a handler that runs before the handler of each event of this socket, after those of the namespace, and may
    /// refuse the event; see [`Namespace::before`](crate::Namespace::before). Node's `socket.use`.
    ///
    /// ```
    /// # use axum_socketio::{Event, Socket};
    /// # async fn join_as_guest(socket: Socket) {
    /// let guests_only_read = async |Event(name): Event| if name == "post" { Err("log in first") } else { Ok(()) };
    /// let listener = socket.before(guests_only_read);
    /// # let logged_in = true;
    /// if logged_in {
    ///     listener.remove();
    /// }
    /// # }
    /// ```
    pub fn before<H: Handler<(), phase::Event, M>, M>(&self, handler: H) -> Listener
    where
        H::Future: Send,
    {
        self.add_before(handler.into_boxed(&Arc::new(())))
    }

    /// Sets the handler of the next such event only, even if [`before`](Self::before) refuses it.
    pub fn once<H: Handler<(), phase::Event, M>, M>(&self, event: impl AsRef<str>, handler: H)
    where
        H::Future: Send,
    {
        let event = event.as_ref();
        report_reserved(event);
        self.add_handler(event, handler.into_boxed(&Arc::new(())), Calls::Next);
    }
}

/// Logs an error for a handler of a reserved event, which no client can send, as it would never run.
pub(crate) fn report_reserved(event: &str) {
    if let Some(event) = reserved(event).filter(|_| may_log()) {
        tracing::error!(
            event,
            "no client can send this event: the name is reserved; use the namespace's on_connect or on_disconnect"
        );
    }
}
