//! A namespace with a contract.

use std::any::TypeId;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use contract::{Contract, EventOf, ReceivedIn};

use super::{Namespace, SocketIoBuilder};
use crate::extract::phase;
use crate::handler::{Answers, Handler, Takes};

/// The handlers of the namespace of the contract `C`; returned by [`Namespace::of`].
///
/// It handles only events of the contract, and [`SocketIoBuilder::contract`] adds it under the contract's name, so that
/// it cannot be another namespace. Its handlers may take [`Typed<C>`](crate::emit::Typed).
#[must_use = "a namespace does nothing before it is given to a server"]
pub struct TypedNamespace<C, S = ()> {
    namespace: Namespace<S>,
    contract: PhantomData<fn() -> C>,
}

impl<S: Send + Sync + 'static> Namespace<S> {
    /// Makes it the namespace of a contract. What it has already, such as middleware, stays.
    ///
    /// [`Typed`](crate::emit::Typed) has an example.
    pub fn of<C: Contract>(self) -> TypedNamespace<C, S> {
        TypedNamespace {
            namespace: self,
            contract: PhantomData,
        }
    }
}

impl<C: Contract, S: Send + Sync + 'static> TypedNamespace<C, S> {
    /// Sets the handler of an event of the contract; see [`Namespace::on_event`].
    pub fn on_event<E, H, M, At, W>(self, event: EventOf<E>, handler: H) -> Self
    where
        E: ReceivedIn<C>,
        M: Takes<E, At> + 'static,
        H: Handler<S, phase::Event, M>,
        H::Future: Future<Output: Answers<E, E::Ack, W>> + Send,
    {
        self.with(|namespace| namespace.on_event(event, handler))
    }

    /// Changes what does not depend on the contract: middleware, `on_connect`, layers, options.
    ///
    /// ```
    /// # use axum_socketio::contract::contract;
    /// use axum_socketio::Namespace;
    /// use axum_socketio::emit::Typed;
    ///
    /// contract! {
    ///     Chat = "/chat";
    ///     client: ;
    ///     server: ;
    /// }
    ///
    /// async fn connected(socket: Typed<Chat>) {}
    ///
    /// let chat = Namespace::<()>::new().of::<Chat>().with(|chat| chat.on_connect(connected));
    /// ```
    pub fn with(mut self, change: impl FnOnce(Namespace<S>) -> Namespace<S>) -> Self {
        self.namespace = change(self.namespace);
        self
    }

    /// Supplies the state of this namespace alone; see [`Namespace::with_state`].
    pub fn with_state<S2: Send + Sync + 'static>(self, state: S) -> TypedNamespace<C, S2> {
        TypedNamespace {
            namespace: self.namespace.with_state(state),
            contract: PhantomData,
        }
    }
}

impl<S: Send + Sync + 'static> SocketIoBuilder<S> {
    /// Adds the namespace of a contract, under the contract's name; see [`namespace`](Self::namespace).
    ///
    /// # Panics
    ///
    /// When the server is built, if the name is a pattern that axum rejects.
    pub fn contract<C: Contract>(self, namespace: TypedNamespace<C, S>) -> Self {
        let namespace = namespace
            .namespace
            .register(|_, handlers| handlers.contract = Some(TypeId::of::<C>()));
        self.namespace(C::NAMESPACE, namespace)
    }
}

impl<C, S> fmt::Debug for TypedNamespace<C, S>
where
    Namespace<S>: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedNamespace")
            .field(&self.namespace)
            .finish()
    }
}
