//! What the generator sends, made before the clock runs.

use std::sync::LazyLock;

use axum_socketio::protocol::websocket::{Opcode, frame, masked_frame};
use serde::Serialize;

/// Any mask will do, but zero would spare the server its work.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A text message of Engine.IO as a client's frame.
pub fn text_frame(text: &str) -> Vec<u8> {
    masked_frame(Opcode::Text, text.as_bytes(), MASK).into()
}

/// A ping of WebSocket, or a pong, without data.
pub fn control_frame(ping: bool) -> Vec<u8> {
    let opcode = if ping { Opcode::Ping } else { Opcode::Pong };
    masked_frame(opcode, b"", MASK).into()
}

/// A part of a text message that more must follow: the first if it is not empty, otherwise a continuation.
pub fn part_frame(text: &str) -> Vec<u8> {
    const FIN: u8 = 0x80;
    let mut frame = text_frame(text);
    if let Some(first) = frame.first_mut() {
        *first = if text.is_empty() { 0 } else { *first & !FIN };
    }
    frame
}

/// An event as text of Engine.IO.
pub fn event(args: &impl Serialize) -> serde_json::Result<String> {
    Ok(format!("42{}", serde_json::to_string(args)?))
}

/// The same with a wish for an acknowledgement. The id is always the same: it is the client's own business.
pub fn event_with_ack(args: &impl Serialize) -> serde_json::Result<String> {
    Ok(format!("420{}", serde_json::to_string(args)?))
}

pub(super) fn pong() -> &'static [u8] {
    static PONG: LazyLock<Vec<u8>> = LazyLock::new(|| text_frame("3"));
    &PONG
}

/// A request, repeated in one buffer: so any number of them is one write.
pub struct Request {
    bytes: Vec<u8>,
    len: usize,
}

impl Request {
    pub fn text(text: &str, most: usize) -> Self {
        Self::new(&text_frame(text), most)
    }

    /// An event with one attachment.
    pub fn binary(name: &str, size: usize, most: usize) -> Self {
        let text = format!(r#"451-["{name}",{{"_placeholder":true,"num":0}}]"#);
        let data: Vec<u8> = (0..size).map(|at| at.to_le_bytes()[0]).collect();
        let mut bytes = text_frame(&text);
        bytes.extend_from_slice(&masked_frame(Opcode::Binary, &data, MASK));
        Self::new(&bytes, most)
    }

    /// As a server would send it, for one that returns bytes as they are: four more in the text stand for the mask.
    pub fn unmasked(text: &str, most: usize) -> Self {
        Self::new(&frame(Opcode::Text, format!("{text}    ").as_bytes()), most)
    }

    fn new(one: &[u8], most: usize) -> Self {
        Self {
            len: one.len(),
            bytes: one.repeat(most),
        }
    }

    /// So many of them.
    pub fn times(&self, times: usize) -> &[u8] {
        self.bytes.get(..self.len * times).unwrap_or(&self.bytes)
    }
}
