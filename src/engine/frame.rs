//! One outgoing message, encoded once for every transport and every recipient.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::protocol::socket_io::EncodedPacket;
use crate::protocol::websocket::{Header, Opcode};

/// A Socket.IO packet ready to be written: cloning it shares the bytes.
#[derive(Clone, Debug)]
pub(crate) struct Frame(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Free head-room, then the WebSocket header, then the Engine.IO text packet.
    buf: Vec<u8>,
    frame_at: usize,
    text_at: usize,
    attachments: Vec<Attachment>,
}

#[derive(Debug)]
struct Attachment {
    header: Header,
    data: Bytes,
    /// Made when the first polling client needs it, then shared.
    base64: OnceLock<String>,
}

impl Frame {
    pub(crate) fn new(packet: EncodedPacket) -> Self {
        let (mut buf, text_at, attachments) = packet.into_parts();
        let header = Header::new(Opcode::Text, buf.len().saturating_sub(text_at));
        let header = header.as_slice();
        let mut frame_at = text_at.saturating_sub(header.len());
        match buf.get_mut(frame_at..text_at) {
            Some(room) if room.len() == header.len() => room.copy_from_slice(header),
            // The encoder leaves head-room; without it the header is put in front the slow way.
            _ => {
                buf.splice(..text_at, header.iter().copied());
                frame_at = 0;
            }
        }
        let text_at = frame_at + header.len();
        let attachments = attachments
            .into_iter()
            .map(|data| Attachment {
                header: Header::new(Opcode::Binary, data.len()),
                data,
                base64: OnceLock::new(),
            })
            .collect();
        Self(Arc::new(Inner {
            buf,
            frame_at,
            text_at,
            attachments,
        }))
    }

    /// How many Engine.IO packets it is: its text and each of its attachments.
    pub(crate) fn packets(&self) -> usize {
        1 + self.0.attachments.len()
    }

    /// How many bytes of payload it carries, all its parts together.
    pub(crate) fn size(&self) -> usize {
        let attachments: usize = self.0.attachments.iter().map(|a| a.data.len()).sum();
        self.0.buf.len() - self.0.frame_at + attachments
    }

    /// The Engine.IO text packet.
    pub(crate) fn text(&self) -> &[u8] {
        self.0.buf.get(self.0.text_at..).unwrap_or_default()
    }

    /// How many chunks [`chunk`](Self::chunk) knows.
    pub(crate) fn chunks(&self) -> usize {
        1 + 2 * self.0.attachments.len()
    }

    /// What a WebSocket writes, chunk by chunk: the text frame, then header and data of each attachment.
    pub(crate) fn chunk(&self, index: usize) -> &[u8] {
        let Some(rest) = index.checked_sub(1) else {
            return self.0.buf.get(self.0.frame_at..).unwrap_or_default();
        };
        match self.0.attachments.get(rest / 2) {
            Some(attachment) if rest % 2 == 0 => attachment.header.as_slice(),
            Some(attachment) => &attachment.data,
            None => &[],
        }
    }

    /// The attachments as a polling payload carries them: standard base64, without the leading `b`.
    pub(crate) fn base64(&self) -> impl Iterator<Item = &str> {
        self.0.attachments.iter().map(|attachment| {
            attachment
                .base64
                .get_or_init(|| base64_simd::STANDARD.encode_to_string(&attachment.data))
                .as_str()
        })
    }
}
