//! The write buffer and write position of a WebSocket.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite;

use crate::outbox::{Form, Frame, MAX_COALESCED, Outbox, Pressure, Readiness, Written, coalesce};
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
        match gathered.slices.get(..gathered.used).unwrap_or_default() {
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
        let data = chunk.get(skip..).unwrap_or_default();
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
mod tests {
    use std::sync::{Arc, Mutex};
    use std::task::Waker;

    use proptest::prelude::*;

    use super::*;
    use crate::outbox::Reliability::{Reliable, Volatile};
    use crate::outbox::{Direct, RuntimeId};
    use proto::EncodedArgs;
    use proto::socket_io::{EncodedPacket, Kind};

    /// A connection that accepts the given number of bytes in each call. 0 is pending; after the last number it accepts
    /// everything.
    #[derive(Debug)]
    struct Slow {
        sizes: std::vec::IntoIter<usize>,
        vectored: bool,
        written: Vec<u8>,
        flushed: usize,
    }

    impl Slow {
        fn new(sizes: Vec<usize>, vectored: bool) -> Self {
            Self {
                sizes: sizes.into_iter(),
                vectored,
                written: Vec::new(),
                flushed: 0,
            }
        }
    }

    impl AsyncWrite for Slow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            let size = match self.sizes.next() {
                Some(0) => return Poll::Pending,
                Some(size) => size.min(buf.len()),
                None => buf.len(),
            };
            self.written.extend_from_slice(&buf[..size]);
            Poll::Ready(Ok(size))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bufs: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = bufs.iter().flat_map(|buf| buf.to_vec()).collect();
            self.poll_write(cx, &all)
        }

        fn is_write_vectored(&self) -> bool {
            self.vectored
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            if let Some(0) = self.sizes.next() {
                return Poll::Pending;
            }
            self.flushed = self.written.len();
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// A [`Slow`] connection that can be shared.
    #[derive(Clone, Debug)]
    struct Shared(Arc<Mutex<Slow>>);

    impl Shared {
        fn with<T>(&self, work: impl FnOnce(Pin<&mut Slow>) -> T) -> T {
            work(Pin::new(&mut self.0.lock().unwrap()))
        }
    }

    impl Direct for Shared {
        fn runtime(&self) -> RuntimeId {
            RuntimeId(0)
        }

        fn run(&self, work: Box<dyn FnOnce() + Send>) {
            work();
        }

        fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
            let cx = &mut Context::from_waker(Waker::noop());
            match self.with(|io| io.poll_write(cx, bytes)) {
                Poll::Ready(written) => written,
                Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            }
        }
    }

    impl AsyncWrite for Shared {
        fn poll_write(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.with(|io| io.poll_write(cx, buf))
        }

        fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.with(|io| io.poll_flush(cx))
        }

        fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.with(|io| io.poll_shutdown(cx))
        }
    }

    /// Creates an event with a number of attachments of equal size.
    fn event(attachments: usize, size: usize) -> Frame {
        let data = vec![Bytes::from(vec![b'x'; size]); attachments];
        let args = EncodedArgs::event("e", &data).unwrap();
        Frame::new(EncodedPacket::from_args(args, Kind::Event, "/", None))
    }

    fn bytes(frame: &Frame) -> Vec<u8> {
        (0..frame.chunks())
            .flat_map(|index| frame.chunk(index, Form::Plain(Revision::Four)).to_vec())
            .collect()
    }

    /// Splits the written bytes into the expected frames. Urgent frames may appear anywhere among the others.
    fn assert_interleaved(mut written: &[u8], frames: &[Frame], urgent: &[Bytes]) {
        let (mut frames, mut urgent) = (frames.iter(), urgent.iter().peekable());
        while !written.is_empty() {
            if let Some(rest) = urgent
                .peek()
                .and_then(|next| written.strip_prefix(&next[..]))
            {
                urgent.next();
                written = rest;
                continue;
            }
            let frame = bytes(frames.next().expect("nothing more"));
            written = written.strip_prefix(&frame[..]).expect("a whole frame");
        }
        assert!(frames.next().is_none() && urgent.next().is_none(), "all");
    }

    proptest! {
        #[test]
        fn however_little_is_taken_whole_frames_arrive_in_order(
            sizes in prop::collection::vec(0_usize..40, 0..60),
            shapes in prop::collection::vec((0_usize..3, 0_usize..30), 1..6),
            pings in prop::collection::vec(0_usize..60, 0..5),
            vectored: bool,
        ) {
            let frames: Vec<_> = shapes.iter().map(|&(n, size)| event(n, size)).collect();
            let outbox = Outbox::new(100, 100_000);
            let mut io = Slow::new(sizes, vectored);
            let (mut writer, mut urgent) = (Writer::new(Revision::Four), Vec::new());
            let cx = &mut Context::from_waker(std::task::Waker::noop());
            let mut queued = frames.iter();
            for call in 0..200 {
                if let Some(frame) = queued.next() {
                    outbox.push(frame.clone(), Reliable);
                }
                if pings.contains(&call) {
                    let ping = Bytes::from(format!("<ping {call}>"));
                    if writer.push_urgent(ping.clone()) {
                        urgent.push(ping);
                    }
                }
                let _ = writer.poll_outbox(&mut io, &outbox, cx);
            }
            assert_interleaved(&io.written, &frames, &urgent);
            prop_assert_eq!(io.flushed, io.written.len());
            prop_assert!(outbox.push(event(0, 0), Volatile) == crate::outbox::Pushed::Queued, "all is settled");
        }
    }

    proptest! {
        #[test]
        fn whoever_writes_whole_frames_arrive_in_order(
            sizes in prop::collection::vec(0_usize..40, 0..60),
            shapes in prop::collection::vec((0_usize..2, 0_usize..30), 1..20),
            turns in prop::collection::vec(0_u8..3, 60),
        ) {
            let frames: Vec<_> = shapes.iter().map(|&(n, size)| event(n, size)).collect();
            let outbox = Outbox::new(100, 100_000);
            let mut io = Shared(Arc::new(Mutex::new(Slow::new(sizes, false))));
            outbox.set_direct(Arc::new(io.clone()));
            let mut writer = Writer::new(Revision::Four);
            let cx = &mut Context::from_waker(Waker::noop());
            let mut queued = frames.iter();
            // Finally let the writer run until nothing is left.
            for turn in turns.into_iter().chain([0; 80]) {
                match turn {
                    0 => {
                        outbox.awake();
                        let _ = writer.poll_outbox(&mut io, &outbox, cx);
                        outbox.register(cx.waker());
                    }
                    1 => {
                        outbox.write_direct();
                    }
                    _ => {
                        if let Some(frame) = queued.next() {
                            outbox.push_direct(frame.clone(), Reliable);
                        }
                    }
                }
            }
            let sent = frames.len() - queued.len();
            let written = std::mem::take(&mut io.0.lock().unwrap().written);
            assert_interleaved(&written, &frames[..sent], &[]);
            prop_assert_eq!(outbox.queued().packets, 0);
        }
    }

    #[test]
    fn a_peer_that_asks_and_does_not_read_gets_a_few_answers() {
        let mut writer = Writer::new(Revision::Four);
        let pushed = (0..20).filter(|_| writer.push_urgent(Bytes::from_static(b"pong")));
        assert_eq!(pushed.count(), URGENT);
    }
}
