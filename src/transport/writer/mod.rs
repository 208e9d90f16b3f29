//! The write buffer and write position of a WebSocket.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite;

use crate::outbox::{Form, Frame, MAX_COALESCED, Outbox, Pressure, Readiness, Written, coalesce};
use proto::always;
use proto::buf::shrink_if_empty;
use proto::engine_io::Revision;
use proto::websocket::{Agreed, Deflater};

/// The maximum number of chunks in one vectored write.
const GATHER: usize = 64;
/// The maximum number of bytes copied into one chunk if the connection has no vectored writes (TLS, HTTP/2).
const COALESCE_ONE: usize = 64 * 1024;
/// The maximum number of queued frames of the protocol itself. A peer that causes more does not read, and receives no
/// reply.
const URGENT: usize = 8;

/// The queue of frames from the outbox and of urgent frames of the protocol itself. Urgent frames are written first,
/// but never in the middle of another frame.
pub(super) struct Writer {
    form: Form,
    /// The compressor, if compression has been negotiated.
    deflater: Option<Box<Deflater>>,
    queue: VecDeque<Frame>,
    /// The position of the next write in the first frame of the queue.
    chunk: usize,
    offset: usize,
    urgent: VecDeque<Bytes>,
    /// The position of the next write in the first urgent frame.
    urgent_offset: usize,
    /// True if the connection may hold bytes that it has not flushed.
    unflushed: bool,
    /// The data written since the last [`take_written`](Self::take_written).
    written: Written,
    /// True if the connection has accepted bytes since the last check.
    moved: bool,
}

impl Writer {
    pub(super) fn new(revision: Revision) -> Self {
        Self {
            form: Form::Plain(revision),
            deflater: None,
            // A client that is sent one frame at a time needs no more than this, and very many are.
            queue: VecDeque::with_capacity(1),
            chunk: 0,
            offset: 0,
            urgent: VecDeque::new(),
            urgent_offset: 0,
            unflushed: false,
            written: Written::default(),
            moved: false,
        }
    }

    pub(super) fn compress(&mut self, agreed: &Agreed) {
        self.form = Form::Deflated;
        self.deflater = Some(Box::new(Deflater::new(agreed)));
    }

    /// Returns true if frames of one chunk are written unmodified, that is, uncompressed.
    pub(super) fn writes_as_is(&self) -> bool {
        self.deflater.is_none()
    }

    /// Queues a frame of the protocol itself. Returns false, without queueing it, if too many are queued.
    pub(super) fn push_urgent(&mut self, frame: Bytes) -> bool {
        let room = self.urgent.len() < URGENT;
        if room {
            self.urgent.push_back(frame);
        }
        room
    }

    /// Returns true if a frame of the protocol itself is queued.
    pub(super) fn has_urgent(&self) -> bool {
        !self.urgent.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len() + self.urgent.len()
    }

    fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.urgent.is_empty()
    }

    /// Writes the queue and the outbox, and reports the result to the outbox. Returns the pressure on it as well.
    pub(super) fn poll_outbox<W: AsyncWrite + Unpin>(
        &mut self,
        io: &mut W,
        outbox: &Outbox,
        cx: &mut Context<'_>,
    ) -> (Poll<io::Result<()>>, Pressure) {
        let known = self.queue.len();
        let begun = outbox.take(&mut self.queue);
        if known == 0 {
            self.offset += begun;
        }
        if let Some(deflater) = &mut self.deflater {
            let new = self.queue.iter_mut().skip(known);
            new.for_each(|frame| frame.compress(deflater));
        }
        let mut written = Written::default();
        let result = self.poll(io, cx, &mut written);
        let mut pressure = outbox.record_written(written, Readiness::from(&result));
        self.written.packets += written.packets;
        self.written.bytes += written.bytes;
        // Frames of the protocol itself and partly written frames count, too.
        pressure.waiting = result.is_pending();
        pressure.moved = std::mem::take(&mut self.moved);
        (result, pressure)
    }

    pub(super) fn take_written(&mut self) -> Written {
        std::mem::take(&mut self.written)
    }

    /// Writes the queue without taking frames from the outbox.
    pub(super) fn poll_own<W: AsyncWrite + Unpin>(
        &mut self,
        io: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll(io, cx, &mut Written::default())
    }

    fn poll<W: AsyncWrite + Unpin>(
        &mut self,
        io: &mut W,
        cx: &mut Context<'_>,
        written: &mut Written,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            match ready!(self.write(io, cx))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => self.advance(bytes, written),
            }
            self.moved = true;
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn write<W: AsyncWrite + Unpin>(
        &self,
        io: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if let Some(chunk) = self.only_chunk() {
            return Pin::new(io).poll_write(cx, chunk);
        }
        let vectored = io.is_write_vectored();
        let mut gathered = Gathered {
            slices: [IoSlice::new(&[]); GATHER],
            used: 0,
            bytes: 0,
            limit: if vectored { usize::MAX } else { COALESCE_ONE },
        };
        self.gather(&mut gathered);
        let slices = gathered.slices.get(..gathered.used);
        match always(slices, "no more is used than there is") {
            [one] => Pin::new(io).poll_write(cx, one),
            many if gathered.bytes <= MAX_COALESCED || !vectored => {
                let slices = many.iter().map(|slice| &**slice);
                coalesce(slices, |one| Pin::new(io).poll_write(cx, one))
            }
            many => Pin::new(io).poll_write_vectored(cx, many),
        }
    }

    /// Returns the data to write if it is a single chunk, which is the usual case.
    fn only_chunk(&self) -> Option<&[u8]> {
        let (chunk, offset) = match (self.queue.len(), self.urgent.len()) {
            (1, 0) => {
                let frame = self.queue.front().filter(|frame| frame.chunks() == 1)?;
                (frame.chunk(0, self.form), self.offset)
            }
            (0, 1) => (&**self.urgent.front()?, self.urgent_offset),
            _ => return None,
        };
        chunk.get(offset..)
    }

    /// Returns true if the first frame of the queue has been partly written.
    fn is_mid_frame(&self) -> bool {
        (self.chunk, self.offset) != (0, 0)
    }

    /// Gathers the next bytes, in the order in which [`advance`](Self::advance) counts them.
    fn gather<'a>(&'a self, gathered: &mut Gathered<'a>) {
        let mut frames = self.queue.iter();
        if self.is_mid_frame()
            && let Some(frame) = frames.next()
        {
            let offset = self.offset;
            for index in self.chunk..frame.chunks() {
                let skip = if index == self.chunk { offset } else { 0 };
                if !gathered.push(frame.chunk(index, self.form), skip) {
                    return;
                }
            }
        }
        for (index, frame) in self.urgent.iter().enumerate() {
            let skip = if index == 0 { self.urgent_offset } else { 0 };
            if !gathered.push(frame, skip) {
                return;
            }
        }
        for frame in frames {
            for index in 0..frame.chunks() {
                if !gathered.push(frame.chunk(index, self.form), 0) {
                    return;
                }
            }
        }
    }

    fn advance(&mut self, mut bytes: usize, written: &mut Written) {
        if self.is_mid_frame() {
            self.advance_frame(&mut bytes, written);
        }
        while bytes > 0
            && let Some(frame) = self.urgent.front()
        {
            let left = frame.len().saturating_sub(self.urgent_offset);
            if bytes < left {
                self.urgent_offset += bytes;
                return;
            }
            bytes -= left;
            self.urgent_offset = 0;
            self.urgent.pop_front();
            if self.urgent.is_empty() {
                // Urgent frames are rare, so an idle connection retains no capacity for them.
                self.urgent = VecDeque::new();
            }
        }
        while bytes > 0 && !self.queue.is_empty() {
            self.advance_frame(&mut bytes, written);
        }
        shrink_if_empty(&mut self.queue);
    }

    /// Advances the position in the first frame of the queue.
    fn advance_frame(&mut self, bytes: &mut usize, written: &mut Written) {
        let Some(frame) = self.queue.front() else {
            return;
        };
        while self.chunk < frame.chunks() {
            let left = frame.chunk(self.chunk, self.form);
            let left = left.len().saturating_sub(self.offset);
            if *bytes < left {
                self.offset += *bytes;
                *bytes = 0;
                return;
            }
            *bytes -= left;
            self.chunk += 1;
            self.offset = 0;
        }
        written.packets += 1;
        written.bytes += frame.size();
        self.chunk = 0;
        self.queue.pop_front();
    }
}

struct Gathered<'a> {
    slices: [IoSlice<'a>; GATHER],
    used: usize,
    bytes: usize,
    limit: usize,
}

impl<'a> Gathered<'a> {
    /// Adds a chunk. Returns false if there is no room.
    fn push(&mut self, chunk: &'a [u8], skip: usize) -> bool {
        let Some(slot) = self.slices.get_mut(self.used) else {
            return false;
        };
        let data = always(chunk.get(skip..), "no more was written than there was");
        // A large chunk is written alone, without a copy.
        if self.used > 0 && data.len() > self.limit - self.bytes.min(self.limit) {
            return false;
        }
        *slot = IoSlice::new(data);
        self.bytes += data.len();
        self.used += 1;
        true
    }
}

#[cfg(test)]
mod tests;
