//! One outgoing message, encoded once for every transport and every recipient.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::protocol::Written;
use crate::protocol::socket_io::EncodedPacket;
use crate::protocol::websocket::{Header, Opcode};

/// A Socket.IO packet ready to be written: cloning it shares the bytes.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// The WebSocket header, then the Engine.IO text packet.
    text: Written,
    attachments: Option<Arc<[Attachment]>>,
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
        let header = Header::new(Opcode::Text, packet.text_len());
        let (text, attachments) = packet.finish(header.as_slice());
        let attachments = attachments.into_iter().map(|data| Attachment {
            header: Header::new(Opcode::Binary, data.len()),
            data,
            base64: OnceLock::new(),
        });
        let attachments = (attachments.len() > 0).then(|| attachments.collect());
        Self { text, attachments }
    }

    fn attachments(&self) -> &[Attachment] {
        self.attachments.as_deref().unwrap_or_default()
    }

    /// How many Engine.IO packets it is: its text and each of its attachments.
    pub(crate) fn packets(&self) -> usize {
        1 + self.attachments().len()
    }

    /// How many bytes of payload it carries, all its parts together.
    pub(crate) fn size(&self) -> usize {
        let attachments: usize = self.attachments().iter().map(|a| a.data.len()).sum();
        self.text.len() + attachments
    }

    /// The Engine.IO text packet.
    pub(crate) fn text(&self) -> &[u8] {
        let header = Header::len_of(&self.text);
        self.text.get(header..).unwrap_or_default()
    }

    /// How many chunks [`chunk`](Self::chunk) knows.
    pub(crate) fn chunks(&self) -> usize {
        1 + 2 * self.attachments().len()
    }

    /// What a WebSocket writes, chunk by chunk: the text frame, then header and data of each attachment.
    pub(crate) fn chunk(&self, index: usize) -> &[u8] {
        let Some(rest) = index.checked_sub(1) else {
            return &self.text;
        };
        match self.attachments().get(rest / 2) {
            Some(attachment) if rest % 2 == 0 => attachment.header.as_slice(),
            Some(attachment) => &attachment.data,
            None => &[],
        }
    }

    /// The attachments as a polling payload carries them: standard base64, without the leading `b`.
    pub(crate) fn base64(&self) -> impl Iterator<Item = &str> {
        self.attachments().iter().map(|attachment| {
            attachment
                .base64
                .get_or_init(|| base64_simd::STANDARD.encode_to_string(&attachment.data))
                .as_str()
        })
    }
}
