//! A WebSocket on an upgraded connection.
//!
//! It holds no read buffer while idle: bytes are read into a scratch buffer that all connections of a thread share, and
//! only an unfinished frame, or what a busy connection may not look at yet, is kept.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::engine::{Control, Frame, Outbox};
use crate::protocol::websocket::{
    CloseFrame, Config, Decoder, Event, Opcode, ProtocolError, close_frame, frame,
};

/// How much is read at once.
const SCRATCH: usize = 64 * 1024;
/// How many chunks one write gathers.
const GATHER: usize = 64;
/// Several chunks that are no longer than this together are copied into one.
const COALESCE: usize = 16 * 1024;

thread_local! {
    static READ: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
    static WRITE: Cell<Option<Vec<u8>>> = const { Cell::new(None) };
}

pub(crate) struct WebSocket {
    io: Box<TokioIo<Upgraded>>,
    decoder: Decoder,
    /// Received, but not looked at: the connection was busy.
    unread: Vec<u8>,
    queue: VecDeque<Out>,
    /// What the newest ping is to be answered with, when there is room.
    pong: Option<Bytes>,
    /// Where in the first of the queue the next write starts.
    chunk: usize,
    offset: usize,
}

enum Out {
    Frame(Frame),
    /// A packet or frame of the protocol's own, already framed.
    Own(Bytes),
}

/// Why nothing more will be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    /// The peer closed, and may have said why.
    #[error("closed by the peer")]
    Closed(Option<CloseFrame>),
    /// The connection ended without a closing handshake.
    #[error("connection lost: {0}")]
    Lost(io::Error),
    /// The peer broke the WebSocket protocol.
    #[error("websocket protocol violated: {0}")]
    Violation(ProtocolError),
}

impl Out {
    fn chunks(&self) -> usize {
        match self {
            Self::Frame(frame) => frame.chunks(),
            Self::Own(_) => 1,
        }
    }

    fn chunk(&self, index: usize) -> &[u8] {
        match self {
            Self::Frame(frame) => frame.chunk(index),
            Self::Own(bytes) => bytes,
        }
    }
}

impl WebSocket {
    pub(crate) fn new(io: Upgraded, max_message: usize) -> Self {
        let config = Config {
            max_message,
            ..Config::default()
        };
        Self {
            io: Box::new(TokioIo::new(io)),
            decoder: Decoder::new(config),
            unread: Vec::new(),
            queue: VecDeque::new(),
            pong: None,
            chunk: 0,
            offset: 0,
        }
    }

    /// Queues an Engine.IO text packet of the protocol's own.
    pub(crate) fn push_text(&mut self, packet: &[u8]) {
        self.queue.push_back(Out::Own(frame(Opcode::Text, packet)));
    }

    pub(crate) fn push_control(&mut self, control: Control) {
        self.push_text(control.text());
    }

    pub(crate) fn push_frames(&mut self, frames: &mut VecDeque<Frame>) {
        self.queue.extend(frames.drain(..).map(Out::Frame));
    }

    /// Whether all that was queued has been written.
    pub(crate) fn is_flushed(&self) -> bool {
        self.queue.is_empty()
    }

    /// Reads, and hands each message to `visit` until it says `Break`; then the rest is kept for the next call.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        visit: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> Poll<Result<(), End>> {
        if !self.unread.is_empty() {
            let unread = std::mem::take(&mut self.unread);
            if self.decode(&unread, visit)?.is_break() {
                return Poll::Ready(Ok(()));
            }
        }
        let mut scratch = READ
            .take()
            .unwrap_or_else(|| vec![0; SCRATCH].into_boxed_slice());
        let result = self.read_some(cx, &mut scratch, visit);
        READ.set(Some(scratch));
        result
    }

    fn read_some(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        visit: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> Poll<Result<(), End>> {
        let mut buf = ReadBuf::new(scratch);
        loop {
            buf.clear();
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf)).map_err(End::Lost)?;
            if buf.filled().is_empty() {
                return Poll::Ready(Err(End::Lost(io::ErrorKind::UnexpectedEof.into())));
            }
            if self.decode(buf.filled(), visit)?.is_break() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn decode(
        &mut self,
        mut input: &[u8],
        visit: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, End> {
        while let Some(event) = self
            .decoder
            .next_event(&mut input)
            .map_err(End::Violation)?
        {
            let flow = match event {
                Event::Ping(data) => {
                    self.pong = Some(data);
                    self.queue_pong();
                    ControlFlow::Continue(())
                }
                Event::Pong(_) => ControlFlow::Continue(()),
                Event::Close(close) => return Err(End::Closed(close)),
                message => visit(message),
            };
            if flow.is_break() {
                self.unread = input.to_vec();
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// A peer that pings but does not read gets an answer to its newest ping only.
    fn queue_pong(&mut self) {
        if self.queue.len() < GATHER
            && let Some(data) = self.pong.take()
        {
            self.queue.push_back(Out::Own(frame(Opcode::Pong, &data)));
        }
    }

    /// Writes what is queued, and reports to the outbox what has gone.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        outbox: Option<&Outbox>,
    ) -> Poll<io::Result<()>> {
        self.queue_pong();
        if self.queue.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let (mut packets, mut bytes) = (0, 0);
        let result = loop {
            if self.queue.is_empty() {
                break Pin::new(&mut self.io).poll_flush(cx);
            }
            match self.write_some(cx) {
                Poll::Ready(Ok(0)) => break Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => self.advance(written, &mut packets, &mut bytes),
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
        };
        if let Some(outbox) = outbox
            && packets > 0
        {
            outbox.written(packets, bytes);
        }
        result
    }

    fn write_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); GATHER];
        let (mut used, mut total) = (0, 0);
        let (mut chunk, mut offset) = (self.chunk, self.offset);
        for out in &self.queue {
            while chunk < out.chunks() {
                let Some(slot) = slices.get_mut(used) else {
                    break;
                };
                let data = out.chunk(chunk).get(offset..).unwrap_or_default();
                *slot = IoSlice::new(data);
                total += data.len();
                used += 1;
                chunk += 1;
                offset = 0;
            }
            chunk = 0;
        }
        let slices = slices.get(..used).unwrap_or_default();
        match slices {
            [one] => Pin::new(&mut self.io).poll_write(cx, one),
            many if total <= COALESCE => {
                let mut buffer = WRITE.take().unwrap_or_default();
                buffer.clear();
                many.iter()
                    .for_each(|slice| buffer.extend_from_slice(slice));
                let result = Pin::new(&mut self.io).poll_write(cx, &buffer);
                WRITE.set(Some(buffer));
                result
            }
            many => Pin::new(&mut self.io).poll_write_vectored(cx, many),
        }
    }

    fn advance(&mut self, mut written: usize, packets: &mut usize, bytes: &mut usize) {
        while let Some(out) = self.queue.front() {
            while self.chunk < out.chunks() {
                let left = out.chunk(self.chunk).len().saturating_sub(self.offset);
                if written < left {
                    self.offset += written;
                    return;
                }
                written -= left;
                self.chunk += 1;
                self.offset = 0;
            }
            if let Out::Frame(frame) = out {
                *packets += 1;
                *bytes += frame.size();
            }
            self.chunk = 0;
            self.queue.pop_front();
        }
    }

    /// Ends it: writes what is queued and a close frame, and waits for the peer's.
    ///
    /// Has no deadline of its own.
    pub(crate) async fn close(mut self, end: Option<&End>) {
        let farewell = match end {
            // Our side closes: no code, as Node's server does.
            None => close_frame(None, ""),
            // Its own words, as Node's server answers.
            Some(End::Closed(None)) => close_frame(None, ""),
            Some(End::Closed(Some(close))) => close_frame(Some(close.code), &close.reason),
            Some(End::Violation(error)) => close_frame(Some(error.close_code()), ""),
            Some(End::Lost(_)) => return,
        };
        self.queue.push_back(Out::Own(farewell));
        if std::future::poll_fn(|cx| self.poll_write(cx, None))
            .await
            .is_err()
        {
            return;
        }
        let shut = std::future::poll_fn(|cx| Pin::new(&mut self.io).poll_shutdown(cx)).await;
        if shut.is_ok() {
            self.drain().await;
        }
    }

    /// Reads until the peer has closed too, so that it gets our close frame and no reset.
    async fn drain(&mut self) {
        let mut buffer = vec![0; 4096];
        loop {
            let mut buf = ReadBuf::new(&mut buffer);
            let read =
                std::future::poll_fn(|cx| Pin::new(&mut self.io).poll_read(cx, &mut buf)).await;
            if read.is_err() || buf.filled().is_empty() {
                return;
            }
        }
    }
}

impl std::fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSocket")
            .field("queued", &self.queue.len())
            .finish_non_exhaustive()
    }
}
