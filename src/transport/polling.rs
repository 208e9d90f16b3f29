//! The body of a poll.

use bytes::Bytes;

use crate::engine::{Control, Outbox};
use crate::protocol::engine_io::PayloadWriter;

/// A body carries no more packets than this: a client library in wide use (python-engineio) refuses more.
const MAX_PACKETS: usize = 16;

/// What one poll takes along.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) body: Bytes,
    /// How many frames of the outbox are in it, and their size.
    pub(crate) frames: usize,
    pub(crate) bytes: usize,
}

/// Packs as many frames as one body may hold. A ping that is due is always among them, or a long queue would keep it from
/// its client until it is too late.
pub(crate) fn collect(outbox: &Outbox, ping: bool) -> Collected {
    let mut writer = PayloadWriter::default();
    let (mut packets, mut frames, mut bytes) = (usize::from(ping), 0, 0);
    while let Some(frame) =
        outbox.take_if(|frame| frames == 0 || packets + frame.packets() <= MAX_PACKETS)
    {
        writer.push_text(frame.text());
        frame.base64().for_each(|data| writer.push_base64(data));
        packets += frame.packets();
        frames += 1;
        bytes += frame.size();
    }
    if ping {
        writer.push_text(Control::Ping.text());
    }
    Collected {
        body: writer.finish(),
        frames,
        bytes,
    }
}

impl Control {
    /// The packet as Engine.IO text.
    pub(crate) const fn text(self) -> &'static [u8] {
        match self {
            Self::Close => b"1",
            Self::Ping => b"2",
            Self::Noop => b"6",
        }
    }
}
