//! From received bytes to events (sections 5 and 8.1).

use bytes::Bytes;
use bytestring::ByteString;

use super::mask::append_unmasked;
use super::utf8::Checked;
use super::{CloseFrame, Opcode, ProtocolError};

/// A header is at most this long: two bytes, a length of eight, a mask of four.
const MAX_HEADER: usize = 14;
/// No more than this is taken on the word of a header alone.
const TRUST: usize = 64 * 1024;

/// What a decoder accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The longest message, in bytes, all its fragments together. Default: 1,000,000.
    pub max_message: usize,
    /// Whether frames must be masked, as a client's must. Default: true.
    pub require_mask: bool,
    /// Whether a message may have the bit that marks it as compressed. Default: false.
    pub allow_rsv1: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_message: 1_000_000,
            require_mask: true,
            allow_rsv1: false,
        }
    }
}

/// Something was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole text message.
    Text(ByteString),
    /// A whole binary message.
    Binary(Bytes),
    /// To be answered with a pong of the same payload.
    Ping(Bytes),
    /// An answer, or an unasked sign of life.
    Pong(Bytes),
    /// The peer closes, with a reason if it gave one. What follows is ignored.
    Close(Option<CloseFrame>),
}

/// Takes events out of received bytes, wherever these are cut.
#[derive(Debug)]
pub struct Decoder {
    config: Config,
    closed: bool,
    /// Only while something is unfinished.
    partial: Option<Box<Partial>>,
}

#[derive(Debug, Default)]
struct Partial {
    header: [u8; MAX_HEADER],
    header_len: usize,
    /// The frame whose payload is not complete, and how much of it has come.
    frame: Option<(Head, usize)>,
    /// The payload of an unfinished control frame.
    control: Vec<u8>,
    /// A message of which some fragment has come.
    message: Option<Message>,
}

#[derive(Debug)]
struct Message {
    text: bool,
    data: Vec<u8>,
    checked: Checked,
}

#[derive(Clone, Copy, Debug)]
struct Head {
    fin: bool,
    opcode: Opcode,
    mask: [u8; 4],
    len: usize,
}

impl Decoder {
    /// A decoder for one connection.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            closed: false,
            partial: None,
        }
    }

    /// Whether nothing is unfinished, and so no memory is held.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.partial.is_none()
    }

    /// Takes the next event out of `input`, which is moved on. `None` means that all of it has been taken.
    ///
    /// # Errors
    ///
    /// When the peer breaks the protocol. Nothing more is to be decoded then.
    pub fn next_event(&mut self, input: &mut &[u8]) -> Result<Option<Event>, ProtocolError> {
        while !self.closed && !input.is_empty() {
            let Some((head, got)) = self.head(input)? else {
                return Ok(None);
            };
            let event = if self.partial.is_none() && input.len() >= head.len && head.fin {
                // The common case: all of a whole message is here.
                let (payload, rest) = input.split_at_checked(head.len).unwrap_or((input, &[]));
                *input = rest;
                Some(whole(head, payload)?)
            } else {
                self.payload(head, got, input)?
            };
            if let Some(event) = event {
                self.closed = matches!(event, Event::Close(_));
                return Ok(Some(event));
            }
        }
        if self.closed {
            *input = &[];
        }
        Ok(None)
    }

    /// The frame that `input` is in, and how much of its payload has come. `None` if the header is not complete.
    fn head(&mut self, input: &mut &[u8]) -> Result<Option<(Head, usize)>, ProtocolError> {
        if let Some(frame) = self.partial.as_ref().and_then(|partial| partial.frame) {
            return Ok(Some(frame));
        }
        let in_message = self
            .partial
            .as_ref()
            .and_then(|partial| partial.message.as_ref())
            .map(|m| m.data.len());
        let at_start = self
            .partial
            .as_ref()
            .is_none_or(|partial| partial.header_len == 0);
        if at_start && let Some((head, len)) = parse(input, &self.config, in_message)? {
            *input = input.get(len..).unwrap_or_default();
            return Ok(Some((head, 0)));
        }
        // The header is cut: collect it byte by byte.
        let partial = self.partial.get_or_insert_default();
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            if let Some(slot) = partial.header.get_mut(partial.header_len) {
                *slot = byte;
            }
            partial.header_len += 1;
            let header = partial.header.get(..partial.header_len).unwrap_or_default();
            if let Some((head, _)) = parse(header, &self.config, in_message)? {
                partial.header_len = 0;
                partial.frame = Some((head, 0));
                return Ok(Some((head, 0)));
            }
        }
        Ok(None)
    }

    /// Takes what there is of a frame's payload.
    fn payload(
        &mut self,
        head: Head,
        got: usize,
        input: &mut &[u8],
    ) -> Result<Option<Event>, ProtocolError> {
        let partial = self.partial.get_or_insert_default();
        let take = input.len().min(head.len - got);
        let (data, rest) = input.split_at_checked(take).unwrap_or((input, &[]));
        *input = rest;
        let complete = got + take == head.len;
        let left = (head.len - got).min(TRUST.max(take));
        if head.opcode.is_control() {
            partial.control.reserve_exact(left);
            append_unmasked(&mut partial.control, data, head.mask, got);
        } else {
            let message = partial.message.get_or_insert_with(|| Message {
                text: head.opcode == Opcode::Text,
                data: Vec::new(),
                checked: Checked::default(),
            });
            message.data.reserve(left);
            append_unmasked(&mut message.data, data, head.mask, got);
            if message.text {
                message.checked.advance(&message.data)?;
            }
        }
        partial.frame = (!complete).then_some((head, got + take));
        let event = match (complete, head.opcode.is_control()) {
            (false, _) => None,
            (true, true) => Some(control(
                head.opcode,
                std::mem::take(&mut partial.control).into(),
            )?),
            (true, false) if head.fin => partial.message.take().map(Message::finish).transpose()?,
            (true, false) => None,
        };
        self.tidy();
        Ok(event)
    }

    /// Gives the memory back when nothing is unfinished.
    fn tidy(&mut self) {
        let idle = |partial: &Partial| {
            partial.header_len == 0
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
    fn finish(self) -> Result<Event, ProtocolError> {
        let data = Bytes::from(self.data);
        if self.text {
            text(data)
        } else {
            Ok(Event::Binary(data))
        }
    }
}

/// A message that is whole, straight out of the input.
fn whole(head: Head, payload: &[u8]) -> Result<Event, ProtocolError> {
    let mut data = Vec::with_capacity(payload.len());
    append_unmasked(&mut data, payload, head.mask, 0);
    let data = Bytes::from(data);
    match head.opcode {
        Opcode::Text => text(data),
        Opcode::Binary => Ok(Event::Binary(data)),
        opcode => control(opcode, data),
    }
}

fn text(data: Bytes) -> Result<Event, ProtocolError> {
    ByteString::try_from(data)
        .map(Event::Text)
        .map_err(|_| ProtocolError::Utf8)
}

fn control(opcode: Opcode, payload: Bytes) -> Result<Event, ProtocolError> {
    match opcode {
        Opcode::Ping => Ok(Event::Ping(payload)),
        Opcode::Pong => Ok(Event::Pong(payload)),
        Opcode::Close => CloseFrame::decode(payload).map(Event::Close),
        // `parse` lets a whole message without a beginning not pass.
        Opcode::Continuation | Opcode::Text | Opcode::Binary => {
            Err(ProtocolError::UnexpectedContinuation)
        }
    }
}

/// Reads a header, as soon as it is complete, and checks all that can be known of the frame. `in_message` is the length of
/// the message whose fragments have begun. Gives the header's own length too.
fn parse(
    input: &[u8],
    config: &Config,
    in_message: Option<usize>,
) -> Result<Option<(Head, usize)>, ProtocolError> {
    let Some((&[first, second], rest)) = input.split_first_chunk() else {
        // What is wrong with the first byte alone need not wait for the second.
        return input
            .first()
            .map_or(Ok(()), |&first| {
                check_first(first, config, in_message).map(drop)
            })
            .map(|()| None);
    };
    let (fin, opcode) = check_first(first, config, in_message)?;
    let masked = second & 0x80 != 0;
    if config.require_mask && !masked {
        return Err(ProtocolError::Unmasked);
    }
    let short = second & 0x7f;
    if opcode.is_control() && short > 125 {
        return Err(ProtocolError::BadControl);
    }
    let (len, rest, mut header_len) = match short {
        126 => {
            let Some((&long, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            let len = u64::from(u16::from_be_bytes(long));
            if len < 126 {
                return Err(ProtocolError::BadLength);
            }
            (len, rest, 4)
        }
        127 => {
            let Some((&long, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            let len = u64::from_be_bytes(long);
            if len <= 0xffff || len > i64::MAX as u64 {
                return Err(ProtocolError::BadLength);
            }
            (len, rest, 10)
        }
        len => (u64::from(len), rest, 2),
    };
    let max = config.max_message;
    let len = usize::try_from(len).map_err(|_| ProtocolError::TooBig(max))?;
    if !opcode.is_control() && len > max.saturating_sub(in_message.unwrap_or_default()) {
        return Err(ProtocolError::TooBig(max));
    }
    let mut mask = [0; 4];
    if masked {
        let Some((&bytes, _)) = rest.split_first_chunk() else {
            return Ok(None);
        };
        mask = bytes;
        header_len += 4;
    }
    Ok(Some((
        Head {
            fin,
            opcode,
            mask,
            len,
        },
        header_len,
    )))
}

fn check_first(
    first: u8,
    config: &Config,
    in_message: Option<usize>,
) -> Result<(bool, Opcode), ProtocolError> {
    let fin = first & 0x80 != 0;
    let bits = first & 0x0f;
    let opcode = Opcode::from_bits(bits).ok_or(ProtocolError::UnknownOpcode(bits))?;
    // The bit of a compressed message stands on its first frame only.
    let may_rsv1 = config.allow_rsv1 && matches!(opcode, Opcode::Text | Opcode::Binary);
    if first & 0x30 != 0 || (first & 0x40 != 0 && !may_rsv1) {
        return Err(ProtocolError::ReservedBit);
    }
    match (opcode, in_message) {
        (Opcode::Continuation, None) => Err(ProtocolError::UnexpectedContinuation),
        (Opcode::Text | Opcode::Binary, Some(_)) => Err(ProtocolError::ContinuationExpected),
        _ if opcode.is_control() && !fin => Err(ProtocolError::BadControl),
        _ => Ok((fin, opcode)),
    }
}
