//! The decoder: received bytes to events (sections 5 and 8.1).

use bytes::Bytes;
use bytestring::ByteString;

use super::head::{Expected, Head, MAX_HEADER};
use super::mask::append_unmasked;
use super::utf8::Checked;
use super::{Agreed, CloseFrame, Inflater, Opcode, ProtocolError};
use crate::buf::pool;

/// The maximum number of bytes that are reserved because a header announces them.
const TRUST: usize = 64 * 1024;

/// The options of a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The maximum size of a message, in bytes, including all its fragments. Default: 1,000,000.
    pub max_message: usize,
    /// True if frames must be masked, as those of clients are. Default: true.
    pub require_mask: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_message: 1_000_000,
            require_mask: true,
        }
    }
}

/// An event on the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
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
pub enum Frame {
    /// A whole message or a control frame.
    Event(Event),
    /// An incomplete frame, or a frame of an incomplete message: more must follow.
    Part,
    /// There was no input.
    None,
}

/// The decoder of one connection, which takes events out of received bytes, however they are split.
#[derive(Debug)]
pub struct Decoder {
    config: Config,
    closed: bool,
    /// The inflater, if compression has been negotiated.
    inflater: Option<Box<Inflater>>,
    /// The unfinished frame or message, if there is one.
    partial: Option<Box<Partial>>,
}

#[derive(Debug, Default)]
struct Partial {
    header: [u8; MAX_HEADER],
    header_len: usize,
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

impl Decoder {
    /// Creates a decoder for one connection.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            closed: false,
            inflater: None,
            partial: None,
        }
    }

    /// Creates a decoder for one connection on which messages may be compressed.
    #[must_use]
    pub fn compressed(config: Config, agreed: &Agreed) -> Self {
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
    pub fn next_event(&mut self, input: &mut &[u8]) -> Result<Option<Event>, ProtocolError> {
        loop {
            match self.next_frame(input)? {
                Frame::Event(event) => return Ok(Some(event)),
                Frame::Part => {}
                Frame::None => return Ok(None),
            }
        }
    }

    /// Takes one frame, or the available part of it, out of `input`: for callers that limit the number of frames that
    /// they take at once. Fails as [`next_event`](Self::next_event) does.
    #[inline]
    pub fn next_frame(&mut self, input: &mut &[u8]) -> Result<Frame, ProtocolError> {
        if self.closed {
            *input = &[];
        }
        if input.is_empty() {
            return Ok(Frame::None);
        }
        let result = self.advance(input);
        if matches!(result, Err(_) | Ok(Frame::Event(Event::Close(_)))) {
            self.closed = true;
            self.partial = None;
        }
        result
    }

    fn advance(&mut self, input: &mut &[u8]) -> Result<Frame, ProtocolError> {
        let Some((head, got)) = self.head(input)? else {
            return Ok(Frame::Part);
        };
        if self.partial.is_none() && input.len() >= head.len && head.fin {
            // The common case: the whole message is in the input.
            let (payload, rest) = input.split_at_checked(head.len).unwrap_or((input, &[]));
            *input = rest;
            return self.whole(head, payload).map(Frame::Event);
        }
        let event = self.payload(head, got, input)?;
        Ok(event.map_or(Frame::Part, Frame::Event))
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
            .is_none_or(|partial| partial.header_len == 0);
        if at_start && let Some((head, len)) = expected.parse(input)? {
            *input = input.get(len..).unwrap_or_default();
            return Ok(Some((head, 0)));
        }
        // The header is split: collect it byte by byte.
        let partial = self.partial.get_or_insert_default();
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            if let Some(slot) = partial.header.get_mut(partial.header_len) {
                *slot = byte;
            }
            partial.header_len += 1;
            let header = partial.header.get(..partial.header_len).unwrap_or_default();
            if let Some((head, _)) = expected.parse(header)? {
                partial.header_len = 0;
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
    ) -> Result<Option<Event>, ProtocolError> {
        let partial = self.partial.get_or_insert_default();
        let take = input.len().min(head.len - got);
        let (data, rest) = input.split_at_checked(take).unwrap_or((input, &[]));
        *input = rest;
        let complete = got + take == head.len;
        let left = head.len - got;
        if head.opcode.is_control() {
            append_unmasked(&mut partial.control, data, head.mask, got);
        } else {
            let message = partial.message.get_or_insert_with(|| Message {
                text: head.opcode == Opcode::Text,
                compressed: head.compressed,
                data: Vec::new(),
                checked: Checked::default(),
            });
            message.reserve(take, left);
            append_unmasked(&mut message.data, data, head.mask, got);
            if message.text && !message.compressed {
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
    fn whole(&mut self, head: Head, payload: &[u8]) -> Result<Event, ProtocolError> {
        let mut data = pool::buffer(payload.len());
        append_unmasked(&mut data, payload, head.mask, 0);
        match head.opcode {
            Opcode::Text => self.message(true, head.compressed, data),
            Opcode::Binary => self.message(false, head.compressed, data),
            opcode => control(opcode, pool::share(data)),
        }
    }

    fn finish(&mut self, message: Message) -> Result<Event, ProtocolError> {
        self.message(message.text, message.compressed, message.data)
    }

    fn message(
        &mut self,
        is_text: bool,
        compressed: bool,
        mut data: Vec<u8>,
    ) -> Result<Event, ProtocolError> {
        if compressed && let Some(inflater) = &mut self.inflater {
            data = inflater.inflate(&data, self.config.max_message)?;
        }
        let data = pool::share(data);
        if is_text {
            text(data)
        } else {
            Ok(Event::Binary(data))
        }
    }

    /// Frees the memory if nothing is unfinished.
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
        // `Expected::parse` refuses a whole message with one of these opcodes.
        Opcode::Continuation | Opcode::Text | Opcode::Binary => {
            Err(ProtocolError::UnexpectedContinuation)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::masked_frame;
    use super::*;

    /// Makes a frame that is the last of its message.
    fn last(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
        masked_frame(opcode, payload, [0x11, 0x82, 0xf3, 0x04]).to_vec()
    }

    /// Makes a frame that is not the last of its message.
    fn more(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
        let mut bytes = last(opcode, payload);
        bytes[0] &= 0x7f;
        bytes
    }

    /// Returns all events of `input`, and the error that ended them.
    fn feed(decoder: &mut Decoder, mut input: &[u8]) -> (Vec<Event>, Option<ProtocolError>) {
        let mut events = Vec::new();
        loop {
            match decoder.next_event(&mut input) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Some(error)),
            }
        }
        assert!(input.is_empty(), "all input is taken");
        (events, None)
    }

    fn decode(frames: &[Vec<u8>]) -> (Vec<Event>, Option<ProtocolError>) {
        feed(&mut Decoder::new(Config::default()), &frames.concat())
    }

    fn limited(max_message: usize) -> Decoder {
        let config = Config {
            max_message,
            ..Config::default()
        };
        Decoder::new(config)
    }

    fn text(text: &str) -> Event {
        Event::Text(text.into())
    }

    #[test]
    fn an_idle_decoder_is_small() {
        assert!(size_of::<Decoder>() <= 40, "{}", size_of::<Decoder>());
    }

    #[test]
    fn every_kind_of_event_comes_out_of_one_input() {
        let (events, error) = decode(&[
            last(Opcode::Text, "Hallo, wörld".as_bytes()),
            last(Opcode::Binary, &[0, 255, 7]),
            last(Opcode::Ping, b"there?"),
            last(Opcode::Pong, b""),
            last(Opcode::Text, b""),
            last(Opcode::Close, b""),
        ]);
        let expected = [
            text("Hallo, wörld"),
            Event::Binary(Bytes::from_static(&[0, 255, 7])),
            Event::Ping(Bytes::from_static(b"there?")),
            Event::Pong(Bytes::new()),
            text(""),
            Event::Close(None),
        ];
        assert_eq!(events, expected);
        assert_eq!(error, None);
    }

    #[test]
    fn memory_is_held_only_between_the_ends_of_a_message() {
        let bytes = [
            more(Opcode::Text, b"a"),
            last(Opcode::Ping, b"p"),
            last(Opcode::Continuation, b"b"),
        ]
        .concat();
        let mut decoder = Decoder::new(Config::default());
        assert!(decoder.is_idle());
        for (at, byte) in bytes.iter().enumerate() {
            feed(&mut decoder, &[*byte]);
            assert_eq!(decoder.is_idle(), at == bytes.len() - 1, "after byte {at}");
        }
    }

    #[test]
    fn a_header_alone_takes_little_memory() {
        let mut decoder = limited(usize::MAX);
        let header = [0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4];
        assert_eq!(feed(&mut decoder, &header), (vec![], None));
        // More bytes in several pieces must not reserve more for each of them.
        for _ in 0..10 {
            assert_eq!(feed(&mut decoder, &[0]), (vec![], None));
        }
        let message = decoder
            .partial
            .as_ref()
            .and_then(|partial| partial.message.as_ref());
        assert!(
            message.unwrap().data.capacity() <= TRUST,
            "of 4 GiB that were announced"
        );
    }

    #[test]
    fn a_message_that_came_in_pieces_takes_no_more_than_it_needs() {
        let mut decoder = Decoder::new(Config::default());
        let bytes = last(Opcode::Binary, &[7; 150_000]);
        let mut events = Vec::new();
        for piece in bytes.chunks(64 * 1024) {
            events.extend(feed(&mut decoder, piece).0);
        }
        let [Event::Binary(data)] = <[Event; 1]>::try_from(events).unwrap() else {
            panic!("not binary");
        };
        assert_eq!(Vec::from(data).capacity(), 150_000);
    }

    #[test]
    fn a_ping_inside_a_message_comes_first() {
        let (events, _) = decode(&[
            more(Opcode::Text, b"one "),
            last(Opcode::Ping, b"?"),
            more(Opcode::Continuation, b"two "),
            last(Opcode::Continuation, b"three"),
        ]);
        assert_eq!(
            events,
            [Event::Ping(Bytes::from_static(b"?")), text("one two three")]
        );
    }

    #[test]
    fn a_continuation_needs_a_beginning() {
        let (_, error) = decode(&[last(Opcode::Continuation, b"end")]);
        assert_eq!(error, Some(ProtocolError::UnexpectedContinuation));
    }

    #[test]
    fn a_message_may_not_begin_inside_another() {
        for opcode in [Opcode::Text, Opcode::Binary] {
            let (_, error) = decode(&[more(Opcode::Text, b"a"), last(opcode, b"b")]);
            assert_eq!(error, Some(ProtocolError::ContinuationExpected));
        }
    }

    #[test]
    fn what_is_wrong_with_the_first_byte_is_seen_there() {
        let rows = [
            (0xc1, ProtocolError::ReservedBit),
            (0xa2, ProtocolError::ReservedBit),
            (0x99, ProtocolError::ReservedBit),
            (0x83, ProtocolError::UnknownOpcode(3)),
            (0x8f, ProtocolError::UnknownOpcode(15)),
            (0x09, ProtocolError::BadControl),
            (0x80, ProtocolError::UnexpectedContinuation),
        ];
        for (first, error) in rows {
            assert_eq!(
                feed(&mut Decoder::new(Config::default()), &[first]).1,
                Some(error)
            );
        }
    }

    #[test]
    fn lengths_are_refused_in_a_longer_form_than_they_need_and_with_their_top_bit() {
        let rows: [&[u8]; 3] = [
            &[0x82, 0xfe, 0, 125],
            &[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
            &[0x82, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0],
        ];
        for header in rows {
            assert_eq!(
                feed(&mut limited(usize::MAX), header).1,
                Some(ProtocolError::BadLength)
            );
        }
    }

    #[test]
    fn a_control_frame_has_at_most_125_bytes() {
        let (_, error) = decode(&[last(Opcode::Ping, &[0; 126])]);
        assert_eq!(error, Some(ProtocolError::BadControl));
    }

    #[test]
    fn a_client_must_mask_its_frames() {
        let (_, error) = feed(&mut Decoder::new(Config::default()), b"\x81\x02hi");
        assert_eq!(error, Some(ProtocolError::Unmasked));
        let config = Config {
            require_mask: false,
            ..Config::default()
        };
        let (events, _) = feed(&mut Decoder::new(config), b"\x81\x02hi");
        assert_eq!(events, [text("hi")]);
    }

    #[test]
    fn a_limit_is_kept_by_the_header_alone() {
        let bytes = last(Opcode::Binary, &[0; 11]);
        let (header, _) = bytes.split_at(6);
        assert_eq!(
            feed(&mut limited(10), header).1,
            Some(ProtocolError::TooBig {
                limit: 10,
                size: Some(11)
            })
        );
        assert_eq!(feed(&mut limited(11), &bytes).1, None);
    }

    #[test]
    fn a_limit_counts_all_fragments_but_no_control_frames() {
        let begin = [more(Opcode::Binary, &[0; 6]), last(Opcode::Ping, &[0; 100])].concat();
        let fits = [begin.clone(), last(Opcode::Continuation, &[0; 4])].concat();
        assert_eq!(feed(&mut limited(10), &fits).0.len(), 2);
        let too_big = [begin, last(Opcode::Continuation, &[0; 5])].concat();
        assert_eq!(
            feed(&mut limited(10), &too_big).1,
            Some(ProtocolError::TooBig {
                limit: 10,
                size: Some(11)
            })
        );
    }

    #[test]
    fn text_may_not_end_within_a_character() {
        let (_, error) = decode(&[last(Opcode::Text, b"\xe1\xbd")]);
        assert_eq!(error, Some(ProtocolError::Utf8));
        let (_, error) = decode(&[
            more(Opcode::Text, b"\xe1"),
            last(Opcode::Continuation, b"\xbd"),
        ]);
        assert_eq!(error, Some(ProtocolError::Utf8));
    }

    #[test]
    fn what_follows_a_close_is_ignored() {
        let close = last(Opcode::Close, &[3, 232]);
        let (events, error) = decode(&[close, last(Opcode::Text, b"late"), vec![0xff; 40]]);
        assert!(matches!(&events[..], [Event::Close(Some(_))]), "{events:?}");
        assert_eq!(error, None);
    }

    #[test]
    fn what_follows_an_error_is_ignored_and_nothing_is_held() {
        let mut decoder = Decoder::new(Config::default());
        let bad = [more(Opcode::Text, b"a"), last(Opcode::Text, b"b")].concat();
        assert!(feed(&mut decoder, &bad).1.is_some());
        assert!(decoder.is_idle());
        assert_eq!(
            feed(&mut decoder, &last(Opcode::Text, b"late")),
            (vec![], None)
        );
        assert!(decoder.is_idle());
    }
}
