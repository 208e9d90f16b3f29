//! Events that start at a socket: to its client, and to others.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ack_future::AckFuture;
use super::broadcast::BroadcastOperator;
use super::emitted::{Emitted, event_args};
use super::socket_operator::SocketOperator;
use crate::metrics::{Counted, EmitScope};
use crate::outbox::{EmitError, SendOptions};
use crate::rooms::{Rooms, Target};
use crate::socket::Socket;

impl Socket {
    /// Sends an event to this client.
    ///
    /// A tuple, an array of fixed size included, is sent as several arguments, `()` as none, and any other value, a
    /// vector or a tuple struct included, as one; `(value,)` is always one. `Value::Null`, which serde reports as `()`,
    /// is none. `Bytes` anywhere in the arguments are sent as binary; a `Vec<u8>` is a list of numbers unless marked
    /// `#[serde(with = "serde_bytes")]`.
    ///
    /// The event is queued, not awaited; see [`Emitted`] for the possible errors. Events that are emitted by one task
    /// arrive in that order.
    pub fn emit<T: Serialize>(&self, event: impl AsRef<str>, args: T) -> Emitted {
        self.queue_event(event.as_ref(), &args, SendOptions::default())
    }

    /// Sends an event as soon as the client's outbox has room for it, in cases where [`emit`](Self::emit) would fail
    /// with [`EmitError::Full`].
    ///
    /// This limits the sender to the pace at which the client reads. Node has no equivalent.
    ///
    /// Events that wait for room are sent in the order in which they began to wait, and no other event overtakes them.
    /// A client that takes no packet for the builder's `slow_client_timeout` meanwhile is disconnected. If the future
    /// is dropped while it waits, the event is not sent, unless the outbox has had room meanwhile.
    ///
    /// ```
    /// # use axum_socketio::emit::EmitError;
    /// # use axum_socketio::Socket;
    /// # async fn f(socket: Socket, rows: Vec<String>) -> Result<(), EmitError> {
    /// for row in rows {
    ///     socket.emit_when_writable("row", row).await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the arguments cannot be serialized, the name is reserved, or the socket is or gets closed. Never fails
    /// with `Full`.
    pub fn emit_when_writable<E: AsRef<str>, T: Serialize>(
        &self,
        event: E,
        args: T,
    ) -> impl Future<Output = Result<(), EmitError>> + Send + use<E, T> {
        SocketOperator::new(self.clone()).emit_when_writable(event, args)
    }

    /// Sends an event and waits for the client's acknowledgement, at most for the builder's `ack_timeout`.
    ///
    /// The event is sent at once, even if the future is not awaited.
    ///
    /// ```
    /// # use axum_socketio::emit::AckError;
    /// # use axum_socketio::Socket;
    /// # async fn f(socket: Socket) -> Result<(), AckError> {
    /// let sure: bool = socket.emit_with_ack("confirm", "Delete?").await?;
    /// # Ok(()) }
    /// ```
    pub fn emit_with_ack<R: DeserializeOwned>(
        &self,
        event: impl AsRef<str>,
        args: impl Serialize,
    ) -> AckFuture<R> {
        SocketOperator::new(self.clone()).emit_with_ack(event, args)
    }

    /// Sets the time that the next `emit_with_ack` waits.
    pub fn timeout(&self, timeout: Duration) -> SocketOperator {
        SocketOperator::new(self.clone()).timeout(timeout)
    }

    /// Lets the next `emit_with_ack` wait as long as the client stays connected.
    pub fn no_timeout(&self) -> SocketOperator {
        SocketOperator::new(self.clone()).no_timeout()
    }

    /// Makes the next event volatile: it is dropped if the client cannot be written to at once.
    pub fn volatile(&self) -> SocketOperator {
        SocketOperator::new(self.clone()).volatile()
    }

    /// Sends the next event without compression; see [`BroadcastOperator::uncompressed`].
    pub fn uncompressed(&self) -> SocketOperator {
        SocketOperator::new(self.clone()).uncompressed()
    }

    /// Selects all sockets in any of the rooms **except this one**, as in Node.
    pub fn to(&self, rooms: impl Rooms) -> BroadcastOperator {
        self.broadcast().to(rooms)
    }

    /// Selects all other sockets that are in none of the rooms.
    pub fn except(&self, rooms: impl Rooms) -> BroadcastOperator {
        self.broadcast().except(rooms)
    }

    /// Selects all other sockets of the namespace.
    pub fn broadcast(&self) -> BroadcastOperator {
        let target = Target {
            except_id: Some(self.id()),
            ..Target::default()
        };
        BroadcastOperator::new(Arc::clone(self.namespace()), target)
    }

    /// Queues an event without waiting for room, and counts it.
    pub(super) fn queue_event<T: Serialize + ?Sized>(
        &self,
        event: &str,
        args: &T,
        options: SendOptions,
    ) -> Emitted {
        let counters = self.counters();
        counters.add(Counted::Emits(EmitScope::Socket), 1);
        // With a history, the event may be for a client that has not resumed its session yet.
        let has_history = self.namespace().members.history().is_some();
        let sent = if has_history || self.connected() || self.holds_events() {
            event_args(event, args).and_then(|args| self.send(args, options))
        } else {
            Err(EmitError::Closed)
        };
        Emitted::new(sent.map(drop), counters)
    }

    /// Queues an event with an acknowledgement without waiting for room, and counts it. Returns false if it was
    /// volatile and dropped.
    pub(super) fn send_question<T: Serialize + ?Sized>(
        &self,
        event: &str,
        args: &T,
        id: u64,
        options: SendOptions,
    ) -> Result<bool, EmitError> {
        let counters = self.counters();
        counters.add(Counted::Emits(EmitScope::Socket), 1);
        let sent = if self.connected() || self.holds_events() {
            event_args(event, args).and_then(|args| self.send_with_ack(args, id, options))
        } else {
            Err(EmitError::Closed)
        };
        let queued = matches!(sent, Ok(true));
        Emitted::new(sent.map(drop), counters).into_result()?;
        Ok(queued)
    }
}
