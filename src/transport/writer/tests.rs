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
                    outbox.mark_writer_awake();
                    let _ = writer.poll_outbox(&mut io, &outbox, cx);
                    outbox.register_writer(cx.waker());
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
