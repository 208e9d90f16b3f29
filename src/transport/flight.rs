//! A large response to a poll that is in flight to the client.
//!
//! It counts against the outbox until the HTTP server has taken it, piece by piece as the client reads. Otherwise a
//! client that keeps polling without reading the responses could make the server hold any number of them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::outbox::{Outbox, Written};

/// The size of the pieces that the HTTP server takes, in bytes.
const PIECE: usize = 64 * 1024;

/// Frames of an outbox that have been packed into a response but not taken by the HTTP server.
#[derive(Debug)]
pub(crate) struct Flight {
    outbox: Arc<Outbox>,
    written: Written,
}

impl Flight {
    pub(crate) fn new(outbox: Arc<Outbox>, written: Written) -> Self {
        Self { outbox, written }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.outbox.record_late_write(self.written);
    }
}

/// The body of a response whose frames are in flight.
#[derive(Debug)]
pub(crate) struct InFlight {
    rest: Bytes,
    flight: Flight,
}

impl InFlight {
    pub(crate) fn new(bytes: Bytes, flight: Flight) -> Self {
        Self {
            rest: bytes,
            flight,
        }
    }
}

impl Body for InFlight {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        self.flight.outbox.record_progress();
        let piece = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(piece);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
