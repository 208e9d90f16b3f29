//! The merging of two namespaces.

use super::Namespace;
use crate::handler::{BoxHandler, Dispatcher, layered};
use crate::socket::{AckBody, NamespaceHandlers};

impl<S: Send + Sync + 'static> Namespace<S> {
    /// Adds all that another namespace has: its handlers, middleware, hooks and options. Applications use it to divide
    /// the events of a namespace among modules, as `Router::merge` divides routes.
    ///
    /// Middleware, [`before`](Self::before), [`on_any`](Self::on_any) and [`on_any_outgoing`](Self::on_any_outgoing) of
    /// both are called for all sockets and events, those of `other` last. A [layer](Self::layer) of `other` wraps only
    /// the handlers of `other`; a layer of `self` is outside of it and wraps all. An option that one of them sets
    /// holds for both.
    ///
    /// ```
    /// use axum::Json;
    /// use axum_socketio::Namespace;
    ///
    /// fn todos() -> Namespace {
    ///     Namespace::new().on("todo:list", async || Json(["write"]))
    /// }
    ///
    /// fn users() -> Namespace {
    ///     Namespace::new().on("user:list", async || Json(["ann"]))
    /// }
    ///
    /// let namespace = Namespace::new().merge(todos()).merge(users());
    /// ```
    ///
    /// # Panics
    ///
    /// If both have a handler of the same event, or both have set one of the handlers and hooks of which there is only
    /// one (`on_connect`, `on_disconnect`, `fallback`, `on_rejection`, `on_error`), or both set an option to different
    /// values.
    #[track_caller]
    pub fn merge(mut self, other: Self) -> Self {
        let Self {
            register,
            layer,
            uniques,
            options,
        } = other;
        let twice = self.uniques.merge(uniques);
        let twice = twice.map(|part| part.to_string()).unwrap_or_default();
        assert!(twice.is_empty(), "both of the namespaces have {twice}");
        let option = self.options.merge(&options).unwrap_or_default();
        assert!(
            option.is_empty(),
            "both of the namespaces set `{option}`, to different values"
        );
        self.register(move |state, handlers| {
            let mut added = NamespaceHandlers::default();
            register
                .into_iter()
                .for_each(|register| register(state, &mut added));
            append(handlers, added, layer.as_ref());
        })
    }
}

/// Adds the handlers of a namespace to those of another one, after them. The layers of `added` wrap only its own
/// handlers.
pub(super) fn append(
    handlers: &mut NamespaceHandlers,
    added: NamespaceHandlers,
    layers: Option<&Dispatcher>,
) {
    let NamespaceHandlers {
        middleware,
        connect,
        any,
        before,
        events,
        fallback,
        disconnect,
        layered: _,
        outgoing,
        servers,
        contract,
        on_rejection,
        on_error,
    } = added;
    let wrap = |handler: BoxHandler<AckBody>| match layers {
        Some(layers) => layered(layers.clone(), handler),
        None => handler,
    };
    handlers.middleware.extend(middleware);
    handlers.any.extend(any);
    handlers.before.extend(before);
    let events = events
        .into_iter()
        .map(|(event, handler)| (event, wrap(handler)));
    handlers.events.extend(events);
    handlers.servers.extend(servers);
    handlers.outgoing.append(outgoing);
    let fallback = fallback.map(wrap);
    handlers.fallback = fallback.or(handlers.fallback.take());
    handlers.connect = connect.or(handlers.connect.take());
    handlers.disconnect = disconnect.or(handlers.disconnect.take());
    handlers.contract = contract.or(handlers.contract);
    handlers.on_rejection = on_rejection.or(handlers.on_rejection.take());
    handlers.on_error = on_error.or(handlers.on_error.take());
}
