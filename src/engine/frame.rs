//! One outgoing message, encoded once for every transport and every recipient.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::deflated::{Deflated, Form};
use crate::protocol::Written;
use crate::protocol::engine_io::{Revision, v3};
use crate::protocol::socket_io::EncodedPacket;
use crate::protocol::websocket::{Header, Opcode};

/// A Socket.IO packet ready to be written: cloning it shares the bytes.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// The WebSocket header, then the Engine.IO text packet.
    text: Written,
    attachments: Option<Arc<[Attachment]>>,
    /// Where some connection may want it compressed.
    pub(super) deflated: Option<Deflated>,
}

#[derive(Debug)]
struct Attachment {
    header: Header,
    data: Bytes,
    /// Made when the first polling client needs it, then shared.
    base64: OnceLock<String>,
    /// The whole frame as revision 3 has it, and that of clients which want text; made and shared likewise.
    three: OnceLock<Box<[u8]>>,
    three_text: OnceLock<Box<[u8]>>,
}

impl Frame {
    pub(crate) fn new(packet: EncodedPacket) -> Self {
        let header = Header::new(Opcode::Text, packet.text_len());
        let (text, attachments) = packet.finish(header.as_slice());
        let attachments = attachments.into_iter().map(|data| Attachment {
            header: Header::new(Opcode::Binary, data.len()),
            data,
            base64: OnceLock::new(),
            three: OnceLock::new(),
            three_text: OnceLock::new(),
        });
        let attachments = (attachments.len() > 0).then(|| attachments.collect());
        Self {
            text,
            attachments,
            deflated: None,
        }
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
    pub(crate) fn chunk(&self, index: usize, form: Form) -> &[u8] {
        match form {
            Form::Plain(revision) => self.plain(index, revision),
            Form::Deflated => self.compressed(index),
        }
    }

    fn plain(&self, index: usize, revision: Revision) -> &[u8] {
        let Some(rest) = index.checked_sub(1) else {
            return &self.text;
        };
        match self.attachments().get(rest / 2) {
            Some(attachment) => attachment.part(rest % 2 == 0, revision),
            None => &[],
        }
    }

    /// The same, with a compressed frame in place of a header, and nothing of data, where there is one.
    fn compressed(&self, index: usize) -> &[u8] {
        let parts = self
            .deflated
            .as_ref()
            .and_then(|parts| parts.get()?.as_ref());
        match parts.and_then(|parts| parts.get(index.div_ceil(2))) {
            Some(_) if index > 0 && index.is_multiple_of(2) => &[],
            Some(part) => part,
            None => self.plain(index, Revision::Four),
        }
    }

    /// The attachments as a polling payload carries them: standard base64, without the leading `b`.
    pub(crate) fn base64(&self) -> impl Iterator<Item = &str> {
        self.attachments().iter().map(Attachment::base64)
    }

    /// The attachments as they are.
    pub(crate) fn binary(&self) -> impl Iterator<Item = &[u8]> {
        self.attachments()
            .iter()
            .map(|attachment| &*attachment.data)
    }
}

impl Attachment {
    fn base64(&self) -> &str {
        let encode = || base64_simd::STANDARD.encode_to_string(&self.data);
        self.base64.get_or_init(encode)
    }

    /// The head of its WebSocket frame, or the rest. In revision 3 the head is all: few clients are worth a copy, but not a
    /// third chunk for all others.
    fn part(&self, head: bool, revision: Revision) -> &[u8] {
        match (revision, head) {
            (Revision::Four, true) => self.header.as_slice(),
            (Revision::Four, false) => &self.data,
            (Revision::Three { base64: false }, true) => self.three.get_or_init(|| {
                let payload = [&[v3::MESSAGE], &*self.data];
                framed(Opcode::Binary, payload)
            }),
            (Revision::Three { base64: true }, true) => self.three_text.get_or_init(|| {
                let payload = [b"b4", self.base64().as_bytes()];
                framed(Opcode::Text, payload)
            }),
            (Revision::Three { .. }, false) => &[],
        }
    }
}

fn framed(opcode: Opcode, [kind, data]: [&[u8]; 2]) -> Box<[u8]> {
    let header = Header::new(opcode, kind.len() + data.len());
    [header.as_slice(), kind, data].concat().into()
}
