//! The full-duplex transports of a connection: the one in use, and one that probes in order to replace polling.

use std::task::Context;
use std::time::Duration;

use crate::outbox::{Outbox, Pressure};
use crate::transport::{Batch, Duplex, End};
use proto::engine_io::Packet;

/// The longest time of a closing handshake.
pub(super) const CLOSE_HANDSHAKE: Duration = Duration::from_secs(5);

/// The full-duplex transports of a connection.
#[derive(Debug, Default)]
pub(super) struct Duplexes {
    /// The one in use, unless the transport is polling.
    pub(super) main: Option<Duplex>,
    pub(super) probe: Option<Duplex>,
    /// The rest of its last read.
    pub(super) remainder: Option<Box<Remainder>>,
    /// True if more may have been received by it than has been handled.
    pub(super) more: bool,
    /// The reason of its end, for the closing handshake.
    pub(super) end: Option<Box<End>>,
}

/// The rest of a read for which the connection was too busy. Nothing more is read before it has been handled.
#[derive(Debug)]
pub(super) struct Remainder {
    pub(super) batch: Batch,
    /// The memory that the packets hold, in bytes.
    bytes: usize,
    /// The end of the transport, behind the packets.
    pub(super) end: Option<End>,
}

impl Duplexes {
    pub(super) fn new(main: Option<Duplex>) -> Self {
        Self {
            main,
            ..Self::default()
        }
    }

    /// Returns true if a part of an unfinished message has arrived since the last call.
    pub(super) fn take_progress(&mut self) -> bool {
        self.main.as_mut().is_some_and(|main| main.take_progress())
    }

    /// Writes as much as the connection takes; see [`Duplex::try_write`].
    pub(super) fn try_write(&mut self, outbox: &Outbox) -> Option<Pressure> {
        self.main.as_mut()?.try_write(outbox)
    }

    /// Returns the size of the input that both have received and that has not been handled, in bytes.
    pub(super) fn unfinished(&self) -> usize {
        let both = [&self.main, &self.probe].into_iter().flatten();
        let unfinished: usize = both.map(|socket| socket.unfinished()).sum();
        unfinished + self.remainder.as_ref().map_or(0, |rest| rest.bytes)
    }

    /// Keeps the rest of a read.
    pub(super) fn keep(&mut self, batch: &mut Batch, end: Option<End>) {
        let batch = std::mem::take(batch);
        let bytes = batch.held_bytes();
        self.remainder = Some(Box::new(Remainder { batch, bytes, end }));
        self.more = true;
    }

    /// Answers the probe, and writes the answer as far as possible at once: the poll is released next, and the client
    /// should read the answer first.
    pub(super) fn answer_probe(&mut self, cx: &mut Context<'_>) {
        if let Some(probe) = &mut self.probe {
            if !probe.push_packet(Packet::PONG_PROBE.as_bytes()) {
                tracing::debug!("too many probes of a client that does not read the answers");
            }
            // The next write of the probe, which is in this round, returns the error again.
            let _ = probe.poll_write(cx);
        }
    }

    /// Performs the closing handshakes of those that remain.
    pub(super) async fn farewell(self) {
        if let Some(probe) = self.probe {
            close_in_background(probe);
        }
        if let Some(main) = self.main {
            main.close(self.end.as_deref()).await;
        }
    }
}

pub(super) fn close_in_background(socket: Duplex) {
    tokio::spawn(turn_away(socket));
}

/// Closes a transport that no session takes.
pub(crate) async fn turn_away(socket: Duplex) {
    let _ = tokio::time::timeout(CLOSE_HANDSHAKE, socket.close(None)).await;
}
