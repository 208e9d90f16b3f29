//! The transports that carry packets in both directions at once, in place of polling.

use std::io;
use std::task::{Context, Poll};

use super::end::End;
#[cfg(feature = "testing")]
use super::memory::Memory;
use super::reading::Reading;
use super::websocket::{Unfinished, WebSocket};
use crate::outbox::{Outbox, Pressure, Written};
use proto::engine_io::Transport;

/// A transport that carries packets in both directions at once. A new one is a variant here; its users name no other
/// type.
///
/// The variants are told apart by a branch. A trait object would keep the compiler from inlining the reads and writes.
/// They are boxed, since a connection over polling has none.
#[derive(Debug)]
pub(crate) enum Duplex {
    WebSocket(Box<WebSocket>),
    #[cfg(feature = "testing")]
    Memory(Box<Memory>),
}

/// Calls a method of the transport in use.
macro_rules! each {
    ($duplex:expr, $transport:ident => $call:expr) => {
        match $duplex {
            Duplex::WebSocket($transport) => $call,
            #[cfg(feature = "testing")]
            Duplex::Memory($transport) => $call,
        }
    };
}

impl Duplex {
    /// Returns the name under which clients ask for the transport.
    pub(crate) const fn kind(&self) -> Transport {
        match self {
            Self::WebSocket(_) => Transport::WebSocket,
            // It stands for a WebSocket.
            #[cfg(feature = "testing")]
            Self::Memory(_) => Transport::WebSocket,
        }
    }

    /// Allows direct writes of the outbox to the connection, if it supports them.
    pub(crate) fn open_direct(&self, outbox: &Outbox) {
        each!(self, transport => transport.open_direct(outbox));
    }

    /// Returns true if a part of an unfinished message has arrived since the last call.
    pub(crate) fn take_progress(&mut self) -> bool {
        each!(self, transport => transport.take_progress())
    }

    /// Returns the size of an unfinished message and of undecoded input, in bytes.
    #[inline]
    pub(crate) fn unfinished(&self) -> usize {
        each!(self, transport => transport.unfinished())
    }

    /// Returns the state of an unfinished frame or message, and resets it for the next check.
    #[inline]
    pub(crate) fn take_unfinished(&mut self) -> Unfinished {
        each!(self, transport => transport.take_unfinished())
    }

    /// Queues a text packet of the protocol itself. It is written before the frames of the outbox. Returns false,
    /// without queueing it, if too many are queued.
    pub(crate) fn push_packet(&mut self, packet: &[u8]) -> bool {
        each!(self, transport => transport.push_packet(packet))
    }

    /// Sends a packet of the session itself once there is room for it. A newer packet replaces one that still waits.
    pub(crate) fn owe(&mut self, packet: &'static [u8]) {
        each!(self, transport => transport.owe(packet));
    }

    /// Returns true if a packet of the protocol itself is queued.
    pub(crate) fn owes_packets(&self) -> bool {
        each!(self, transport => transport.owes_packets())
    }

    /// Reads, and adds the packets to the batch until it is full. The rest is buffered for the next call. An end comes
    /// after the packets of the batch.
    ///
    /// Returns ready as well after many bytes or packets, in which case there may be more to read.
    #[inline]
    pub(crate) fn poll_packets(
        &mut self,
        cx: &mut Context<'_>,
        reading: &mut Reading,
    ) -> Poll<Result<(), End>> {
        each!(self, transport => transport.poll_packets(cx, reading))
    }

    /// Writes the packets of the protocol itself and the outbox. Returns the pressure on the outbox as well.
    #[inline]
    pub(crate) fn poll_outbox(
        &mut self,
        outbox: &Outbox,
        cx: &mut Context<'_>,
    ) -> (Poll<io::Result<()>>, Pressure) {
        each!(self, transport => transport.poll_outbox(outbox, cx))
    }

    /// Writes as much as the connection accepts, even if the system has not reported it as ready. Returns `None` if the
    /// connection does not support this.
    pub(crate) fn try_write(&mut self, outbox: &Outbox) -> Option<Pressure> {
        each!(self, transport => transport.try_write(outbox))
    }

    /// Returns the part of the outbox that has been written since the last call.
    #[inline]
    pub(crate) fn take_written(&mut self) -> Written {
        each!(self, transport => transport.take_written())
    }

    /// Writes the packets of the protocol itself and the frames already taken from the outbox.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, transport => transport.poll_write(cx))
    }

    /// Closes the transport: writes the queue and says farewell, and waits for the peer to close as well.
    ///
    /// This has no deadline of its own.
    pub(crate) async fn close(self, end: Option<&End>) {
        each!(self, transport => transport.close(end).await);
    }
}

impl From<WebSocket> for Duplex {
    fn from(socket: WebSocket) -> Self {
        Self::WebSocket(Box::new(socket))
    }
}

#[cfg(feature = "testing")]
impl From<Memory> for Duplex {
    fn from(memory: Memory) -> Self {
        Self::Memory(Box::new(memory))
    }
}
