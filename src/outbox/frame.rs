//! An outgoing message, encoded once for all transports and recipients.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use bytestring::ByteString;

use super::deflated::{Deflated, Form};
use proto::always;
use proto::buf::PacketBytes;
use proto::engine_io::{Message, Packet, Revision, v3};
use proto::socket_io::{Encoded, EncodedPacket};
use proto::websocket::{Header, Opcode};

/// An encoded Socket.IO packet. Clones share the bytes.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// The WebSocket header, followed by the Engine.IO text packet. Empty if another parser encoded the packet.
    text: PacketBytes,
    /// The attachments, or all messages if another parser encoded the packet.
    attachments: Option<Arc<[FrameAttachment]>>,
    /// The compressed form, if a connection may need it.
    pub(super) deflated: Option<Deflated>,
}

/// A part of a frame: one Engine.IO packet.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part<'f> {
    /// A text packet, including the leading digit.
    Text(&'f [u8]),
    Binary(&'f FrameAttachment),
}

#[derive(Debug)]
pub(crate) struct FrameAttachment {
    header: Header,
    /// The payload. For a text message, which only other parsers store here, it is the whole Engine.IO packet.
    data: Bytes,
    is_text: bool,
    /// The base64 form, encoded once for the first polling client that needs it.
    base64: OnceLock<String>,
    /// The whole WebSocket frame for clients of revision 3, binary or, if they require it, text. Encoded once for the
    /// first client that needs it.
    revision_3: OnceLock<Box<[u8]>>,
    revision_3_text: OnceLock<Box<[u8]>>,
}

impl Frame {
    pub(crate) fn new(packet: impl Into<Encoded>) -> Self {
        match packet.into() {
            Encoded::Packet(packet) => Self::of_packet(packet),
            Encoded::Messages(messages) => Self::of_messages(messages),
        }
    }

    fn of_packet(packet: EncodedPacket) -> Self {
        let header = Header::new(Opcode::Text, packet.text_len());
        let (text, attachments) = packet.finish(header.as_slice());
        let attachments = attachments.into_iter().map(FrameAttachment::binary);
        let attachments = (attachments.len() > 0).then(|| attachments.collect());
        Self {
            text,
            attachments,
            deflated: None,
        }
    }

    fn of_messages(messages: Vec<Message>) -> Self {
        let messages = messages.into_iter().map(FrameAttachment::from);
        Self {
            text: PacketBytes::default(),
            attachments: (messages.len() > 0).then(|| messages.collect()),
            deflated: None,
        }
    }

    /// Returns true if there is nothing to send: another parser has written no message.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.attachments.is_none()
    }

    fn attachments(&self) -> &[FrameAttachment] {
        self.attachments.as_deref().unwrap_or_default()
    }

    /// Returns the number of Engine.IO packets: the text and each attachment.
    pub(crate) fn packets(&self) -> usize {
        usize::from(!self.text.is_empty()) + self.attachments().len()
    }

    /// Returns the size of the payload of all parts, in bytes.
    pub(crate) fn size(&self) -> usize {
        let attachments: usize = self.attachments().iter().map(|a| a.data.len()).sum();
        self.text.len() + attachments
    }

    /// Returns the Engine.IO text packet of the default parser. The messages of another parser have none.
    pub(crate) fn text(&self) -> &[u8] {
        let header = Header::len_of(&self.text);
        always(self.text.get(header..), "a frame is its header and more")
    }

    /// Returns the number of chunks; see [`chunk`](Self::chunk).
    pub(crate) fn chunks(&self) -> usize {
        1 + 2 * self.attachments().len()
    }

    /// Returns the whole frame if it is a single chunk, which is equal for all uncompressed WebSockets.
    pub(crate) fn only_chunk(&self) -> Option<&[u8]> {
        self.attachments.is_none().then_some(&*self.text)
    }

    /// Returns a chunk of the bytes for a WebSocket: first the text frame, then the header and the data of each
    /// attachment.
    #[inline]
    pub(crate) fn chunk(&self, index: usize, form: Form) -> &[u8] {
        match form {
            Form::Plain(revision) => self.plain(index, revision),
            Form::Deflated => self.compressed(index),
        }
    }

    #[inline]
    fn plain(&self, index: usize, revision: Revision) -> &[u8] {
        let Some(rest) = index.checked_sub(1) else {
            return &self.text;
        };
        match self.attachments().get(rest / 2) {
            Some(attachment) if rest.is_multiple_of(2) => attachment.header_chunk(revision),
            Some(attachment) => attachment.data_chunk(revision),
            None => &[],
        }
    }

    /// Returns a chunk of the compressed form. Where a part is compressed, its whole frame replaces the header, and the
    /// data is empty.
    fn compressed(&self, index: usize) -> &[u8] {
        let parts = self.deflated.as_ref().and_then(|shared| shared.parts());
        match parts.and_then(|parts| parts.get(index.div_ceil(2))) {
            Some(_) if index > 0 && index.is_multiple_of(2) => &[],
            Some(part) => part,
            None => self.plain(index, Revision::Four),
        }
    }

    /// Returns the packets in order.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let text = (!self.text.is_empty()).then(|| Part::Text(self.text()));
        let attachments = self.attachments().iter().map(FrameAttachment::part);
        text.into_iter().chain(attachments)
    }

    /// Returns true if another parser encoded the packet: there is no text, and all messages are attachments.
    pub(super) fn is_of_another_parser(&self) -> bool {
        self.text.is_empty()
    }

    /// Returns the messages that another parser encoded.
    pub(crate) fn messages(&self) -> impl Iterator<Item = Message> {
        self.attachments()
            .iter()
            .filter_map(FrameAttachment::message)
    }
}

impl FrameAttachment {
    fn binary(data: Bytes) -> Self {
        Self {
            header: Header::new(Opcode::Binary, data.len()),
            data,
            is_text: false,
            base64: OnceLock::new(),
            revision_3: OnceLock::new(),
            revision_3_text: OnceLock::new(),
        }
    }

    fn text(packet: &Packet) -> Self {
        let data = packet.encode_text().into_bytes();
        Self {
            header: Header::new(Opcode::Text, data.len()),
            data,
            is_text: true,
            base64: OnceLock::new(),
            revision_3: OnceLock::new(),
            revision_3_text: OnceLock::new(),
        }
    }

    fn part(&self) -> Part<'_> {
        if self.is_text {
            Part::Text(&self.data)
        } else {
            Part::Binary(self)
        }
    }

    /// Returns the raw data, to be shared.
    #[cfg(feature = "testing")]
    pub(crate) const fn bytes(&self) -> &Bytes {
        &self.data
    }

    /// Returns the raw data.
    pub(crate) fn data(&self) -> &[u8] {
        &self.data
    }

    /// Returns the data as a polling payload contains it: standard base64, without the leading `b`.
    pub(crate) fn base64(&self) -> &str {
        let encode = || base64_simd::STANDARD.encode_to_string(&self.data);
        self.base64.get_or_init(encode)
    }

    /// Returns the header of the WebSocket frame. In revision 3 the whole binary frame is in this chunk: a copy for
    /// these few clients is cheaper than a third chunk for all others.
    fn header_chunk(&self, revision: Revision) -> &[u8] {
        match revision {
            Revision::Four => self.header.as_slice(),
            Revision::Three { .. } if self.is_text => self.header.as_slice(),
            Revision::Three { base64: false } => self.revision_3.get_or_init(|| {
                let payload = [&[v3::MESSAGE], &*self.data];
                framed(Opcode::Binary, payload)
            }),
            Revision::Three { base64: true } => self.revision_3_text.get_or_init(|| {
                let payload = [b"b4", self.base64().as_bytes()];
                framed(Opcode::Text, payload)
            }),
        }
    }

    /// Returns the payload of the WebSocket frame, unless it is in the [header chunk](Self::header_chunk).
    fn data_chunk(&self, revision: Revision) -> &[u8] {
        match revision {
            Revision::Three { .. } if !self.is_text => &[],
            Revision::Three { .. } | Revision::Four => &self.data,
        }
    }

    fn message(&self) -> Option<Message> {
        if !self.is_text {
            return Some(Message::Binary(self.data.clone()));
        }
        let text = ByteString::try_from(self.data.clone()).ok()?;
        match Packet::decode_text(text) {
            Ok(Packet::Message(message)) => Some(message),
            _ => None,
        }
    }
}

fn framed(opcode: Opcode, [kind, data]: [&[u8]; 2]) -> Box<[u8]> {
    let header = Header::new(opcode, kind.len() + data.len());
    [header.as_slice(), kind, data].concat().into()
}

impl From<Message> for FrameAttachment {
    fn from(message: Message) -> Self {
        match message {
            Message::Binary(data) => Self::binary(data),
            text @ Message::Text(_) => Self::text(&Packet::Message(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn websocket(frame: &Frame) -> Vec<u8> {
        (0..frame.chunks())
            .flat_map(|index| frame.chunk(index, Form::Plain(Revision::Four)).to_vec())
            .collect()
    }

    /// Returns the packets as a polling payload contains them.
    fn polling(frame: &Frame) -> Vec<u8> {
        let parts = frame.parts().map(|part| match part {
            Part::Text(text) => text.to_vec(),
            Part::Binary(attachment) => format!("b{}", attachment.base64()).into_bytes(),
        });
        parts.collect::<Vec<_>>().join(&b'\x1e')
    }

    #[test]
    fn messages_of_another_parser_are_written_in_their_order_and_kind() {
        let binary = Message::Binary(Bytes::from_static(b"\x01\x02\x03"));
        let text = Message::Text("x".into());
        let messages = vec![binary.clone(), text.clone(), binary.clone()];
        let frame = Frame::new(Encoded::Messages(messages.clone()));
        assert_eq!(
            websocket(&frame),
            b"\x82\x03\x01\x02\x03\x81\x024x\x82\x03\x01\x02\x03"
        );
        assert_eq!(polling(&frame), b"bAQID\x1e4x\x1ebAQID");
        assert_eq!((frame.packets(), frame.size()), (3, 8));
        assert_eq!(frame.messages().collect::<Vec<_>>(), messages);
    }

    #[test]
    fn a_frame_without_messages_is_empty() {
        let frame = Frame::new(Encoded::Messages(Vec::new()));
        assert!(frame.is_empty());
        assert_eq!(websocket(&frame), b"");
        assert_eq!(polling(&frame), b"");
        assert_eq!(frame.messages().count(), 0);
    }

    #[test]
    fn a_frame_is_five_words() {
        assert_eq!(size_of::<Frame>(), 5 * size_of::<usize>());
    }
}
