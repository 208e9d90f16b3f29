//! The decoder: received bytes to events (sections 5 and 8.1).

use bytes::Bytes;
use bytestring::ByteString;

use super::head::{Expected, Head};
use super::mask::append_unmasked;
use super::utf8::Checked;
use super::{Agreed, CloseFrame, Inflater, Opcode, ProtocolError};
use crate::buf::pool;

/// The maximum number of bytes that are reserved because a header announces them.
const TRUST: usize = 64 * 1024;

/// The options of a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecoderConfig {
    /// The maximum size of a message, in bytes, including all its fragments. Default: 1,000,000.
    pub max_message: usize,
    /// True if frames must be masked, as those of clients are. Default: true.
    pub require_mask: bool,
}

impl Default for DecoderConfig {
    fn default() -> Self {
        Self {
            max_message: 1_000_000,
            require_mask: true,
        }
    }
}

/// An event on the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebSocketEvent {
    /// A whole text message.
    Text(ByteString),
    /// A whole binary message.
    Binary(Bytes),
    /// A ping, to be answered with a pong of the same payload.
    Ping(Bytes),
    /// A pong: the answer to a ping, or an unsolicited heartbeat.
    Pong(Bytes),
    /// The peer closes, with a reason if it gave one. Everything after it is ignored.
    Close(Option<CloseFrame>),
}

/// The outcome of one frame.
#[derive(Debug)]
pub enum DecodedFrame {
    /// A whole message or a control frame.
    Event(WebSocketEvent),
    /// An incomplete frame, or a frame of an incomplete message: more must follow.
    Part,
    /// There was no input.
    None,
}

/// The decoder of one connection, which takes events out of received bytes, however they are split.
#[derive(Debug)]
pub struct FrameDecoder {
    config: DecoderConfig,
    closed: bool,
    /// The inflater, if compression has been negotiated.
    inflater: Option<Box<Inflater>>,
    /// The unfinished frame or message, if there is one.
    partial: Option<Box<Partial>>,
}

#[derive(Debug, Default)]
struct Partial {
    /// The bytes of an unfinished header.
    header: Vec<u8>,
    /// The frame whose payload is not complete, and the number of its bytes that have arrived.
    frame: Option<(Head, usize)>,
    /// The payload of an unfinished control frame.
    control: Vec<u8>,
    /// The message that has begun and is not complete.
    message: Option<Message>,
}

#[derive(Debug)]
struct Message {
    text: bool,
    compressed: bool,
    data: Vec<u8>,
    checked: Checked,
}

impl FrameDecoder {
    /// Creates a decoder for one connection.
    #[must_use]
    pub const fn new(config: DecoderConfig) -> Self {
        Self {
            config,
            closed: false,
            inflater: None,
            partial: None,
        }
    }

    /// Creates a decoder for one connection on which messages may be compressed.
    #[must_use]
    pub fn compressed(config: DecoderConfig, agreed: &Agreed) -> Self {
        Self {
            inflater: Some(Box::new(Inflater::new(agreed))),
            ..Self::new(config)
        }
    }

    /// Returns true if nothing is unfinished, and so no memory is held.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.partial.is_none()
    }

    /// Returns the number of bytes of an unfinished message that have arrived.
    #[inline]
    #[must_use]
    pub fn unfinished(&self) -> usize {
        let message = self
            .partial
            .as_ref()
            .and_then(|partial| partial.message.as_ref());
        message.map_or(0, |message| message.data.len())
    }

    /// Takes the next event out of `input`, which is advanced. `None` means that all of it has been taken.
    ///
    /// # Errors
    ///
    /// Returns an error if the peer breaks the protocol, as soon as the bytes that show it have arrived. All bytes
    /// after it are ignored, as after a close.
    pub fn next_event(
        &mut self,
        input: &mut &[u8],
    ) -> Result<Option<WebSocketEvent>, ProtocolError> {
        loop {
            match self.next_frame(input)? {
                DecodedFrame::Event(event) => return Ok(Some(event)),
                DecodedFrame::Part => {}
                DecodedFrame::None => return Ok(None),
            }
        }
    }

    /// Takes one frame, or the available part of it, out of `input`: for callers that limit the number of frames that
    /// they take at once. Fails as [`next_event`](Self::next_event) does.
    #[inline]
    pub fn next_frame(&mut self, input: &mut &[u8]) -> Result<DecodedFrame, ProtocolError> {
        if self.closed {
            *input = &[];
        }
        if input.is_empty() {
            return Ok(DecodedFrame::None);
        }
        let result = self.advance(input);
        if matches!(
            result,
            Err(_) | Ok(DecodedFrame::Event(WebSocketEvent::Close(_)))
        ) {
            self.closed = true;
            self.partial = None;
        }
        result
    }

    fn advance(&mut self, input: &mut &[u8]) -> Result<DecodedFrame, ProtocolError> {
        let Some((head, got)) = self.head(input)? else {
            return Ok(DecodedFrame::Part);
        };
        if self.partial.is_none()
            && head.fin
            && let Some(payload) = input.split_off(..head.len)
        {
            // The common case: the whole message is in the input.
            return self.whole(head, payload).map(DecodedFrame::Event);
        }
        let event = self.payload(head, got, input)?;
        Ok(event.map_or(DecodedFrame::Part, DecodedFrame::Event))
    }

    /// Returns the frame that `input` belongs to, and the number of its payload's bytes that have arrived. `None` if
    /// the header is not complete.
    fn head(&mut self, input: &mut &[u8]) -> Result<Option<(Head, usize)>, ProtocolError> {
        if let Some(frame) = self.partial.as_ref().and_then(|partial| partial.frame) {
            return Ok(Some(frame));
        }
        let in_message = self
            .partial
            .as_ref()
            .and_then(|partial| partial.message.as_ref())
            .map(|m| m.data.len());
        let expected = Expected {
            max_message: self.config.max_message,
            masked: self.config.require_mask,
            compressed: self.inflater.is_some(),
            in_message,
        };
        let at_start = self
            .partial
            .as_ref()
            .is_none_or(|partial| partial.header.is_empty());
        if at_start && let Some((head, rest)) = expected.parse(input)? {
            *input = rest;
            return Ok(Some((head, 0)));
        }
        // The header is split: collect it byte by byte.
        let partial = self.partial.get_or_insert_default();
        while let Some(&byte) = input.split_off_first() {
            partial.header.push(byte);
            if let Some((head, _)) = expected.parse(&partial.header)? {
                partial.header.clear();
                partial.frame = Some((head, 0));
                return Ok(Some((head, 0)));
            }
        }
        Ok(None)
    }

    /// Takes the available bytes of a frame's payload.
    fn payload(
        &mut self,
        head: Head,
        got: usize,
        input: &mut &[u8],
    ) -> Result<Option<WebSocketEvent>, ProtocolError> {
        let partial = self.partial.get_or_insert_default();
        let left = head.len - got;
        let data = input.split_off(..left);
        let data = data.unwrap_or_else(|| std::mem::take(input));
        let got_now = got + data.len();
        if head.opcode.is_control() {
            append_unmasked(&mut partial.control, data, head.mask, got);
        } else {
            let message = partial.message.get_or_insert_with(|| Message {
                text: head.opcode == Opcode::Text,
                compressed: head.compressed,
                data: Vec::new(),
                checked: Checked::default(),
            });
            message.reserve(data.len(), left);
            append_unmasked(&mut message.data, data, head.mask, got);
            if message.text && !message.compressed {
                message.checked.advance(&message.data)?;
            }
        }
        let is_complete = got_now == head.len;
        partial.frame = (!is_complete).then_some((head, got_now));
        let event = match (is_complete, head.opcode.is_control()) {
            (false, _) => None,
            (true, true) => Some(control(
                head.opcode,
                std::mem::take(&mut partial.control).into(),
            )?),
            (true, false) if head.fin => {
                let message = partial.message.take();
                message.map(|message| self.finish(message)).transpose()?
            }
            (true, false) => None,
        };
        self.tidy();
        Ok(event)
    }

    /// Decodes a message that is whole, directly from the input.
    fn whole(&mut self, head: Head, payload: &[u8]) -> Result<WebSocketEvent, ProtocolError> {
        let mut data = pool::buffer(payload.len());
        append_unmasked(&mut data, payload, head.mask, 0);
        // Only messages have this bit, not control frames.
        if head.compressed {
            data = self.inflate(data)?;
        }
        let data = pool::share(data);
        match head.opcode {
            Opcode::Text => text(data),
            Opcode::Binary => Ok(WebSocketEvent::Binary(data)),
            opcode => control(opcode, data),
        }
    }

    /// Decodes a message whose frames have all arrived.
    fn finish(&mut self, message: Message) -> Result<WebSocketEvent, ProtocolError> {
        let mut data = message.data;
        if message.compressed {
            data = self.inflate(data)?;
        }
        let data = pool::share(data);
        if message.text {
            text(data)
        } else {
            Ok(WebSocketEvent::Binary(data))
        }
    }

    fn inflate(&mut self, data: Vec<u8>) -> Result<Vec<u8>, ProtocolError> {
        match &mut self.inflater {
            Some(inflater) => inflater.inflate(&data, self.config.max_message),
            None => Ok(data),
        }
    }

    /// Frees the memory if nothing is unfinished.
    fn tidy(&mut self) {
        let idle = |partial: &Partial| {
            partial.header.is_empty()
                && partial.frame.is_none()
                && partial.message.is_none()
                && partial.control.is_empty()
        };
        if self.partial.as_deref().is_some_and(idle) {
            self.partial = None;
        }
    }
}

impl Message {
    /// Makes room for `take` bytes, of `left` that are announced: only if they do not fit, and in proportion to the
    /// bytes that have arrived rather than to the announced length.
    fn reserve(&mut self, take: usize, left: usize) {
        let data = &mut self.data;
        if data.capacity() - data.len() < take {
            let more = left.min(data.len().max(TRUST).max(take));
            if data.capacity() == 0 {
                *data = pool::buffer(more);
            } else {
                // Not exactly: a message may arrive in as many frames as it has bytes.
                data.reserve(more);
            }
        }
    }
}

fn text(data: Bytes) -> Result<WebSocketEvent, ProtocolError> {
    ByteString::try_from(data)
        .map(WebSocketEvent::Text)
        .map_err(|_| ProtocolError::Utf8)
}

fn control(opcode: Opcode, payload: Bytes) -> Result<WebSocketEvent, ProtocolError> {
    debug_assert!(opcode.is_control(), "a message has been decoded before");
    match opcode {
        Opcode::Ping => Ok(WebSocketEvent::Ping(payload)),
        Opcode::Pong => Ok(WebSocketEvent::Pong(payload)),
        Opcode::Close => CloseFrame::decode(payload).map(WebSocketEvent::Close),
        // `Expected::parse` refuses a whole message with one of these opcodes.
        Opcode::Continuation | Opcode::Text | Opcode::Binary => {
            Err(ProtocolError::UnexpectedContinuation)
        }
    }
}

#[cfg(test)]
mod tests;
