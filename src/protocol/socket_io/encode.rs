//! Packets into text, with room for the header of a WebSocket frame before it.

use bytes::Bytes;

use super::Kind;
use crate::protocol::{EncodedArgs, args::HEADROOM};

/// The bytes that are always free before the packet: the longest header of a frame from a server.
const FRAME_HEADER: usize = 10;

/// A packet ready to be sent.
#[derive(Clone, Debug)]
pub struct EncodedPacket {
    buf: Vec<u8>,
    start: usize,
    attachments: Vec<Bytes>,
}

impl EncodedPacket {
    /// An event or an acknowledgement. The header is written into the free bytes before the arguments.
    #[must_use]
    pub fn from_args(args: EncodedArgs, kind: Kind, nsp: &str, id: Option<u64>) -> Self {
        let (mut buf, attachments) = args.into_parts();
        let mut start = HEADROOM;
        let needed = FRAME_HEADER + header_len(attachments.len(), nsp, id);
        if needed > HEADROOM {
            let more = needed - HEADROOM;
            buf.splice(..0, std::iter::repeat_n(0, more));
            start += more;
        }
        let free = buf.get_mut(..start).unwrap_or_default();
        let start = write_header(free, kind, attachments.len(), nsp, id);
        Self {
            buf,
            start,
            attachments,
        }
    }

    /// A packet without arguments; `json` is its payload.
    #[must_use]
    pub fn plain(kind: Kind, nsp: &str, json: Option<&str>) -> Self {
        let json = json.unwrap_or_default();
        let room = FRAME_HEADER + header_len(0, nsp, None);
        let mut buf = Vec::with_capacity(room + json.len());
        buf.resize(room, 0);
        let start = write_header(&mut buf, kind, 0, nsp, None);
        buf.extend_from_slice(json.as_bytes());
        Self {
            buf,
            start,
            attachments: Vec::new(),
        }
    }

    /// The packet as text of Engine.IO: `4`, then the Socket.IO packet.
    #[must_use]
    pub fn text(&self) -> &str {
        let text = self.buf.get(self.start..).unwrap_or_default();
        str::from_utf8(text).unwrap_or_default()
    }

    /// The binary messages that must follow.
    #[must_use]
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// The buffer, where the text starts in it (at 10 or later), and the attachments.
    #[must_use]
    pub fn into_parts(self) -> (Vec<u8>, usize, Vec<Bytes>) {
        (self.buf, self.start, self.attachments)
    }
}

/// The bytes that a header needs, or a few more.
fn header_len(attachments: usize, nsp: &str, id: Option<u64>) -> usize {
    2 + digits(attachments as u64) + 1 + nsp.len() + 1 + id.map_or(0, digits)
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// Writes a header backwards, up to the end of `free`. Returns where it starts.
fn write_header(
    free: &mut [u8],
    kind: Kind,
    attachments: usize,
    nsp: &str,
    id: Option<u64>,
) -> usize {
    let mut header = Backwards {
        start: free.len(),
        free,
    };
    if let Some(id) = id {
        header.number(id);
    }
    if nsp != "/" {
        header.bytes(b",");
        header.bytes(nsp.as_bytes());
    }
    if attachments > 0 {
        header.bytes(b"-");
        header.number(attachments as u64);
    }
    header.bytes(match (kind, attachments) {
        (Kind::Connect, _) => b"40",
        (Kind::Disconnect, _) => b"41",
        (Kind::Event, 0) => b"42",
        (Kind::Ack, 0) => b"43",
        (Kind::ConnectError, _) => b"44",
        (Kind::Event, _) => b"45",
        (Kind::Ack, _) => b"46",
    });
    header.start
}

/// Fills bytes from their end.
struct Backwards<'b> {
    free: &'b mut [u8],
    start: usize,
}

impl Backwards<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        let start = self.start.saturating_sub(bytes.len());
        if let Some(place) = self.free.get_mut(start..start + bytes.len()) {
            place.copy_from_slice(bytes);
            self.start = start;
        }
    }

    fn number(&mut self, mut number: u64) {
        loop {
            self.bytes(&[b'0' + (number % 10) as u8]);
            number /= 10;
            if number == 0 {
                break;
            }
        }
    }
}
