//! The way of an event into the outbox of one socket.

use std::pin::pin;

use futures_util::future::{Either, select};

use super::Socket;
use crate::outbox::{EmitError, Frame, Pushed, Queued, SendOptions};
use proto::EncodedArgs;
use proto::socket_io::Encoded;

impl Socket {
    /// Resolves when the client has received so much that at most a quarter of its outbox is full; at once if it has
    /// disconnected.
    ///
    /// It delays the *creation* of an event; otherwise [`emit_when_writable`](Self::emit_when_writable) is simpler.
    /// Node has no equivalent.
    ///
    /// ```
    /// # use axum_socketio::Socket;
    /// # async fn f(socket: Socket, rows: Vec<String>) {
    /// for row in rows {
    ///     socket.flushed().await;
    ///     socket.emit("row", row.to_uppercase());
    /// }
    /// # }
    /// ```
    pub async fn flushed(&self) {
        let flushed = self.0.client.outbox.flushed();
        select(pin!(flushed), pin!(self.closed())).await;
    }

    /// Returns the size of the client's outbox: the packets of all its namespaces that are not written yet.
    ///
    /// ```
    /// # use axum_socketio::Socket;
    /// # fn f(socket: Socket) {
    /// let queued = socket.queued();
    /// println!("{} packets, {} bytes", queued.packets, queued.bytes);
    /// # }
    /// ```
    #[must_use]
    pub fn queued(&self) -> Queued {
        self.0.client.outbox.queued()
    }

    /// Queues an event as soon as the outbox has room, unless the socket ends first.
    pub(crate) async fn send_when_writable(
        &self,
        args: EncodedArgs,
        options: SendOptions,
    ) -> Result<(), EmitError> {
        if let Some(held) = self.hold_event(&args, None, options) {
            return held.map(drop);
        }
        if let Some(history) = self.0.namespace.members.history() {
            return self
                .send_and_store_when_writable(history, args, options)
                .await;
        }
        if !self.connected() {
            return Err(EmitError::Closed);
        }
        let frame = options.apply(self.0.namespace.encoder.event(args, None));
        self.0.member.observe(&frame);
        let sending = self.0.member.outbox.send(frame);
        match select(sending, pin!(self.closed())).await {
            Either::Left((sent, _)) => {
                sent.and_then(|()| self.0.namespace.sent(Pushed::Queued).map(drop))
            }
            Either::Right(_) => Err(EmitError::Closed),
        }
    }

    /// Queues an event without waiting for room. Returns false if it was volatile and dropped.
    pub(crate) fn send(&self, args: EncodedArgs, options: SendOptions) -> Result<bool, EmitError> {
        if let Some(held) = self.hold_event(&args, None, options) {
            return held;
        }
        match self.0.namespace.members.history() {
            Some(history) => self.send_and_store(history, &args, options),
            None => self.send_frame(self.0.namespace.encoder.event(args, None), options),
        }
    }

    /// Queues an event with the acknowledgement id `id`, without waiting for room. It is not stored for a client that
    /// resumes its session. Returns false if it was volatile and dropped.
    pub(crate) fn send_with_ack(
        &self,
        args: EncodedArgs,
        id: u64,
        options: SendOptions,
    ) -> Result<bool, EmitError> {
        if let Some(held) = self.hold_event(&args, Some(id), options) {
            return held;
        }
        self.send_frame(self.0.namespace.encoder.event(args, Some(id)), options)
    }

    fn send_frame(&self, frame: Frame, options: SendOptions) -> Result<bool, EmitError> {
        if !self.connected() {
            return Err(EmitError::Closed);
        }
        let frame = options.apply(frame);
        let pushed = self.0.member.send(frame, options.reliability);
        self.0.namespace.sent(pushed)
    }

    /// Queues a packet of the protocol itself, regardless of the outbox's limits.
    pub(crate) fn push_required(&self, packet: Encoded) {
        self.0.client.outbox.push_required(Frame::new(packet));
    }
}
