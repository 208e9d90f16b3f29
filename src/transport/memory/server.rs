//! The server's half of a connection in memory.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use bytestring::ByteString;

use super::MemoryPacket;
use super::link::{ClientEnd, MemoryLink};
use super::packet::MemoryContent;
use crate::outbox::{Frame, Outbox, Part, Pressure, Readiness, Written};
use crate::transport::reading::Reading;
use crate::transport::{End, Farewell, TransportViolation, Unfinished};
use proto::engine_io::{Packet, Revision, v3};
use proto::websocket::{CloseFrame, ProtocolError};

/// A client's offer to be connected in memory, an extension of its request.
#[derive(Clone, Debug)]
pub(crate) struct MemoryOffer(Arc<MemoryLink>);

/// The server's half of a connection in memory. Its end is that of the link.
#[derive(Debug)]
pub(crate) struct Memory {
    link: Arc<MemoryLink>,
    max_message: usize,
    revision: Revision,
    /// A packet of the session itself that has not been queued yet for lack of room.
    owed: Option<&'static [u8]>,
    /// The part of the outbox that has been written since the last [`take_written`](Self::take_written).
    written: Written,
}

impl MemoryOffer {
    pub(crate) const fn new(link: Arc<MemoryLink>) -> Self {
        Self(link)
    }

    /// Takes the offer. Returns `None` if it has been taken before.
    pub(crate) fn take(self, max_message: usize, revision: Revision) -> Option<Memory> {
        self.0.take().then(|| Memory {
            link: self.0,
            max_message,
            revision,
            owed: None,
            written: Written::default(),
        })
    }
}

impl Memory {
    /// Queues a text packet of the protocol itself. Returns false, without queueing it, if there is no room.
    pub(crate) fn push_packet(&self, packet: &[u8]) -> bool {
        let room = self.link.has_room();
        if room {
            self.link.push(text(packet));
        }
        room
    }

    /// Sends a packet of the session itself once there is room for it. A newer packet replaces one that still waits.
    pub(crate) const fn owe(&mut self, packet: &'static [u8]) {
        self.owed = Some(packet);
    }

    /// Returns true if a packet of the session itself waits.
    pub(crate) const fn owes_packets(&self) -> bool {
        self.owed.is_some()
    }

    /// Does nothing: a broadcast wakes the connection's task.
    #[expect(clippy::unused_self, reason = "a method of every transport")]
    pub(crate) const fn open_direct(&self, _: &Outbox) {}

    /// Returns false: packets arrive whole.
    #[expect(clippy::unused_self, reason = "a method of every transport")]
    pub(crate) const fn take_progress(&self) -> bool {
        false
    }

    /// Returns 0: packets that have not been read are the client's.
    #[expect(clippy::unused_self, reason = "a method of every transport")]
    pub(crate) const fn unfinished(&self) -> usize {
        0
    }

    /// Returns that nothing is unfinished: packets arrive whole.
    #[expect(clippy::unused_self, reason = "a method of every transport")]
    pub(crate) const fn take_unfinished(&self) -> Unfinished {
        Unfinished::Nothing
    }

    /// Returns `None`: the link reports room as soon as there is any.
    #[expect(clippy::unused_self, reason = "a method of every transport")]
    pub(crate) const fn try_write(&self, _: &Outbox) -> Option<Pressure> {
        None
    }

    /// Adds packets to the batch until it is full or there are no more. An end comes after the packets of the batch.
    pub(crate) fn poll_packets(
        &self,
        cx: &Context<'_>,
        reading: &mut Reading,
    ) -> Poll<Result<(), End>> {
        let batch = &mut reading.batch;
        while !batch.is_full() {
            let packet = ready!(self.link.poll_packet(cx)).map_err(|end| match end {
                ClientEnd::Closed => End::Closed(None),
                ClientEnd::Lost => End::Lost(io::ErrorKind::UnexpectedEof.into()),
            })?;
            let size = packet.size();
            batch.push(self.decode(packet)?, size);
        }
        Poll::Ready(Ok(()))
    }

    fn decode(&self, packet: MemoryPacket) -> Result<Packet, End> {
        let size = packet.size();
        if size > self.max_message {
            let limit = self.max_message;
            let size = Some(size as u64);
            return Err(ProtocolError::TooBig { limit, size }.into());
        }
        let packet = match packet.0 {
            MemoryContent::Frame(frame) => self.revision.decode_text(copied(frame.text())?),
            MemoryContent::Text(text) => self.revision.decode_text(text),
            MemoryContent::Binary(data) => self.revision.decode_binary(data),
        };
        Ok(packet?)
    }

    /// Queues the packet of the session itself and then the outbox for the client, as far as there is room.
    pub(crate) fn poll_outbox(
        &mut self,
        outbox: &Outbox,
        cx: &Context<'_>,
    ) -> (Poll<io::Result<()>>, Pressure) {
        let mut moved = Written::default();
        let result = loop {
            // The end of an idle client is for the reader to find, behind the last packets.
            if self.owed.is_none() && outbox.is_empty() {
                break Poll::Ready(Ok(()));
            }
            match self.poll_room(cx) {
                Poll::Ready(Ok(())) => {}
                other => break other,
            }
            if let Some(owed) = self.owed.take() {
                self.link.push(text(owed));
            } else if let Some(frame) = outbox.take_if(|_| true) {
                moved.packets += 1;
                moved.bytes += frame.size();
                self.push(frame);
            }
        };
        let mut pressure = outbox.record_written(moved, Readiness::from(&result));
        pressure.waiting = result.is_pending();
        self.written.packets += moved.packets;
        self.written.bytes += moved.bytes;
        (result, pressure)
    }

    /// Returns the part of the outbox that has been written since the last call.
    pub(crate) fn take_written(&mut self) -> Written {
        std::mem::take(&mut self.written)
    }

    /// Queues the packet of the session itself, if there is one.
    pub(crate) fn poll_write(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        if self.owed.is_none() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_room(cx))?;
        self.link.push(self.owed.take().and_then(text));
        Poll::Ready(Ok(()))
    }

    fn poll_room(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let room = self.link.poll_room(cx);
        room.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Queues the packets of a frame.
    fn push(&self, frame: Frame) {
        if frame.only_chunk().is_some() {
            return self.link.push([MemoryPacket(MemoryContent::Frame(frame))]);
        }
        let packets = frame.parts().filter_map(|part| match part {
            Part::Text(text) => copied(text).ok().map(MemoryContent::Text),
            Part::Binary(attachment) => Some(match self.revision {
                Revision::Four => MemoryContent::Binary(attachment.bytes().clone()),
                Revision::Three { base64: true } => {
                    MemoryContent::Text(format!("b4{}", attachment.base64()).into())
                }
                Revision::Three { base64: false } => {
                    MemoryContent::Binary([&[v3::MESSAGE], attachment.data()].concat().into())
                }
            }),
        });
        self.link.push(packets.map(MemoryPacket));
    }

    /// Ends the link. The client reads what has been queued for it first.
    #[expect(clippy::unused_async, reason = "a method of every transport")]
    pub(crate) async fn close(mut self, end: Option<&End>) {
        if !matches!(end, Some(End::Lost(_)))
            && let Some(owed) = self.owed.take()
        {
            self.link.push(text(owed));
        }
        let farewell = match end {
            Some(End::Ours(Farewell(frame))) => Some(frame.clone()),
            Some(End::Violation(violation)) => {
                let TransportViolation::WebSocket(error) = violation;
                Some(CloseFrame {
                    code: error.close_code(),
                    reason: ByteString::new(),
                })
            }
            _ => None,
        };
        self.link.end_server(farewell);
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.link.end_server(None);
    }
}

fn text(packet: &[u8]) -> Option<MemoryPacket> {
    let text = copied(packet).ok()?;
    Some(MemoryPacket(MemoryContent::Text(text)))
}

/// Copies a text, which is valid UTF-8.
fn copied(text: &[u8]) -> Result<ByteString, End> {
    let text = ByteString::try_from(Bytes::copy_from_slice(text));
    text.map_err(|_| End::Lost(io::ErrorKind::InvalidData.into()))
}
