//! A namespace as a table of handlers, like a router's table of routes.

use std::fmt;
use std::sync::Arc;

use tower::BoxError;
use tower_layer::Layer;
use tower_service::Service;

use crate::extract::phase;
use crate::handler::{
    AckBody, BoxHandler, Dispatcher, EventRequest, EventService, Handler, Phase,
    ServerEventHandler, report_reserved,
};
use crate::namespace::{NamespaceOptions, Order, Unhandled};
use crate::rooms::recovery::Recovery;
use crate::socket::{Failed, NamespaceHandlers, Outgoing, Rejected};
use proto::Surplus;

/// The handlers of a namespace, which still need the state `S`, as those of a `Router<S>` do.
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
    register: Vec<Box<dyn FnOnce(&Arc<S>, &mut NamespaceHandlers) + Send>>,
    layer: Option<Dispatcher>,
    order: Option<Order>,
    max_pending: Option<usize>,
    unhandled: Option<Unhandled>,
    surplus: Surplus,
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
            surplus: Surplus::Ignored,
            recovery: None,
            ordered_broadcasts: false,
        }
    }
}

impl<S: Send + Sync + 'static> Namespace<S> {
    /// Creates a namespace that admits every client and handles no event.
    pub fn new() -> Self {
        Self::default()
    }

    fn register(
        mut self,
        register: impl FnOnce(&Arc<S>, &mut NamespaceHandlers) + Send + 'static,
    ) -> Self {
        self.register.push(Box::new(register));
        self
    }

    /// Registers a handler of which there is only one.
    fn only<P: Phase, M: 'static, H: Handler<S, P, M>>(
        self,
        what: &'static str,
        handler: H,
        place: fn(&mut NamespaceHandlers) -> &mut Option<BoxHandler<P::Outcome>>,
    ) -> Self
    where
        H::Future: Send,
    {
        self.register(move |state, handlers| {
            let replaced = place(handlers).replace(handler.into_boxed(state));
            only_one(what, replaced.is_some());
        })
    }

    /// Adds a handler that runs before a socket is admitted, after the middleware added before it. Node's
    /// `namespace.use`.
    ///
    /// An `Extension<T>` that it returns is stored with the socket. `false` refuses the connection as if the namespace
    /// did not exist. An error refuses the connection: text, or `message` or `error` of a JSON body, becomes the
    /// message of the client's `connect_error`, and a JSON body its `data`; see [`Refused`](crate::Refused).
    pub fn middleware<H: Handler<S, phase::Middleware, M>, M: 'static>(self, handler: H) -> Self
    where
        H::Future: Send,
    {
        self.register(move |state, handlers| handlers.middleware.push(handler.into_boxed(state)))
    }

    /// Sets the handler that runs when a socket has been admitted and the answer to its client is queued. The client's
    /// events wait until it has returned, so long-running work should be spawned. Node's `connection` event.
    ///
    /// An error disconnects the socket. If the client disconnects while this handler is still waiting,
    /// [`on_disconnect`](Self::on_disconnect) may run concurrently with it, as in Node.
    pub fn on_connect<H: Handler<S, phase::Connect, M>, M: 'static>(self, handler: H) -> Self
    where
        H::Future: Send,
    {
        self.only("on_connect", handler, |handlers| &mut handlers.connect)
    }

    /// Sets the handler of an event. Its return value is the client's acknowledgement; see
    /// [`IntoAck`](crate::handler::IntoAck). A second handler for the same event replaces the first.
    pub fn on<H: Handler<S, phase::Event, M>, M: 'static>(
        self,
        event: impl Into<String>,
        handler: H,
    ) -> Self
    where
        H::Future: Send,
    {
        let event = event.into();
        report_reserved(&event);
        self.register(move |state, handlers| {
            let mut handler = handler.into_boxed(state);
            handler.options.by_name = true;
            let replaced = handlers.events.insert(event.as_str().into(), handler);
            only_one(&event, replaced.is_some());
        })
    }

    /// Sets the handler of an event that other servers of the namespace send with
    /// [`server_side_emit`](crate::NamespaceHandle::server_side_emit). Its arguments are extractors:
    /// [`FromServerEvent`](crate::extract::FromServerEvent). Its return value is the answer of this server if the
    /// sender waits for answers: an [`IntoAck`](crate::handler::IntoAck), as for an event of a client. A server whose
    /// handler returns an error counts as missing, and the error is logged there. Each event runs in a task of its own.
    /// A second handler for the same event replaces the first. In Node: `io.on("…")`.
    ///
    /// ```
    /// use axum::Json;
    /// use axum::extract::State;
    /// use axum_socketio::{Data, Namespace};
    ///
    /// #[derive(Clone)]
    /// struct Cache;
    /// # impl Cache { fn forget(&self, key: &str) -> bool { key.is_empty() } }
    ///
    /// async fn forget(State(cache): State<Cache>, Data(key): Data<String>) -> Json<bool> {
    ///     Json(cache.forget(&key))
    /// }
    ///
    /// let namespace: Namespace<Cache> = Namespace::new().on_server("forget", forget);
    /// ```
    pub fn on_server<M: 'static, H: ServerEventHandler<S, M>>(
        self,
        event: impl Into<String>,
        handler: H,
    ) -> Self
    where
        H::Future: Send,
    {
        let event = event.into();
        self.register(move |state, handlers| {
            let handler = handler.into_server_handler(state);
            let replaced = handlers.servers.insert(event.as_str().into(), handler);
            only_one(&event, replaced.is_some());
        })
    }

    /// Sets a handler that is called with every event, before the event's own handler. Its return value is ignored, and
    /// it is not called for an event that does not fit its arguments, which is no rejection. Node's `onAny`.
    pub fn on_any<H: Handler<S, phase::Event, M>, M: 'static>(self, handler: H) -> Self
    where
        H::Future: Send,
    {
        self.register(move |state, handlers| handlers.any.push(handler.into_boxed(state)))
    }

    /// Sets a hook that is called with every event that is emitted to a socket of the namespace, once for each
    /// recipient of a broadcast. Node's `onAnyOutgoing`.
    ///
    /// It is called by the code that emits, before the event is queued, even if the event is then lost because it is
    /// volatile or the outbox is full. It should be quick, and must not emit to the namespace itself, which would call
    /// it again. It is not called with acknowledgements.
    ///
    /// ```
    /// use axum_socketio::handler::Outgoing;
    /// use axum_socketio::Namespace;
    ///
    /// let namespace: Namespace = Namespace::new().on_any_outgoing(|outgoing: &Outgoing<'_>| {
    ///     println!("{} to {}: {} bytes", outgoing.event, outgoing.socket.id(), outgoing.json.len());
    /// });
    /// ```
    pub fn on_any_outgoing(self, hook: impl Fn(&Outgoing<'_>) + Send + Sync + 'static) -> Self {
        self.register(move |_, handlers| handlers.outgoing.add(hook))
    }

    /// Adds a handler that runs before the handler of each event, after those added before it, and may refuse the
    /// event. An error, or a rejected argument, is sent to the client's callback, and the event's handler is not
    /// called. Any other return value is ignored. Node's `socket.use`; [`Socket::before`](crate::Socket::before) is for
    /// one socket.
    ///
    /// While it waits, the next events of the socket wait too, as they do for extractors. It runs outside of the
    /// [layers](Self::layer), and not for an event without a handler.
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
    pub fn before<H: Handler<S, phase::Event, M>, M: 'static>(self, handler: H) -> Self
    where
        H::Future: Send,
    {
        self.register(move |state, handlers| handlers.before.push(handler.into_boxed(state)))
    }

    /// Sets the handler of the events that have no handler of their own.
    pub fn fallback<H: Handler<S, phase::Event, M>, M: 'static>(self, handler: H) -> Self
    where
        H::Future: Send,
    {
        self.only("fallback", handler, |handlers| &mut handlers.fallback)
    }

    /// Sets the handler that runs when a socket has disconnected, whatever the reason. The rooms that the socket was in
    /// can still be read, and their other members can be reached with [`Socket::to`](crate::Socket::to). Node's
    /// `disconnecting` and `disconnect` events.
    pub fn on_disconnect<H: Handler<S, phase::Disconnect, M>, M: 'static>(self, handler: H) -> Self
    where
        H::Future: Send,
    {
        self.only("on_disconnect", handler, |handlers| {
            &mut handlers.disconnect
        })
    }

    /// Sets a hook that is called for every event whose arguments did not fit its handler.
    pub fn on_rejection(self, hook: impl Fn(&Rejected<'_>) + Send + Sync + 'static) -> Self {
        self.register(move |_, handlers| {
            only_one(
                "on_rejection",
                handlers.on_rejection.replace(Arc::new(hook)).is_some(),
            );
        })
    }

    /// Sets a hook that is called for every handler that has returned an error or panicked: those of events, of connect
    /// and of disconnect. Arguments that did not fit are reported to [`on_rejection`](Self::on_rejection), and refusals
    /// of middleware only to the client.
    ///
    /// It is called by the connection's task, before the client's callback gets the error, and should be quick.
    ///
    /// ```
    /// use axum_socketio::handler::Failed;
    /// use axum_socketio::Namespace;
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

    /// Wraps all event handlers of the namespace in a tower layer, which all its sockets share: those of `on`, of
    /// [`Socket::on`](crate::Socket::on) and of `fallback`. A second layer goes inside the first; use a
    /// `ServiceBuilder` for several.
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

    /// Sets when the next event of a socket may start. Default: [`Order::Started`].
    pub fn order(mut self, order: Order) -> Self {
        self.order = Some(order);
        self
    }

    /// Sets the maximum number of running handlers of one socket. At the limit, its events wait until handlers have
    /// ended. Default: the builder's limit, 64.
    ///
    /// Acknowledgements, heartbeats and other namespaces continue meanwhile, until the waiting events reach the
    /// [`Limits::max_queued_bytes`](crate::Limits::max_queued_bytes).
    pub fn max_pending(mut self, handlers: usize) -> Self {
        self.max_pending = Some(handlers.max(1));
        self
    }

    /// Sets the answer to an event that has no handler and expects an acknowledgement.
    pub fn unhandled(mut self, unhandled: Unhandled) -> Self {
        self.unhandled = Some(unhandled);
        self
    }

    /// Rejects events with more arguments than their handlers take.
    ///
    /// By default, surplus arguments are ignored, as in Node, so that a newer client may send more of them. Arguments
    /// that no handler reads, and those that a [`Rest`](crate::extract::Rest) takes, are accepted in any case.
    ///
    /// ```
    /// use axum_socketio::{Data, Namespace};
    ///
    /// // The event `["rename", "a", "b"]` is answered with `{"error":"rename: expected 1 argument, got 2"}`.
    /// let namespace: Namespace = Namespace::new()
    ///     .strict_arguments()
    ///     .on("rename", async |Data(name): Data<String>| println!("{name}"));
    /// ```
    pub fn strict_arguments(mut self) -> Self {
        self.surplus = Surplus::Refused;
        self
    }

    /// Sets whether the events that clients miss are stored for them, and how many: [`Recovery`], or `None`. Default:
    /// the [builder's](crate::SocketIoBuilder::recovery) setting.
    pub fn recovery(mut self, recovery: impl Into<Option<Recovery>>) -> Self {
        self.recovery = Some(recovery.into());
        self
    }

    /// Makes all sockets receive the broadcasts of several threads in the same order.
    ///
    /// Each socket receives the events of one task in the order in which the task emits them. Without this option, two
    /// broadcasts that two threads make at the same time may reach one member of a room in one order and another member
    /// in the other, which matters if clients apply them as changes to a shared state. With it, broadcasts of the
    /// namespace are queued one after the other, including those with acknowledgements; the order holds for the sockets
    /// of one server. It does not cover emits to a single [`Socket`](crate::Socket).
    ///
    /// A thread that broadcasts alone pays nothing measurable. Threads that broadcast at the same time wait for each
    /// other, even in different rooms: of two threads without a pause, each takes 2.5 times as long for a broadcast to
    /// ten members as alone, instead of 1.3 times (`cargo bench --bench micro -- threads`). With
    /// [`recovery`](Self::recovery), broadcasts without acknowledgement have one order anyway. Node has one thread.
    ///
    /// ```
    /// use axum_socketio::Namespace;
    ///
    /// let board: Namespace = Namespace::new().ordered_broadcasts();
    /// ```
    pub fn ordered_broadcasts(mut self) -> Self {
        self.ordered_broadcasts = true;
        self
    }

    /// Supplies the state of this namespace alone, so that it fits a server with another state.
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
            surplus,
            recovery,
            ordered_broadcasts,
        } = self;
        Namespace {
            register: Vec::new(),
            layer,
            order,
            max_pending,
            unhandled,
            surplus,
            recovery,
            ordered_broadcasts,
        }
        .register(move |_, handlers| {
            register
                .into_iter()
                .for_each(|register| register(&state, handlers));
        })
    }

    /// Returns the table of handlers, and the options with those that this namespace sets itself.
    pub(super) fn finish(
        self,
        state: &Arc<S>,
        mut options: NamespaceOptions,
    ) -> (NamespaceHandlers, NamespaceOptions) {
        let mut handlers = NamespaceHandlers::default();
        self.register
            .into_iter()
            .for_each(|register| register(state, &mut handlers));
        handlers.layered = self.layer.map(|layer| Arc::new(layer) as Arc<_>);
        options.order = self.order.unwrap_or(options.order);
        options.max_pending = self.max_pending.unwrap_or(options.max_pending);
        options.unhandled = self.unhandled.unwrap_or(options.unhandled);
        options.surplus = self.surplus;
        options.recovery = self.recovery.unwrap_or(options.recovery);
        options.ordered_broadcasts = self.ordered_broadcasts;
        (handlers, options)
    }
}

/// Logs that a handler has replaced another one; Node would call both.
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
