//! A namespace as a table of handlers, like a router's table of routes.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use tower::BoxError;
use tower_layer::Layer;
use tower_service::Service;

use crate::extract::phase;
use crate::handler::{
    AckBody, BoxHandler, Dispatcher, EventRequest, EventService, Handler, Phase, report_reserved,
};
use crate::hub::{
    Failed, Handlers, NspOptions, Order, Outgoing, Rejected, ServerEvent, ServerHandler, Unhandled,
    may_log, server_args,
};
use crate::rooms::Recovery;

/// The handlers of a namespace, in which `S` is still to be supplied: what `Router<S>` is to HTTP.
///
/// ```
/// use axum::{Extension, Json};
/// use axum_socketio::{Auth, Data, Namespace, Refused, Socket};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Who { name: Option<String> }
///
/// async fn authenticate(Auth(who): Auth<Who>) -> Result<Extension<String>, Refused> {
///     who.name.map(Extension).ok_or(Refused::new("who are you?"))
/// }
///
/// async fn message(socket: Socket, Extension(name): Extension<String>, Data(text): Data<String>) -> Json<usize> {
///     socket.broadcast().emit("message", (name, &text));
///     Json(text.len())
/// }
///
/// let chat: Namespace = Namespace::new().middleware(authenticate).on("message", message);
/// ```
#[must_use = "a namespace does nothing before it is given to a server"]
pub struct Namespace<S = ()> {
    register: Vec<Box<dyn FnOnce(&Arc<S>, &mut Handlers) + Send>>,
    layer: Option<Dispatcher>,
    order: Option<Order>,
    max_pending: Option<usize>,
    unhandled: Option<Unhandled>,
    recovery: Option<Option<Recovery>>,
    ordered_broadcasts: bool,
}

impl<S> Default for Namespace<S> {
    fn default() -> Self {
        Self {
            register: Vec::new(),
            layer: None,
            order: None,
            max_pending: None,
            unhandled: None,
            recovery: None,
            ordered_broadcasts: false,
        }
    }
}

impl<S: Send + Sync + 'static> Namespace<S> {
    /// A namespace that admits everybody and handles nothing.
    pub fn new() -> Self {
        Self::default()
    }

    fn register(mut self, register: impl FnOnce(&Arc<S>, &mut Handlers) + Send + 'static) -> Self {
        self.register.push(Box::new(register));
        self
    }

    /// Registers a handler where there is place for one.
    fn only<M: 'static, P: Phase, H: Handler<M, S, P>>(
        self,
        what: &'static str,
        handler: H,
        place: fn(&mut Handlers) -> &mut Option<BoxHandler<P::Outcome>>,
    ) -> Self
    where
        H::Future: Send,
    {
        self.register(move |state, handlers| {
            let replaced = place(handlers).replace(handler.into_boxed(state));
            only_one(what, replaced.is_some());
        })
    }

    /// Runs before a socket is admitted, after the middleware added before it. Node's `namespace.use`.
    ///
    /// What it returns as `Extension<T>` stays with the socket. `false` refuses the connection as if there was no such namespace.
    /// An error refuses the connection: text, or `message` or `error` of a JSON body, becomes the message of the client's
    /// `connect_error`, and a JSON body its `data`; see [`Refused`](crate::Refused).
    pub fn middleware<M: 'static, H: Handler<M, S, phase::Middleware>>(self, handler: H) -> Self
    where
        H::Future: Send,
    {
        self.register(move |state, handlers| handlers.middleware.push(handler.into_boxed(state)))
    }

    /// Runs when a socket has been admitted and its client told. The client's events wait until it has returned, so
    /// work that goes on should be spawned. Node's `connection` event.
    ///
    /// An error disconnects the socket. If its client leaves while this still waits for something,
    /// [`on_disconnect`](Self::on_disconnect) may run beside it, as in Node.
    pub fn on_connect<M: 'static, H: Handler<M, S, phase::Connect>>(self, handler: H) -> Self
    where
        H::Future: Send,
    {
        self.only("on_connect", handler, |handlers| &mut handlers.connect)
    }

    /// Handles an event. What the handler returns is the client's acknowledgement; see
    /// [`IntoAck`](crate::handler::IntoAck). A second handler for the same event replaces the first.
    pub fn on<M: 'static, H: Handler<M, S>>(self, event: impl Into<String>, handler: H) -> Self
    where
        H::Future: Send,
    {
        let event = event.into();
        report_reserved(&event);
        self.register(move |state, handlers| {
            let handler = handler.into_boxed(state);
            let replaced = handlers.events.insert(event.as_str().into(), handler);
            only_one(&event, replaced.is_some());
        })
    }

    /// Handles what other servers of the namespace send by
    /// [`server_side_emit`](crate::Broadcast::server_side_emit). It is given the server's state; what it returns is the answer
    /// of this server, if one is waited for. Each event is a task of its own. A second handler for the same event replaces the
    /// first. In Node: `io.on("…")`.
    ///
    /// ```
    /// use axum_socketio::{Namespace, ServerEvent};
    ///
    /// #[derive(Clone)]
    /// struct Cache;
    /// # impl Cache { fn forget(&self, key: &str) -> bool { key.is_empty() } }
    ///
    /// let namespace: Namespace<Cache> = Namespace::new().on_server("forget", async |event: ServerEvent, cache: Cache| {
    ///     event.data::<String>().is_ok_and(|key| cache.forget(&key))
    /// });
    /// ```
    pub fn on_server<F, Fut, R>(self, event: impl Into<String>, handler: F) -> Self
    where
        F: Fn(ServerEvent, S) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: Serialize,
        S: Clone,
    {
        let event = event.into();
        self.register(move |state, handlers| {
            let state = Arc::clone(state);
            let handler: ServerHandler = Arc::new(move |event| {
                let answer = handler(event, S::clone(&state));
                Box::pin(async move {
                    let answer = server_args(&(answer.await,));
                    answer.map_err(log_unserializable).ok()
                })
            });
            let replaced = handlers.servers.insert(event.as_str().into(), handler);
            only_one(&event, replaced.is_some());
        })
    }

    /// Sees every event, before its handler. What it returns is ignored. Node's `onAny`.
    pub fn on_any<M: 'static, H: Handler<M, S>>(self, handler: H) -> Self
    where
        H::Future: Send,
    {
        self.register(move |state, handlers| handlers.any.push(handler.into_boxed(state)))
    }

    /// Sees every event that is emitted to a socket of the namespace: once for each socket that a broadcast is for. Node's
    /// `onAnyOutgoing`.
    ///
    /// It is called by whoever emits, before the event is queued: also if it is then lost, since it is volatile or the outbox
    /// is full. It should be quick, and not emit to the namespace itself, which would call it again. Acknowledgements are not
    /// seen.
    ///
    /// ```
    /// use axum_socketio::{Namespace, Outgoing};
    ///
    /// let namespace: Namespace = Namespace::new().on_any_outgoing(|outgoing: &Outgoing<'_>| {
    ///     println!("{} to {}: {} bytes", outgoing.event, outgoing.socket.id(), outgoing.json.len());
    /// });
    /// ```
    pub fn on_any_outgoing(self, hook: impl Fn(&Outgoing<'_>) + Send + Sync + 'static) -> Self {
        self.register(move |_, handlers| handlers.outgoing.add(hook))
    }

    /// Runs before the handler of each event, after what was added before it, and may refuse the event: an error, or arguments
    /// that do not fit, is what the client's callback gets, and the handler is not called. Whatever else it returns is ignored.
    /// Node's `socket.use`; [`Socket::before`](crate::Socket::before) is for one socket.
    ///
    /// While it waits for something, the next events of the socket wait too, as they do for extractors. It runs outside of the
    /// [layers](Self::layer), and not for an event that nobody handles.
    ///
    /// ```
    /// use axum::Extension;
    /// use axum_socketio::{Event, Namespace};
    ///
    /// #[derive(Clone)]
    /// struct User { admin: bool }
    ///
    /// async fn allowed(Event(name): Event, Extension(user): Extension<User>) -> Result<(), &'static str> {
    ///     if name.starts_with("admin:") && !user.admin { Err("not for you") } else { Ok(()) }
    /// }
    ///
    /// let namespace: Namespace = Namespace::new().before(allowed).on("admin:close", async || {});
    /// ```
    pub fn before<M: 'static, H: Handler<M, S>>(self, handler: H) -> Self
    where
        H::Future: Send,
    {
        self.register(move |state, handlers| handlers.before.push(handler.into_boxed(state)))
    }

    /// Handles the events that have no handler.
    pub fn fallback<M: 'static, H: Handler<M, S>>(self, handler: H) -> Self
    where
        H::Future: Send,
    {
        self.only("fallback", handler, |handlers| &mut handlers.fallback)
    }

    /// Runs when a socket has left, whatever the reason. The rooms that it was in can still be read, and who else is in them
    /// be reached by [`Socket::to`](crate::Socket::to). Node's `disconnecting` and `disconnect` events.
    pub fn on_disconnect<M: 'static, H: Handler<M, S, phase::Disconnect>>(self, handler: H) -> Self
    where
        H::Future: Send,
    {
        self.only("on_disconnect", handler, |handlers| {
            &mut handlers.disconnect
        })
    }

    /// Is told of every event whose arguments did not fit its handler.
    pub fn on_rejection(self, hook: impl Fn(&Rejected<'_>) + Send + Sync + 'static) -> Self {
        self.register(move |_, handlers| {
            only_one(
                "on_rejection",
                handlers.on_rejection.replace(Arc::new(hook)).is_some(),
            );
        })
    }

    /// Is told of every handler that has returned an error or panicked: those of events, of connect and of disconnect. Arguments
    /// that did not fit go to [`on_rejection`](Self::on_rejection), and what middleware refuse only to the client.
    ///
    /// It is called by the connection's task, before the client's callback gets the error, and should be quick.
    ///
    /// ```
    /// use axum_socketio::{Failed, Namespace};
    ///
    /// async fn save() -> Result<(), &'static str> { Err("disk full") }
    ///
    /// let namespace: Namespace = Namespace::new().on("save", save).on_error(|failed: &Failed<'_>| {
    ///     eprintln!("{} of {}: {}", failed.event, failed.socket.id(), failed.message);
    /// });
    /// ```
    pub fn on_error(self, hook: impl Fn(&Failed<'_>) + Send + Sync + 'static) -> Self {
        self.register(move |_, handlers| {
            only_one(
                "on_error",
                handlers.on_error.replace(Arc::new(hook)).is_some(),
            );
        })
    }

    /// Wraps all handlers of events of the namespace in a tower layer, shared by all its sockets: those of `on`, of
    /// [`Socket::on`](crate::Socket::on) and of `fallback`. A second layer goes inside of the first; use a `ServiceBuilder`
    /// for several.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "layers are given away, as in axum"
    )]
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<EventService> + Send + 'static,
        L::Service: Service<EventRequest, Response = AckBody> + Clone + Send + Sync + 'static,
        <L::Service as Service<EventRequest>>::Error: Into<BoxError>,
        <L::Service as Service<EventRequest>>::Future: Send,
    {
        let inner = Dispatcher::new(&layer);
        self.layer = Some(match self.layer {
            Some(outer) => outer.around(inner),
            None => inner,
        });
        self
    }

    /// When the next event of a socket may start. Default: [`Order::Started`].
    pub fn order(mut self, order: Order) -> Self {
        self.order = Some(order);
        self
    }

    /// How many handlers of one socket may be under way. When there are so many, its events wait until some end.
    /// Default: the builder's, 64.
    ///
    /// Acknowledgements, heartbeats and other namespaces go on meanwhile, until as much waits as the builder's
    /// [`max_queued_bytes`](crate::SocketIoBuilder::max_queued_bytes) allows.
    pub fn max_pending(mut self, handlers: usize) -> Self {
        self.max_pending = Some(handlers.max(1));
        self
    }

    /// What a client hears that sends an event nobody handles, and waits for an answer.
    pub fn unhandled(mut self, unhandled: Unhandled) -> Self {
        self.unhandled = Some(unhandled);
        self
    }

    /// Whether what clients miss is kept for them, and how much: [`Recovery`], or `None`. Default: as the
    /// [builder](crate::SocketIoBuilder::recovery) says.
    pub fn recovery(mut self, recovery: impl Into<Option<Recovery>>) -> Self {
        self.recovery = Some(recovery.into());
        self
    }

    /// Whether all sockets receive the broadcasts of several threads in the same order. Default: false.
    ///
    /// Each socket receives what one task emits in the order of that task. Without this option, two broadcasts that two threads
    /// make at the same time may reach one member of a room in one order and another member in the other, which matters where
    /// clients apply them as changes to a shared state. With it, broadcasts of the namespace are queued one after the other, those
    /// with acknowledgements included; the order holds for the sockets of one server. Emits to a single
    /// [`Socket`](crate::Socket) are not part of it.
    ///
    /// A thread that broadcasts alone pays nothing measurable. Threads that broadcast at the same time wait for each other, in
    /// different rooms too: of two threads without a pause each takes 2.5 times as long for a broadcast to ten members as alone,
    /// instead of 1.3 times (`cargo bench --bench micro -- threads`). With [`recovery`](Self::recovery) broadcasts without
    /// acknowledgement have one order anyway. Node has one thread.
    ///
    /// ```
    /// use axum_socketio::Namespace;
    ///
    /// let board: Namespace = Namespace::new().ordered_broadcasts(true);
    /// ```
    pub fn ordered_broadcasts(mut self, ordered: bool) -> Self {
        self.ordered_broadcasts = ordered;
        self
    }

    /// Supplies the state of this namespace alone, so that it fits a server with another.
    pub fn with_state<S2: Send + Sync + 'static>(self, state: S) -> Namespace<S2> {
        self.with_shared_state(Arc::new(state))
    }

    pub(super) fn with_shared_state<S2: Send + Sync + 'static>(
        self,
        state: Arc<S>,
    ) -> Namespace<S2> {
        let Self {
            register,
            layer,
            order,
            max_pending,
            unhandled,
            recovery,
            ordered_broadcasts,
        } = self;
        Namespace {
            register: Vec::new(),
            layer,
            order,
            max_pending,
            unhandled,
            recovery,
            ordered_broadcasts,
        }
        .register(move |_, handlers| {
            register
                .into_iter()
                .for_each(|register| register(&state, handlers));
        })
    }

    /// The table, and the options with this namespace's own.
    pub(super) fn finish(self, state: &Arc<S>, mut options: NspOptions) -> (Handlers, NspOptions) {
        let mut handlers = Handlers::default();
        self.register
            .into_iter()
            .for_each(|register| register(state, &mut handlers));
        handlers.layered = self.layer.map(|layer| Arc::new(layer) as Arc<_>);
        options.order = self.order.unwrap_or(options.order);
        options.max_pending = self.max_pending.unwrap_or(options.max_pending);
        options.unhandled = self.unhandled.unwrap_or(options.unhandled);
        options.recovery = self.recovery.unwrap_or(options.recovery);
        options.ordered_broadcasts = self.ordered_broadcasts;
        (handlers, options)
    }
}

/// The answer of an `on_server` handler.
fn log_unserializable(error: impl std::fmt::Display) {
    if may_log() {
        tracing::warn!(
            error = error.to_string(),
            "cannot serialize the answer to another server"
        );
    }
}

/// Node would call both.
fn only_one(what: &str, replaced: bool) {
    if replaced {
        tracing::warn!(
            what,
            "two handlers for one thing: the second replaces the first"
        );
    }
}

impl<S> fmt::Debug for Namespace<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespace")
            .field("registrations", &self.register.len())
            .finish_non_exhaustive()
    }
}
