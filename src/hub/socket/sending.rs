//! Events to a socket, and from it to others.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Socket;
use crate::hub::emit::{How, event_args};
use crate::hub::{AckFuture, Broadcast, Emitted, ToSocket};
use crate::metrics::EMITS_TO_SOCKET;
use crate::outbox::{EmitError, Frame, Pushed};
use crate::rooms::{Rooms, Target};
use proto::EncodedArgs;
use proto::socket_io::Encoded;

impl Socket {
    /// Sends an event to this client.
    ///
    /// A tuple is sent as several arguments, `()` as none, and any other value, including a vector, as one. `Bytes`
    /// anywhere in the arguments are sent as binary; a `Vec<u8>` is a list of numbers unless marked `#[serde(with =
    /// "serde_bytes")]`.
    ///
    /// The event is queued, not awaited; see [`Emitted`] for the possible errors. Events that are emitted by one task
    /// arrive in that order.
    pub fn emit<T: Serialize>(&self, event: impl AsRef<str>, args: T) -> Emitted {
        self.send_event(event.as_ref(), &args, How::default())
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
    /// # use axum_socketio::{EmitError, Socket};
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
        ToSocket::new(self.clone()).emit_when_writable(event, args)
    }

    /// Sends an event and waits for the client's acknowledgement, at most for the builder's `ack_timeout`.
    ///
    /// The event is sent at once, even if the future is not awaited.
    ///
    /// ```
    /// # use axum_socketio::{AckError, Socket};
    /// # async fn f(socket: Socket) -> Result<(), AckError> {
    /// let sure: bool = socket.emit_with_ack("confirm", "Delete?").await?;
    /// # Ok(()) }
    /// ```
    pub fn emit_with_ack<R: DeserializeOwned>(
        &self,
        event: impl AsRef<str>,
        args: impl Serialize,
    ) -> AckFuture<R> {
        ToSocket::new(self.clone()).emit_with_ack(event, args)
    }

    /// Sets the time that the next `emit_with_ack` waits.
    pub fn timeout(&self, timeout: Duration) -> ToSocket {
        ToSocket::new(self.clone()).timeout(timeout)
    }

    /// Lets the next `emit_with_ack` wait as long as the client stays connected.
    pub fn no_timeout(&self) -> ToSocket {
        ToSocket::new(self.clone()).no_timeout()
    }

    /// Makes the next event volatile: it is dropped if the client cannot be written to at once.
    pub fn volatile(&self) -> ToSocket {
        ToSocket::new(self.clone()).volatile()
    }

    /// Sets whether the next event may be compressed; see [`Broadcast::compress`].
    pub fn compress(&self, compress: bool) -> ToSocket {
        ToSocket::new(self.clone()).compress(compress)
    }

    /// Selects all sockets in any of the rooms **except this one**, as in Node.
    pub fn to(&self, rooms: impl Rooms) -> Broadcast {
        self.broadcast().to(rooms)
    }

    /// Selects all other sockets that are in none of the rooms.
    pub fn except(&self, rooms: impl Rooms) -> Broadcast {
        self.broadcast().except(rooms)
    }

    /// Selects all other sockets of the namespace.
    pub fn broadcast(&self) -> Broadcast {
        let target = Target {
            except_id: Some(self.id()),
            ..Target::default()
        };
        Broadcast::new(Arc::clone(&self.0.nsp), target)
    }

    /// Queues an event as soon as the outbox has room, unless the socket ends first.
    pub(in crate::hub) async fn send_when_writable(
        &self,
        args: EncodedArgs,
        how: How,
    ) -> Result<(), EmitError> {
        if let Some(history) = self.0.nsp.members.history() {
            return self.send_and_keep_when_writable(history, args, how).await;
        }
        if !self.connected() {
            return Err(EmitError::Closed);
        }
        let frame = how.apply(self.0.nsp.event_frame(args, None));
        self.0.member.observe(&frame);
        let sending = self.0.member.outbox.send(frame);
        match select(sending, pin!(self.closed())).await {
            Either::Left((sent, _)) => {
                sent.and_then(|()| self.0.nsp.sent(Pushed::Queued).map(drop))
            }
            Either::Right(_) => Err(EmitError::Closed),
        }
    }

    /// Queues an encoded event without waiting for room.
    pub(in crate::hub) fn send_args(&self, args: EncodedArgs, how: How) -> Result<(), EmitError> {
        let sent = match self.0.nsp.members.history() {
            Some(history) => self.send_and_keep(history, &args, how),
            None => self.send(self.0.nsp.event_frame(args, None), how),
        };
        sent.map(drop)
    }

    /// Queues an event without waiting for room, and counts it.
    pub(crate) fn send_event<T: Serialize + ?Sized>(
        &self,
        event: &str,
        args: &T,
        how: How,
    ) -> Emitted {
        let counters = &self.0.nsp.counters;
        counters.add_all([(EMITS_TO_SOCKET, 1)]);
        let sent = match self.0.nsp.members.history() {
            Some(history) => {
                event_args(event, args).and_then(|args| self.send_and_keep(history, &args, how))
            }
            None => self.try_send(event, args, None, how),
        };
        Emitted::new(sent.map(drop), counters)
    }

    /// Queues an event with an acknowledgement without waiting for room, and counts it. Returns false if it was
    /// volatile and dropped.
    pub(in crate::hub) fn send_question<T: Serialize + ?Sized>(
        &self,
        event: &str,
        args: &T,
        id: u64,
        how: How,
    ) -> Result<bool, EmitError> {
        let counters = &self.0.nsp.counters;
        counters.add_all([(EMITS_TO_SOCKET, 1)]);
        let sent = self.try_send(event, args, Some(id), how);
        let queued = matches!(sent, Ok(true));
        Emitted::new(sent.map(drop), counters).into_result()?;
        Ok(queued)
    }

    fn try_send<T: Serialize + ?Sized>(
        &self,
        event: &str,
        args: &T,
        id: Option<u64>,
        how: How,
    ) -> Result<bool, EmitError> {
        if !self.connected() {
            return Err(EmitError::Closed);
        }
        let args = event_args(event, args)?;
        self.send(self.0.nsp.event_frame(args, id), how)
    }

    /// Queues a frame without waiting for room.
    fn send(&self, frame: Frame, how: How) -> Result<bool, EmitError> {
        if !self.connected() {
            return Err(EmitError::Closed);
        }
        let pushed = self.0.member.send(how.apply(frame), how.volatile);
        self.0.nsp.sent(pushed)
    }

    /// Queues a packet of the protocol itself, regardless of the outbox's limits.
    pub(crate) fn push_owed(&self, packet: Encoded) {
        self.0.client.outbox.push_owed(Frame::new(packet));
    }
}
