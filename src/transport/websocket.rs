//! A WebSocket on an upgraded connection.
//!
//! It holds no read buffer while idle: bytes are read into a scratch buffer that all connections of a thread share, and
//! only an unfinished frame, or what a busy connection may not look at yet, is kept.

use std::cell::Cell;
use std::io;
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream::Stream;
use super::writer::Writer;
use crate::engine::{Outbox, Pressure, Written};
use crate::protocol::engine_io::Revision;
use crate::protocol::websocket::{
    Agreed, CloseFrame, Config, Decoder, Event, Frame, Opcode, ProtocolError, close_frame, frame,
};

/// How much is read at once. A connection that has read so much lets others go ahead.
const SCRATCH: usize = 64 * 1024;

/// How many frames of any kind are taken at once, for the same reason.
const FRAMES: usize = 128;

/// How many reads are discarded at once.
const DISCARDS: usize = 64;

thread_local! {
    static READ: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

pub(crate) struct WebSocket {
    io: Stream,
    decoder: Decoder,
    /// Received, but not looked at from here on: the connection was busy.
    unread: Vec<u8>,
    unread_at: usize,
    writer: Writer,
    /// What the newest ping is to be answered with, when there is room.
    pong: Option<Bytes>,
    /// A packet of the session's own, when there is room.
    owed: Option<&'static [u8]>,
    /// Some of a message has come that is not finished.
    progress: bool,
    /// All that was begun had been finished at some time since this was last asked.
    rested: bool,
}

/// Whether a frame or a message has begun, and not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    Nothing,
    /// It began since this was last asked.
    New,
    /// It had begun before.
    Same,
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
    /// Our side closes, and says why.
    #[error("closed by the server")]
    Ours(CloseFrame),
}

impl WebSocket {
    pub(crate) fn new(
        upgraded: Upgraded,
        max_message: usize,
        revision: Revision,
        compression: Option<Agreed>,
    ) -> Self {
        let config = Config {
            max_message,
            ..Config::default()
        };
        let mut writer = Writer::new(revision);
        let decoder = match &compression {
            None => Decoder::new(config),
            Some(agreed) => {
                writer.compress(agreed);
                Decoder::compressed(config, agreed)
            }
        };
        let (io, read_already) = Stream::new(upgraded);
        Self {
            io,
            decoder,
            // A copy: to take it over would be to keep hyper's whole buffer.
            unread: read_already.to_vec(),
            unread_at: 0,
            writer,
            pong: None,
            owed: None,
            progress: false,
            rested: true,
        }
    }

    /// What is queued in the outbox may be written past this from now on, where that can be.
    pub(crate) fn open_direct(&self, outbox: &Outbox) {
        if self.writer.writes_as_is()
            && let Some(direct) = self.io.direct()
        {
            outbox.set_direct(direct);
        }
    }

    /// Whether some of an unfinished message has come since this was last asked.
    pub(crate) fn take_progress(&mut self) -> bool {
        std::mem::take(&mut self.progress)
    }

    /// The size of an unfinished message, and of what has not been looked at, in bytes.
    pub(crate) fn unfinished(&self) -> usize {
        self.decoder.unfinished() + self.unread.len()
    }

    /// Whether something has been received in part.
    pub(crate) fn take_unfinished(&mut self) -> Unfinished {
        let rested = std::mem::replace(&mut self.rested, false);
        if self.decoder.is_idle() {
            self.rested = true;
            Unfinished::Nothing
        } else if rested {
            Unfinished::New
        } else {
            Unfinished::Same
        }
    }

    /// Queues an Engine.IO text packet of the protocol's own. It goes before what the outbox has. Returns false when too many
    /// wait already: then it is not queued.
    pub(crate) fn push_packet(&mut self, packet: &[u8]) -> bool {
        self.writer.push_urgent(frame(Opcode::Text, packet))
    }

    /// Sends a packet of the session's own as soon as there is room for it. A newer one takes its place.
    pub(crate) fn owe(&mut self, packet: &'static [u8]) {
        self.owed = Some(packet);
        self.queue_own();
    }

    /// Whether a packet of the protocol's own waits to be written.
    pub(crate) fn owes_packets(&self) -> bool {
        self.owed.is_some() || self.writer.has_urgent()
    }

    /// Reads, and hands each message to `visit` until that returns `Break`; the rest is kept for the next call.
    ///
    /// Also ready when it has taken many bytes or frames: then there may be more.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        visit: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> Poll<Result<(), End>> {
        let mut frames = FRAMES;
        if !self.unread.is_empty() {
            let unread = std::mem::take(&mut self.unread);
            let mut input = unread.get(self.unread_at..).unwrap_or_default();
            if self.decode(&mut input, &mut frames, visit)?.is_break() {
                self.unread_at = unread.len() - input.len();
                self.unread = unread;
                return Poll::Ready(Ok(()));
            }
        }
        let mut scratch = READ
            .take()
            .unwrap_or_else(|| vec![0; SCRATCH].into_boxed_slice());
        let result = self.read_some(cx, &mut scratch, frames, visit);
        READ.set(Some(scratch));
        result
    }

    fn read_some(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        mut frames: usize,
        visit: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> Poll<Result<(), End>> {
        let mut buf = ReadBuf::new(scratch);
        let mut total = 0;
        while total < SCRATCH {
            buf.clear();
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf)).map_err(End::Lost)?;
            let mut input = buf.filled();
            if input.is_empty() {
                return Poll::Ready(Err(End::Lost(io::ErrorKind::UnexpectedEof.into())));
            }
            total += input.len();
            if self.decode(&mut input, &mut frames, visit)?.is_break() {
                self.unread = input.to_vec();
                self.unread_at = 0;
                break;
            }
            self.progress |= !self.decoder.is_idle();
        }
        Poll::Ready(Ok(()))
    }

    fn decode(
        &mut self,
        input: &mut &[u8],
        frames: &mut usize,
        visit: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, End> {
        while !input.is_empty() {
            if *frames == 0 {
                return Ok(ControlFlow::Break(()));
            }
            *frames -= 1;
            let frame = self.decoder.next_frame(input);
            self.rested |= self.decoder.is_idle();
            match frame {
                Ok(Frame::None | Frame::Part | Frame::Event(Event::Pong(_))) => {}
                Ok(Frame::Event(Event::Ping(data))) => {
                    self.pong = Some(data);
                    self.queue_own();
                }
                Ok(Frame::Event(Event::Close(close))) => return Err(End::Closed(close)),
                Ok(Frame::Event(message)) => {
                    if visit(message).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Err(error) => return Err(End::Violation(error)),
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Queues what there is room for: the session's packet, and the answer to the newest ping of a peer that may not read.
    fn queue_own(&mut self) {
        self.owed
            .take_if(|owed| self.writer.push_urgent(frame(Opcode::Text, owed)));
        if let Some(data) = self.pong.take()
            && !self.writer.push_urgent(frame(Opcode::Pong, &data))
        {
            self.pong = Some(data);
        }
    }

    /// Writes what waits here and in the outbox. Also returns whether the client keeps up.
    pub(crate) fn poll_outbox(
        &mut self,
        outbox: &Outbox,
        cx: &mut Context<'_>,
    ) -> (Poll<io::Result<()>>, Pressure) {
        let polled = self.writer.poll_outbox(&mut self.io, outbox, cx);
        if self.pong.is_none() && self.owed.is_none() {
            return polled;
        }
        self.poll_own_too(polled, outbox, cx)
    }

    /// What has found no room is written when what was before it has been.
    #[cold]
    fn poll_own_too(
        &mut self,
        (result, mut pressure): (Poll<io::Result<()>>, Pressure),
        outbox: &Outbox,
        cx: &mut Context<'_>,
    ) -> (Poll<io::Result<()>>, Pressure) {
        self.queue_own();
        if !matches!(result, Poll::Ready(Ok(()))) {
            return (result, pressure);
        }
        let refused = pressure.refused;
        let result;
        (result, pressure) = self.writer.poll_outbox(&mut self.io, outbox, cx);
        pressure.refused |= refused;
        (result, pressure)
    }

    /// Writes what the connection takes, also if the system has not said that it takes anything; where that can be.
    pub(crate) fn try_write(&mut self, outbox: &Outbox) -> Option<Pressure> {
        let mut io = self.io.unready()?;
        // The task will be woken all the same: it has tried before.
        let cx = &mut Context::from_waker(Waker::noop());
        let (_, pressure) = self.writer.poll_outbox(&mut io, outbox, cx);
        Some(pressure)
    }

    /// What of the outbox has been written since this was last asked.
    pub(crate) fn take_written(&mut self) -> Written {
        self.writer.take_written()
    }

    /// Writes what waits here.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.queue_own();
        ready!(self.writer.poll_own(&mut self.io, cx))?;
        self.queue_own();
        self.writer.poll_own(&mut self.io, cx)
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
            Some(End::Closed(Some(close)) | End::Ours(close)) => {
                close_frame(Some(close.code), &close.reason)
            }
            Some(End::Violation(error)) => close_frame(Some(error.close_code()), ""),
            Some(End::Lost(_)) => return,
        };
        if self.write_all().await.is_err() {
            return;
        }
        self.writer.push_urgent(farewell);
        if self.write_all().await.is_err() {
            return;
        }
        let shut = std::future::poll_fn(|cx| Pin::new(&mut self.io).poll_shutdown(cx)).await;
        if shut.is_ok() {
            self.drain().await;
        }
    }

    async fn write_all(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_write(cx)).await
    }

    /// Reads until the peer has closed too, so that it gets our close frame and no reset.
    async fn drain(&mut self) {
        let mut reads = 0_usize;
        while std::future::poll_fn(|cx| self.poll_discard(cx)).await > 0 {
            reads += 1;
            if reads.is_multiple_of(DISCARDS) {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Reads something. Gives how much it was, nothing when there is no more.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let mut buf = ReadBuf::uninit(&mut buffer);
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf));
        Poll::Ready(read.map_or(0, |()| buf.filled().len()))
    }
}

impl std::fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSocket")
            .field("queued", &self.writer.len())
            .finish_non_exhaustive()
    }
}
