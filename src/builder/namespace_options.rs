//! The options of a namespace.

use super::Namespace;
use crate::namespace::{Order, Unhandled};
use crate::rooms::recovery::Recovery;
use proto::Surplus;

impl<S: Send + Sync + 'static> Namespace<S> {
    /// Sets when the next event of a socket may start. Default: [`Order::Started`].
    pub fn order(mut self, order: Order) -> Self {
        self.options.order = Some(order);
        self
    }

    /// Sets the maximum number of running handlers of one socket. At the limit, its events wait until handlers have
    /// ended. Default: the builder's limit, 64.
    ///
    /// Acknowledgements, heartbeats and other namespaces continue meanwhile, until the waiting events reach the
    /// [`Limits::max_queued_bytes`](crate::Limits::max_queued_bytes).
    pub fn max_pending(mut self, handlers: usize) -> Self {
        self.options.max_pending = Some(handlers.max(1));
        self
    }

    /// Sets the answer to an event that has no handler and expects an acknowledgement.
    pub fn unhandled(mut self, unhandled: Unhandled) -> Self {
        self.options.unhandled = Some(unhandled);
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
        self.options.surplus = Some(Surplus::Refused);
        self
    }

    /// Sets whether the events that clients miss are stored for them, and how many: [`Recovery`], or `None`. Default:
    /// the [builder's](crate::SocketIoBuilder::recovery) setting.
    pub fn recovery(mut self, recovery: impl Into<Option<Recovery>>) -> Self {
        self.options.recovery = Some(recovery.into());
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
        self.options.ordered_broadcasts = Some(true);
        self
    }
}
