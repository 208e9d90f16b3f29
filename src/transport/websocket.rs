//! A WebSocket on an upgraded connection.
//!
//! An idle WebSocket holds no read buffer: bytes are read into a scratch buffer that all connections of a thread share.
//! Only an unfinished frame, or input behind a full batch of packets, is copied out of it.

use std::io;
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::end::{End, Farewell, TransportViolation};
use super::reading::{Batch, FRAMES, Reading, SCRATCH};
use super::stream::Stream;
use super::writer::Writer;
use crate::outbox::{Outbox, Pressure, Written};
use proto::always;
use proto::engine_io::Revision;
use proto::websocket::{
    Agreed, DecodedFrame, DecoderConfig, FrameDecoder, Opcode, WebSocketEvent, close_frame, frame,
};

/// The maximum number of reads discarded in one turn.
const DISCARDS: usize = 64;

pub(crate) struct WebSocket {
    io: Stream,
    decoder: FrameDecoder,
    revision: Revision,
    /// Received bytes that have not been decoded from `unread_at` on, because the batch of packets was full.
    unread: Vec<u8>,
    unread_at: usize,
    writer: Writer,
    /// The payload of the newest ping that has not been answered yet for lack of room.
    pong: Option<Bytes>,
    /// A packet of the session itself that has not been queued yet for lack of room.
    owed: Option<&'static [u8]>,
    /// True if a part of an unfinished message has arrived since the last check.
    progress: bool,
    /// True if no frame or message was unfinished at some point since the last check.
    rested: bool,
}

/// The state of a frame or message that has begun and not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    Nothing,
    /// It has begun since the last check.
    New,
    /// It had begun before the last check.
    Same,
}

impl WebSocket {
    pub(crate) fn new(
        upgraded: Upgraded,
        max_message: usize,
        revision: Revision,
        compression: Option<Agreed>,
    ) -> Self {
        let config = DecoderConfig {
            max_message,
            ..DecoderConfig::default()
        };
        let mut writer = Writer::new(revision);
        let decoder = match &compression {
            None => FrameDecoder::new(config),
            Some(agreed) => {
                writer.compress(agreed);
                FrameDecoder::compressed(config, agreed)
            }
        };
        let (io, read_already) = Stream::new(upgraded);
        Self {
            io,
            decoder,
            revision,
            // Copied, because taking it over would retain hyper's whole buffer.
            unread: read_already.to_vec(),
            unread_at: 0,
            writer,
            pong: None,
            owed: None,
            progress: false,
            rested: true,
        }
    }

    /// Allows direct writes of the outbox to the connection, if it supports them.
    pub(crate) fn open_direct(&self, outbox: &Outbox) {
        if self.writer.writes_as_is()
            && let Some(direct) = self.io.direct()
        {
            outbox.set_direct(direct);
        }
    }

    /// Returns true if a part of an unfinished message has arrived since the last call.
    pub(crate) fn take_progress(&mut self) -> bool {
        std::mem::take(&mut self.progress)
    }

    /// Returns the size of an unfinished message and of undecoded input, in bytes.
    pub(crate) fn unfinished(&self) -> usize {
        self.decoder.unfinished() + self.unread.len()
    }

    /// Returns the state of an unfinished frame or message, and resets it for the next check.
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

    /// Queues an Engine.IO text packet of the protocol itself. It is written before the frames of the outbox. Returns
    /// false, without queueing it, if too many are queued.
    pub(crate) fn push_packet(&mut self, packet: &[u8]) -> bool {
        self.writer.push_urgent(frame(Opcode::Text, packet))
    }

    /// Sends a packet of the session itself once there is room for it. A newer packet replaces one that still waits.
    pub(crate) fn owe(&mut self, packet: &'static [u8]) {
        self.owed = Some(packet);
        self.queue_own();
    }

    /// Returns true if a packet of the protocol itself is queued.
    pub(crate) fn owes_packets(&self) -> bool {
        self.owed.is_some() || self.writer.has_urgent()
    }

    /// Reads, and adds the packets to the batch until it is full. The rest is buffered for the next call. An end comes
    /// after the packets of the batch.
    ///
    /// Returns ready as well after many bytes or frames, in which case there may be more to read.
    pub(crate) fn poll_packets(
        &mut self,
        cx: &mut Context<'_>,
        reading: &mut Reading,
    ) -> Poll<Result<(), End>> {
        let mut frames = FRAMES;
        if !self.unread.is_empty() {
            let unread = std::mem::take(&mut self.unread);
            let mut input = always(
                unread.get(self.unread_at..),
                "no more was taken than there is",
            );
            let decoded = self.decode(&mut input, &mut frames, &mut reading.batch);
            if decoded?.is_break() {
                self.unread_at = unread.len() - input.len();
                self.unread = unread;
                return Poll::Ready(Ok(()));
            }
        }
        let Reading { scratch, batch } = reading;
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
            if self.decode(&mut input, &mut frames, batch)?.is_break() {
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
        batch: &mut Batch,
    ) -> Result<ControlFlow<()>, End> {
        while !input.is_empty() {
            if *frames == 0 {
                return Ok(ControlFlow::Break(()));
            }
            *frames -= 1;
            let frame = self.decoder.next_frame(input);
            self.rested |= self.decoder.is_idle();
            match frame {
                Ok(
                    DecodedFrame::None
                    | DecodedFrame::Part
                    | DecodedFrame::Event(WebSocketEvent::Pong(_)),
                ) => {}
                Ok(DecodedFrame::Event(WebSocketEvent::Ping(data))) => {
                    self.pong = Some(data);
                    self.queue_own();
                }
                Ok(DecodedFrame::Event(WebSocketEvent::Close(close))) => {
                    return Err(End::Closed(close.map(Farewell)));
                }
                Ok(DecodedFrame::Event(WebSocketEvent::Text(text))) => {
                    let size = text.len();
                    batch.push(self.revision.decode_text(text)?, size);
                }
                Ok(DecodedFrame::Event(WebSocketEvent::Binary(data))) => {
                    let size = data.len();
                    batch.push(self.revision.decode_binary(data)?, size);
                }
                Err(error) => return Err(error.into()),
            }
            if batch.is_full() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Queues the packets for which there is room: that of the session, and the pong for the newest ping. The peer may
    /// not be reading.
    fn queue_own(&mut self) {
        self.owed
            .take_if(|owed| self.writer.push_urgent(frame(Opcode::Text, owed)));
        if let Some(data) = self.pong.take()
            && !self.writer.push_urgent(frame(Opcode::Pong, &data))
        {
            self.pong = Some(data);
        }
    }

    /// Writes the urgent frames and the outbox. Returns the pressure on the outbox as well.
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

    /// Queues and writes packets that had no room, once earlier ones have been written.
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

    /// Writes as much as the connection accepts, even if the system has not reported it as ready. Returns `None` if the
    /// connection does not support this.
    pub(crate) fn try_write(&mut self, outbox: &Outbox) -> Option<Pressure> {
        let mut io = self.io.unready()?;
        // A no-op waker is sufficient: the task has tried before and will be woken.
        let cx = &mut Context::from_waker(Waker::noop());
        let (_, pressure) = self.writer.poll_outbox(&mut io, outbox, cx);
        Some(pressure)
    }

    /// Returns the part of the outbox that has been written since the last call.
    pub(crate) fn take_written(&mut self) -> Written {
        self.writer.take_written()
    }

    /// Writes the urgent frames and the frames already taken from the outbox.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.queue_own();
        ready!(self.writer.poll_own(&mut self.io, cx))?;
        self.queue_own();
        self.writer.poll_own(&mut self.io, cx)
    }

    /// Closes the WebSocket: writes the queue and a close frame, and waits for the peer's.
    ///
    /// This has no deadline of its own.
    pub(crate) async fn close(mut self, end: Option<&End>) {
        let farewell = match end {
            // The server closes: without a code, as Node's server does.
            None | Some(End::Undecodable(_)) => close_frame(None, ""),
            // The peer's own code and reason, as Node's server answers.
            Some(End::Closed(None)) => close_frame(None, ""),
            Some(End::Closed(Some(Farewell(close))) | End::Ours(Farewell(close))) => {
                close_frame(Some(close.code), &close.reason)
            }
            Some(End::Violation(TransportViolation::WebSocket(error))) => {
                close_frame(Some(error.close_code()), "")
            }
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

    /// Reads until the peer has closed too, so that it receives the close frame rather than a reset.
    async fn drain(&mut self) {
        let mut reads = 0_usize;
        while std::future::poll_fn(|cx| self.poll_discard(cx)).await > 0 {
            reads += 1;
            if reads.is_multiple_of(DISCARDS) {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Reads and discards. Returns the number of bytes, 0 at the end.
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
