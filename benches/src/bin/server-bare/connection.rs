//! A connection as one future: it reads into a buffer of the thread, and writes all output at once.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::rooms::Member;

/// The protocol of a connection.
pub trait Protocol: Unpin {
    /// Handles received bytes, and appends the answers to `output`.
    fn receive(&mut self, input: &[u8], output: &mut Vec<u8>) -> io::Result<()>;
}

/// A protocol that echoes every byte.
pub struct Echo;

impl Protocol for Echo {
    fn receive(&mut self, input: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
        output.extend_from_slice(input);
        Ok(())
    }
}

pub struct Connection<T, P> {
    stream: T,
    protocol: P,
    member: Arc<Member>,
    /// The frames that the kernel has not accepted yet. The connection is not read until they are written.
    unsent: VecDeque<Bytes>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers {
        input: vec![0; 64 * 1024].into(),
        output: Vec::with_capacity(64 * 1024),
        frames: VecDeque::new(),
    });
}

struct Buffers {
    input: Box<[u8]>,
    output: Vec<u8>,
    frames: VecDeque<Bytes>,
}

impl<T: AsyncRead + AsyncWrite + Unpin, P: Protocol> Connection<T, P> {
    pub const fn new(stream: T, protocol: P, member: Arc<Member>) -> Self {
        Self {
            stream,
            protocol,
            member,
            unsent: VecDeque::new(),
        }
    }

    /// Reads once and writes once. It is ready if there may be more to read.
    fn step(&mut self, buffers: &mut Buffers, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(write(&mut self.stream, &mut self.unsent, cx))?;
        let Buffers {
            input,
            output,
            frames,
        } = buffers;
        output.clear();
        let mut read = ReadBuf::new(input);
        let more = match Pin::new(&mut self.stream).poll_read(cx, &mut read)? {
            Poll::Ready(()) if read.filled().is_empty() => {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            Poll::Ready(()) => {
                self.protocol.receive(read.filled(), output)?;
                Poll::Ready(Ok(()))
            }
            Poll::Pending => Poll::Pending,
        };
        self.member.take(frames, cx);
        collect(output, frames);
        self.send(output, frames, cx)?;
        more
    }

    fn send(
        &mut self,
        output: &[u8],
        frames: &mut VecDeque<Bytes>,
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        let mut rest = output;
        while !rest.is_empty() && frames.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, rest)? {
                Poll::Ready(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Poll::Pending => break,
            }
        }
        if !rest.is_empty() {
            frames.push_front(Bytes::copy_from_slice(rest));
        }
        // The write also registers the waker for the unsent bytes.
        let _ = write(&mut self.stream, frames, cx)?;
        self.unsent.extend(frames.drain(..));
        Ok(())
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin, P: Protocol> Future for Connection<T, P> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        BUFFERS.with_borrow_mut(|buffers| {
            loop {
                ready!(self.step(buffers, cx))?;
            }
        })
    }
}

/// Joins small frames, as copying them is cheaper than passing them to the kernel one by one.
fn collect(output: &mut Vec<u8>, frames: &mut VecDeque<Bytes>) {
    const SMALL: usize = 1024;

    if frames.iter().all(|frame| frame.len() <= SMALL) {
        for frame in frames.drain(..) {
            output.extend_from_slice(&frame);
        }
    }
}

fn write<T: AsyncWrite + Unpin>(
    stream: &mut T,
    frames: &mut VecDeque<Bytes>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while !frames.is_empty() {
        let mut slices = [IoSlice::new(&[]); 16];
        for (slice, frame) in slices.iter_mut().zip(frames.iter()) {
            *slice = IoSlice::new(frame);
        }
        let slices = slices.get(..frames.len()).unwrap_or(&slices);
        let mut sent = ready!(Pin::new(&mut *stream).poll_write_vectored(cx, slices))?;
        while let Some(first) = frames.front_mut() {
            if first.len() > sent {
                first.advance(sent);
                break;
            }
            sent -= first.len();
            frames.pop_front();
        }
    }
    Poll::Ready(Ok(()))
}
