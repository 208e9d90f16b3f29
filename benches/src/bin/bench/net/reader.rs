//! A reader of the server's frames, which decodes only enough to count them.

use std::io;

/// A summary of the input of one read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The number of events, including their attachments.
    pub events: u32,
    /// The number of acknowledgements.
    pub acks: u32,
    /// The number of heartbeats that require an answer.
    pub pings: u32,
    /// The number of HTTP responses, including the one to an upgrade to WebSocket.
    pub responses: u32,
    /// True if there was the open packet of Engine.IO.
    pub open: bool,
    /// True if the server has accepted the CONNECT.
    pub connected: bool,
    /// True if there was the answer to a probe.
    pub probed: bool,
}

impl Seen {
    /// Returns the number of answers to requests.
    pub const fn answers(&self) -> u32 {
        self.events + self.acks
    }
}

/// The position in the stream. Payloads are skipped; only the first bytes of a text are stored.
pub struct FrameReader {
    upgrade: Upgrade,
    header: [u8; 10],
    header_len: usize,
    opcode: u8,
    payload_left: u64,
    kind: [u8; 2],
    kind_len: usize,
}

enum Upgrade {
    /// The response to the upgrade has not ended yet. `start` is its part that has arrived.
    Waiting {
        start: Vec<u8>,
    },
    Done,
}

impl FrameReader {
    pub fn upgrading() -> Self {
        Self::new(Upgrade::Waiting { start: Vec::new() })
    }

    pub fn upgraded() -> Self {
        Self::new(Upgrade::Done)
    }

    fn new(upgrade: Upgrade) -> Self {
        Self {
            upgrade,
            header: [0; 10],
            header_len: 0,
            opcode: 0,
            payload_left: 0,
            kind: [0; 2],
            kind_len: 0,
        }
    }

    pub fn feed(&mut self, mut input: &[u8], seen: &mut Seen) -> io::Result<()> {
        if let Upgrade::Waiting { start } = &mut self.upgrade {
            start.extend_from_slice(input);
            let Some(end) = start.windows(4).position(|four| four == b"\r\n\r\n") else {
                return Ok(());
            };
            if !start.starts_with(b"HTTP/1.1 101") {
                return Err(bad("the upgrade to WebSocket was refused", start));
            }
            let rest = start.split_off(end + 4);
            self.upgrade = Upgrade::Done;
            seen.responses += 1;
            return self.feed(&rest, seen);
        }
        while !input.is_empty() {
            if self.payload_left == 0 && !self.head(&mut input)? {
                return Ok(());
            }
            self.payload(&mut input);
            if self.payload_left == 0 {
                self.end(seen)?;
            }
        }
        Ok(())
    }

    /// Takes bytes until the header is complete.
    fn head(&mut self, input: &mut &[u8]) -> io::Result<bool> {
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            if let Some(slot) = self.header.get_mut(self.header_len) {
                *slot = byte;
            }
            self.header_len += 1;
            let [first, second, b2, b3, b4, b5, b6, b7, b8, b9] = self.header;
            let (needed, len) = match second {
                126 => (4, u64::from(u16::from_be_bytes([b2, b3]))),
                127 => (10, u64::from_be_bytes([b2, b3, b4, b5, b6, b7, b8, b9])),
                short => (2, u64::from(short)),
            };
            if self.header_len < 2 || self.header_len < needed {
                continue;
            }
            if second > 127 {
                return Err(bad("the server masks its frames", &self.header));
            }
            self.header = [0; 10];
            self.header_len = 0;
            self.opcode = first & 0x0f;
            self.payload_left = len;
            self.kind = [0; 2];
            self.kind_len = 0;
            return Ok(true);
        }
        Ok(false)
    }

    fn payload(&mut self, input: &mut &[u8]) {
        let take =
            usize::try_from(self.payload_left).map_or(input.len(), |left| left.min(input.len()));
        let (now, rest) = input.split_at(take);
        for &byte in now.iter().take(self.kind.len() - self.kind_len) {
            self.kind[self.kind_len] = byte;
            self.kind_len += 1;
        }
        self.payload_left -= take as u64;
        *input = rest;
    }

    fn end(&mut self, seen: &mut Seen) -> io::Result<()> {
        match (self.opcode, &self.kind) {
            // A text with attachments is counted when they arrive. The benchmarks use only one attachment for each
            // text.
            (1, b"42") | (2, _) => seen.events += 1,
            (1, b"43") => seen.acks += 1,
            (1, b"45" | b"46") => {}
            (1, [b'2', _]) => seen.pings += 1,
            (1, [b'0', _]) => seen.open = true,
            (1, b"40") => seen.connected = true,
            (1, [b'3', _]) => seen.probed = true,
            // Answers to pings of WebSocket are ignored.
            (1, [b'6', _]) | (10, _) => {}
            (_, kind) => return Err(bad("an unexpected packet", kind)),
        }
        Ok(())
    }
}

fn bad(what: &str, bytes: &[u8]) -> io::Error {
    let bytes = String::from_utf8_lossy(bytes.get(..bytes.len().min(200)).unwrap_or_default());
    io::Error::other(format!("{what}: {bytes:?}"))
}

#[cfg(test)]
mod tests {
    use axum_socketio_proto::websocket::{Opcode, frame};

    use super::*;

    fn stream() -> Vec<u8> {
        [
            &b"HTTP/1.1 101 Switching Protocols\r\n\r\n"[..],
            &frame(Opcode::Text, b"0{}"),
            &frame(Opcode::Text, b"40{}"),
            &frame(Opcode::Text, b"2"),
            &frame(Opcode::Text, br#"42["echo"]"#),
            &frame(Opcode::Text, &[b"43", &[b'x'; 70_000][..]].concat()),
            &frame(Opcode::Text, br#"451-["b",{"_placeholder":true,"num":0}]"#),
            &frame(Opcode::Binary, &[0; 300]),
        ]
        .concat()
    }

    #[test]
    fn cutting_the_stream_changes_nothing() {
        let bytes = stream();
        for size in [1, 2, 3, 7, 1000, bytes.len()] {
            let mut reader = FrameReader::upgrading();
            let mut seen = Seen::default();
            for part in bytes.chunks(size) {
                reader.feed(part, &mut seen).unwrap();
            }
            assert_eq!(
                seen,
                Seen {
                    events: 2,
                    acks: 1,
                    pings: 1,
                    responses: 1,
                    open: true,
                    connected: true,
                    probed: false,
                },
                "in pieces of {size}"
            );
        }
    }
}
