//! The body of a poll.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::engine::{Control, Frame};
use crate::protocol::engine_io::PayloadWriter;

/// A body carries no more packets than this: a client library in wide use (python-engineio) refuses more.
const MAX_PACKETS: usize = 16;

/// What one poll takes along.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) body: Bytes,
    /// How many frames of the queue are in it, and their size.
    pub(crate) frames: usize,
    pub(crate) bytes: usize,
}

/// Packs as many frames of the queue as one body may hold, then, if none is left, `controls`.
pub(crate) fn collect(queue: &mut VecDeque<Frame>, controls: &mut VecDeque<Control>) -> Collected {
    let mut writer = PayloadWriter::default();
    let (mut packets, mut frames, mut bytes) = (0, 0, 0);
    while let Some(frame) = queue.front() {
        let parts = 1 + frame.base64().count();
        if packets > 0 && packets + parts > MAX_PACKETS {
            break;
        }
        writer.push_text(frame.text());
        frame.base64().for_each(|data| writer.push_base64(data));
        packets += parts;
        frames += 1;
        bytes += frame.size();
        queue.pop_front();
    }
    if queue.is_empty() {
        controls
            .drain(..)
            .for_each(|control| writer.push_text(control.text()));
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
