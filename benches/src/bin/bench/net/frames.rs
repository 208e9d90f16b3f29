//! The frames of the generator, encoded before a measurement.

use std::sync::LazyLock;

use axum_socketio_proto::websocket::{Opcode, frame, masked_frame};
use serde::Serialize;

/// The mask of all frames. A mask of zero would spare the server some work.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Encodes a text packet of Engine.IO as a client's frame.
pub fn text_frame(text: &str) -> Vec<u8> {
    masked_frame(Opcode::Text, text.as_bytes(), MASK).into()
}

/// Encodes a ping or a pong of WebSocket, without data.
pub fn control_frame(ping: bool) -> Vec<u8> {
    let opcode = if ping { Opcode::Ping } else { Opcode::Pong };
    masked_frame(opcode, b"", MASK).into()
}

/// Encodes a part of a text message that is not the last: the first one if it is not empty, otherwise a continuation.
pub fn part_frame(text: &str) -> Vec<u8> {
    const FIN: u8 = 0x80;
    let mut frame = text_frame(text);
    if let Some(first) = frame.first_mut() {
        *first = if text.is_empty() { 0 } else { *first & !FIN };
    }
    frame
}

/// Encodes an event as a text packet of Engine.IO.
pub fn event(args: &impl Serialize) -> serde_json::Result<String> {
    Ok(format!("42{}", serde_json::to_string(args)?))
}

/// Encodes an event that requests an acknowledgement. The id is constant, because only the client uses it.
pub fn event_with_ack(args: &impl Serialize) -> serde_json::Result<String> {
    Ok(format!("420{}", serde_json::to_string(args)?))
}

pub(super) fn pong() -> &'static [u8] {
    static PONG: LazyLock<Vec<u8>> = LazyLock::new(|| text_frame("3"));
    &PONG
}

/// A request, repeated in one buffer, so that any number of requests is one write.
pub struct Request {
    bytes: Vec<u8>,
    len: usize,
}

impl Request {
    pub fn text(text: &str, most: usize) -> Self {
        Self::new(&text_frame(text), most)
    }

    /// Creates an event with one attachment.
    pub fn binary(name: &str, size: usize, most: usize) -> Self {
        let text = format!(r#"451-["{name}",{{"_placeholder":true,"num":0}}]"#);
        let data: Vec<u8> = (0..size).map(|at| at.to_le_bytes()[0]).collect();
        let mut bytes = text_frame(&text);
        bytes.extend_from_slice(&masked_frame(Opcode::Binary, &data, MASK));
        Self::new(&bytes, most)
    }

    /// Creates a frame as a server would send it, for servers that echo bytes. Four more bytes in the text replace the
    /// mask.
    pub fn unmasked(text: &str, most: usize) -> Self {
        Self::new(&frame(Opcode::Text, format!("{text}    ").as_bytes()), most)
    }

    fn new(one: &[u8], most: usize) -> Self {
        Self {
            len: one.len(),
            bytes: one.repeat(most),
        }
    }

    /// Returns the bytes of this number of requests.
    pub fn times(&self, times: usize) -> &[u8] {
        self.bytes.get(..self.len * times).unwrap_or(&self.bytes)
    }
}
