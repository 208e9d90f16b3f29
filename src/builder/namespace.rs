//! A namespace as a table of handlers, like a router's table of routes.

use std::fmt;
use std::sync::Arc;

use tower::BoxError;
use tower_layer::Layer;
use tower_service::Service;

use super::chosen::ChosenOptions;
use super::unique::{Unique, Uniques};
use crate::extract::phase;
use crate::handler::{
    AckBody, BoxHandler, Dispatcher, EventRequest, EventService, Handler, Phase,
    ServerSideEventHandler, report_reserved,
};
use crate::namespace::NamespaceOptions;
use crate::socket::{Failed, NamespaceHandlers, Outgoing, Rejected};

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
    pub(super) register: Vec<Box<dyn FnOnce(&Arc<S>, &mut NamespaceHandlers) + Send>>,
    pub(super) layer: Option<Dispatcher>,
    pub(super) uniques: Uniques,
    pub(super) options: ChosenOptions,
}

impl<S> Default for Namespace<S> {
    fn default() -> Self {
        Self {
            register: Vec::new(),
            layer: None,
            uniques: Uniques::default(),
            options: ChosenOptions::default(),
        }
    }
}

impl<S: Send + Sync + 'static> Namespace<S> {
    /// Creates a namespace that admits every client and handles no event.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn register(
        mut self,
        register: impl FnOnce(&Arc<S>, &mut NamespaceHandlers) + Send + 'static,
    ) -> Self {
        self.register.push(Box::new(register));
        self
    }

    /// Registers a part of which there is only one.
    fn register_unique(
        mut self,
        part: Unique,
        register: impl FnOnce(&Arc<S>, &mut NamespaceHandlers) + Send + 'static,
    ) -> Self {
        self.uniques.replace(part);
        self.register(register)
    }

    /// Registers a handler of which there is only one.
    fn only<P: Phase, M: 'static, H: Handler<S, P, M>>(
        self,
        method: &'static str,
        handler: H,
        place: fn(&mut NamespaceHandlers) -> &mut Option<BoxHandler<P::Outcome>>,
    ) -> Self
    where
        H::Future: Send,
    {
        self.register_unique(Unique::Set(method), move |state, handlers| {
            *place(handlers) = Some(handler.into_boxed(state));
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
        self.register_unique(Unique::Event(event.clone()), move |state, handlers| {
            let mut handler = handler.into_boxed(state);
            handler.options.by_name = true;
            handlers.events.insert(event.into(), handler);
        })
    }

    /// Sets the handler of an event that other servers of the namespace send with
    /// [`server_side_emit`](crate::NamespaceHandle::server_side_emit). Its arguments are extractors:
    /// [`FromServerSideEvent`](crate::extract::FromServerSideEvent). Its return value is the answer of this server if
    /// the sender waits for answers: an [`IntoAck`](crate::handler::IntoAck), as for an event of a client. A server
    /// whose handler returns an error counts as missing, and the error is logged there. Handlers start in the order in
    /// which another server has emitted, and are polled in a task of their own if they wait. A second handler for the
    /// same event replaces the first. In Node: `io.on("…")`.
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
    pub fn on_server<H: ServerSideEventHandler<S, M>, M: 'static>(
        self,
        event: impl Into<String>,
        handler: H,
    ) -> Self
    where
        H::Future: Send,
    {
        let event = event.into();
        self.register_unique(
            Unique::ServerSideEvent(event.clone()),
            move |state, handlers| {
                let handler = handler.into_server_handler(state);
                handlers.servers.insert(event.into(), handler);
            },
        )
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
        self.register_unique(Unique::Set("on_rejection"), move |_, handlers| {
            handlers.on_rejection = Some(Arc::new(hook));
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
        self.register_unique(Unique::Set("on_error"), move |_, handlers| {
            handlers.on_error = Some(Arc::new(hook));
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
            uniques,
            options,
        } = self;
        Namespace {
            register: Vec::new(),
            layer,
            uniques,
            options,
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
        self.options.apply(&mut options);
        (handlers, options)
    }
}

impl<S> fmt::Debug for Namespace<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespace")
            .field("registrations", &self.register.len())
            .finish_non_exhaustive()
    }
}
