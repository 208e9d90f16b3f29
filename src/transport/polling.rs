//! The body of a poll.

use bytes::Bytes;

use crate::engine::{Control, Frame, Outbox, Part, Written};
use crate::protocol::engine_io::{PayloadWriter, Revision, v3};

/// A body carries no more packets than this: a client library in wide use (python-engineio) refuses more.
const MAX_PACKETS: usize = 16;

/// What a poll is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    /// Not text: revision 3 has such bodies.
    pub(crate) binary: bool,
}

/// What one poll takes along.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) body: Body,
    /// What of the outbox is in it.
    pub(crate) written: Written,
}

/// Packs as many frames as one body may hold. What the protocol `owes` is always among them, or a long queue would keep a ping
/// from its client until it is too late.
pub(crate) fn collect(outbox: &Outbox, owed: Option<Control>, revision: Revision) -> Collected {
    let mut frames = Frames {
        outbox,
        packets: usize::from(owed.is_some()),
        written: Written::default(),
    };
    let body = match revision {
        Revision::Three { base64 } => three(&mut frames, owed, base64),
        Revision::Four => four(&mut frames, owed),
    };
    Collected {
        body,
        written: frames.written,
    }
}

fn four(frames: &mut Frames<'_>, owed: Option<Control>) -> Body {
    let mut writer = PayloadWriter::default();
    for frame in frames {
        for part in frame.parts() {
            match part {
                Part::Text(text) => writer.push_text(text),
                Part::Binary(attachment) => writer.push_base64(attachment.base64()),
            }
        }
    }
    if let Some(control) = owed {
        writer.push_text(control.text());
    }
    Body::text(writer.finish())
}

fn three(frames: &mut Frames<'_>, owed: Option<Control>, base64: bool) -> Body {
    let frames: Vec<_> = frames.collect();
    let has_binary = |frame: &Frame| frame.parts().any(|part| matches!(part, Part::Binary(_)));
    let binary = !base64 && frames.iter().any(has_binary);
    let mut writer = if binary {
        v3::PayloadWriter::binary()
    } else {
        v3::PayloadWriter::text()
    };
    for part in frames.iter().flat_map(Frame::parts) {
        match part {
            Part::Text(text) => writer.push_text(text),
            Part::Binary(attachment) if binary => writer.push_binary(attachment.data()),
            Part::Binary(attachment) => writer.push_base64(attachment.base64()),
        }
    }
    if let Some(control) = owed {
        writer.push_text(control.text());
    }
    let bytes = writer.finish();
    Body { bytes, binary }
}

/// Takes frames out of an outbox, as long as one body may hold them.
struct Frames<'a> {
    outbox: &'a Outbox,
    /// Engine.IO packets in the body.
    packets: usize,
    written: Written,
}

impl Iterator for Frames<'_> {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        let (first, packets) = (self.written.packets == 0, self.packets);
        let fits = |frame: &Frame| first || packets + frame.packets() <= MAX_PACKETS;
        let frame = self.outbox.take_if(fits)?;
        self.packets += frame.packets();
        self.written.packets += 1;
        self.written.bytes += frame.size();
        Some(frame)
    }
}

impl Body {
    /// A payload of text.
    pub(crate) const fn text(bytes: Bytes) -> Self {
        Self {
            bytes,
            binary: false,
        }
    }

    /// Packets that are text already.
    pub(crate) fn of<'p>(packets: impl Iterator<Item = &'p [u8]>, revision: Revision) -> Self {
        Self::text(match revision {
            Revision::Three { .. } => {
                let mut writer = v3::PayloadWriter::text();
                packets.for_each(|packet| writer.push_text(packet));
                writer.finish()
            }
            Revision::Four => {
                let mut writer = PayloadWriter::new();
                packets.for_each(|packet| writer.push_text(packet));
                writer.finish()
            }
        })
    }
}

impl Control {
    /// The packet as Engine.IO text.
    pub(crate) const fn text(self) -> &'static [u8] {
        match self {
            Self::Close => b"1",
            Self::Ping => b"2",
            Self::Pong => b"3",
            Self::Noop => b"6",
        }
    }
}
