//! A comparison of the WebSocket decoder with tungstenite's: both must decode the same bytes equally, however they are
//! split.
//!
//! Two differences are intended. Our decoder checks bytes as soon as they arrive, tungstenite when a frame is complete:
//! if ours refuses the beginning of a frame, tungstenite may still wait for its end. And ours refuses lengths that are
//! not in their shortest form, which tungstenite accepts. Close codes 1012 to 1014 were registered after the RFC, and
//! tungstenite knows only the first two, so these codes are excluded.
#![allow(clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::io::{self, ErrorKind, Read, Write};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proto::websocket::{
    DecoderConfig, FrameDecoder, Opcode, ProtocolError, WebSocketEvent, masked_frame,
};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

const MAX_MESSAGE: usize = 400;

/// The result of decoding a stream.
#[derive(Debug, PartialEq)]
struct Outcome<E> {
    seen: Vec<Seen>,
    error: Option<E>,
}

#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

fn ours(chunks: &[&[u8]]) -> Outcome<ProtocolError> {
    let config = DecoderConfig {
        max_message: MAX_MESSAGE,
        ..DecoderConfig::default()
    };
    let mut decoder = FrameDecoder::new(config);
    let mut seen = Vec::new();
    for mut input in chunks.iter().copied() {
        loop {
            match decoder.next_event(&mut input) {
                Ok(Some(event)) => seen.push(event.into()),
                Ok(None) => break,
                Err(error) => {
                    let error = Some(error);
                    return Outcome { seen, error };
                }
            }
        }
    }
    Outcome { seen, error: None }
}

fn theirs(chunks: &[&[u8]]) -> Outcome<String> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let stream = Chunks(chunks.to_vec());
    let mut socket = WebSocket::from_raw_socket(stream, Role::Server, Some(config));
    let mut seen = Vec::new();
    let error = loop {
        match socket.read() {
            Ok(message) => match Seen::from(message) {
                // tungstenite replaces a code that may not be sent, instead of returning an error.
                Seen::Close(Some((1002, reason))) if reason == "Protocol violation" => {
                    break Some(reason);
                }
                close @ Seen::Close(_) => {
                    seen.push(close);
                    break None;
                }
                message => seen.push(message),
            },
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                break None;
            }
            Err(error) => break Some(error.to_string()),
        }
    };
    Outcome { seen, error }
}

/// A stream that returns one chunk for each read, and then would block.
struct Chunks<'a>(Vec<&'a [u8]>);

impl Read for Chunks<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.0.retain(|chunk| !chunk.is_empty());
        let first = self.0.first_mut().ok_or(ErrorKind::WouldBlock)?;
        first.read(to)
    }
}

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl From<WebSocketEvent> for Seen {
    fn from(event: WebSocketEvent) -> Self {
        match event {
            WebSocketEvent::Text(text) => Self::Text(text.to_string()),
            WebSocketEvent::Binary(data) => Self::Binary(data.into()),
            WebSocketEvent::Ping(data) => Self::Ping(data.into()),
            WebSocketEvent::Pong(data) => Self::Pong(data.into()),
            WebSocketEvent::Close(close) => {
                Self::Close(close.map(|close| (close.code.get(), close.reason.to_string())))
            }
        }
    }
}

impl From<Message> for Seen {
    fn from(message: Message) -> Self {
        match message {
            Message::Text(text) => Self::Text(text.to_string()),
            Message::Binary(data) => Self::Binary(data.into()),
            Message::Ping(data) => Self::Ping(data.into()),
            Message::Pong(data) => Self::Pong(data.into()),
            Message::Close(close) => {
                Self::Close(close.map(|close| (close.code.into(), close.reason.to_string())))
            }
            Message::Frame(_) => panic!("frames are never read"),
        }
    }
}

/// Generates frames that mostly follow the rules: messages in fragments, with control frames between, and a close now
/// and then.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let item = prop_oneof![
        4 => message(),
        2 => (prop_oneof![Just(Opcode::Ping), Just(Opcode::Pong)], vec(any::<u8>(), 0..126))
            .prop_map(|(opcode, data)| masked_frame(opcode, &data, [5, 6, 7, 8]).to_vec()),
        1 => close(),
        1 => any_frame(),
    ];
    vec(item, 0..6).prop_map(|items| items.concat())
}

/// Generates a message, whole or in up to four fragments that may split its characters.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        4 => "\\PC{0,150}".prop_map(|text| (Opcode::Text, text.into_bytes())),
        1 => vec(any::<u8>(), 0..20).prop_map(|bytes| (Opcode::Text, bytes)),
        4 => vec(any::<u8>(), 0..450).prop_map(|bytes| (Opcode::Binary, bytes)),
    ];
    (
        payload,
        vec(any::<Index>(), 0..4),
        any::<[u8; 4]>(),
        any::<bool>(),
    )
        .prop_map(|((opcode, payload), cuts, mask, with_ping)| {
            let parts = cut(&payload, &cuts);
            let last = parts.len() - 1;
            let frames = parts.iter().enumerate().map(|(at, part)| {
                let opcode = if at == 0 {
                    opcode
                } else {
                    Opcode::Continuation
                };
                let mut frame = masked_frame(opcode, part, mask).to_vec();
                if at < last {
                    frame[0] &= 0x7f;
                }
                if with_ping && at < last {
                    frame.extend(masked_frame(Opcode::Ping, b"between", mask));
                }
                frame
            });
            frames.collect::<Vec<_>>().concat()
        })
}

fn close() -> impl Strategy<Value = Vec<u8>> {
    let codes = prop_oneof![
        4 => prop_oneof![Just(1000u16), Just(1001), Just(1011), 3000..5000u16],
        1 => (0..6000u16).prop_filter("known to both", |code| !(1012..=1014).contains(code)),
    ];
    let payload = prop_oneof![
        1 => vec(any::<u8>(), 0..2),
        4 => (codes, "\\PC{0,30}")
            .prop_map(|(code, reason)| [&code.to_be_bytes(), reason.as_bytes()].concat()),
        1 => codes_and_bytes(),
    ];
    payload.prop_map(|payload| masked_frame(Opcode::Close, &payload, [9, 0, 9, 1]).to_vec())
}

fn codes_and_bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..8).prop_map(|bytes| [&1000u16.to_be_bytes(), bytes.as_slice()].concat())
}

/// Generates a frame that may break any rule of its first two bytes.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    (any::<u8>(), any::<bool>(), vec(any::<u8>(), 0..140)).prop_map(|(first, masked, payload)| {
        let mut frame = masked_frame(Opcode::Text, &payload, [1, 2, 3, 4]).to_vec();
        frame[0] = first;
        if !masked {
            frame[1] &= 0x7f;
        }
        frame
    })
}

/// Splits the bytes at these positions.
fn cut<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|at| at.index(bytes.len() + 1)).collect();
    places.sort_unstable();
    let mut pieces = Vec::new();
    let mut rest = bytes;
    let mut before = 0;
    for place in places {
        let (piece, after) = rest.split_at(place - before);
        pieces.push(piece);
        rest = after;
        before = place;
    }
    pieces.push(rest);
    pieces
}

/// Returns true if the last event is a close frame with a code that only one of the decoders knows, made by a mutation.
fn has_a_late_code(seen: &[Seen]) -> bool {
    matches!(seen.last(), Some(Seen::Close(Some((1012..=1014, _)))))
}

fn compare(bytes: &[u8], cuts: &[Index]) -> Result<(), TestCaseError> {
    let ours = ours(&cut(bytes, cuts));
    let theirs = theirs(&cut(bytes, cuts));
    if has_a_late_code(&ours.seen) {
        return Ok(());
    }
    match ours.error {
        Some(ProtocolError::BadLength) => {
            prop_assert!(theirs.seen.starts_with(&ours.seen), "{ours:?}\n{theirs:?}");
        }
        Some(_) => {
            prop_assert_eq!(&ours.seen, &theirs.seen);
            // With the rest of the frame, tungstenite must refuse it too.
            let rest = [0; MAX_MESSAGE + 14];
            let whole = self::theirs(&[bytes, &rest]);
            prop_assert!(whole.error.is_some(), "{ours:?}\n{whole:?}");
            prop_assert_eq!(&ours.seen, &whole.seen);
        }
        None => {
            prop_assert_eq!(&ours.seen, &theirs.seen);
            prop_assert_eq!(theirs.error, None);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn streams_mean_the_same_to_both(bytes in stream(), cuts in vec(any::<Index>(), 0..8)) {
        compare(&bytes, &cuts)?;
    }

    #[test]
    fn damaged_streams_mean_the_same_to_both(
        bytes in stream(),
        damage in vec((any::<Index>(), 1..=255u8), 1..4),
        end in any::<Index>(),
        cuts in vec(any::<Index>(), 0..8),
    ) {
        let mut bytes = bytes;
        for (at, bits) in damage {
            if !bytes.is_empty() {
                *at.get_mut(&mut bytes) ^= bits;
            }
        }
        bytes.truncate(end.index(bytes.len() * 4 + 1));
        compare(&bytes, &cuts)?;
    }

    #[test]
    fn noise_means_the_same_to_both(bytes in vec(any::<u8>(), 0..60), cuts in vec(any::<Index>(), 0..4)) {
        compare(&bytes, &cuts)?;
    }
}
