//! Options of an emit to one socket.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ack_future::AckFuture;
use super::broadcast::BroadcastOperator;
use super::emitted::{Emitted, event_args};
use super::wait::{Timer, Wait};
use crate::metrics::{Counted, EmitScope};
use crate::outbox::{EmitError, Reliability, SendOptions};
use crate::rooms::Rooms;
use crate::socket::Socket;

/// One socket, with options for what is sent to it, or to the others; returned by [`Socket::timeout`],
/// [`Socket::volatile`] and similar methods. [`BroadcastOperator`] is its counterpart for several
/// sockets.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before `emit`"]
pub struct SocketOperator {
    socket: Socket,
    options: SendOptions,
    wait: Wait,
}

impl SocketOperator {
    pub(super) fn new(socket: Socket) -> Self {
        Self {
            socket,
            options: SendOptions::default(),
            wait: Wait::Default,
        }
    }

    /// See [`Socket::volatile`].
    pub fn volatile(mut self) -> Self {
        self.options.reliability = Reliability::Volatile;
        self
    }

    /// See [`BroadcastOperator::uncompressed`].
    pub fn uncompressed(mut self) -> Self {
        self.options.uncompressed = true;
        self
    }

    /// See [`Socket::timeout`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.wait = Wait::For(timeout);
        self
    }

    /// Lets `emit_with_ack` wait for the acknowledgement as long as the client stays connected.
    pub fn no_timeout(mut self) -> Self {
        self.wait = Wait::Forever;
        self
    }

    /// See [`Socket::to`].
    pub fn to(self, rooms: impl Rooms) -> BroadcastOperator {
        self.broadcast().to(rooms)
    }

    /// See [`Socket::except`].
    pub fn except(self, rooms: impl Rooms) -> BroadcastOperator {
        self.broadcast().except(rooms)
    }

    /// See [`Socket::broadcast`].
    pub fn broadcast(self) -> BroadcastOperator {
        let mut others = self.socket.broadcast();
        others.target.options = self.options;
        others.wait = self.wait;
        others
    }

    /// See [`Socket::emit`].
    pub fn emit<T: Serialize>(&self, event: impl AsRef<str>, args: T) -> Emitted {
        self.socket.queue_event(event.as_ref(), &args, self.options)
    }

    /// See [`Socket::emit_when_writable`]. A [volatile](Self::volatile) event does not wait. A [timeout](Self::timeout)
    /// limits the wait.
    ///
    /// # Errors
    ///
    /// Fails as [`Socket::emit_when_writable`] does, and with [`EmitError::Full`] when the timeout has passed.
    pub fn emit_when_writable<E: AsRef<str>, T: Serialize>(
        &self,
        event: E,
        args: T,
    ) -> impl Future<Output = Result<(), EmitError>> + Send + use<E, T> {
        let args = event_args(event.as_ref(), &args);
        let Self {
            socket,
            options,
            wait,
        } = self.clone();
        async move {
            let counters = &socket.namespace().counters;
            counters.add(Counted::Emits(EmitScope::Socket), 1);
            let sent = match args {
                Err(error) => Err(error),
                Ok(args) if options.is_volatile() => socket.send(args, options).map(drop),
                Ok(args) => match wait {
                    Wait::Default | Wait::Forever => socket.send_when_writable(args, options).await,
                    Wait::For(limit) => {
                        let sending = pin!(socket.send_when_writable(args, options));
                        let run_out = pin!(Timer::new(wait, limit).run_out());
                        match select(sending, run_out).await {
                            Either::Left((sent, _)) => sent,
                            Either::Right(_) => Err(EmitError::Full(socket.queued().bytes)),
                        }
                    }
                },
            };
            Emitted::new(sent, counters).into_result()
        }
    }

    /// See [`Socket::emit_with_ack`].
    pub fn emit_with_ack<R: DeserializeOwned>(
        &self,
        event: impl AsRef<str>,
        args: impl Serialize,
    ) -> AckFuture<R> {
        AckFuture::ask(&self.socket, event.as_ref(), &args, self.options, self.wait)
    }
}
