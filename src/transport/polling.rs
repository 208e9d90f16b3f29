//! The body of the response to a poll.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::Flight;
use crate::outbox::{Frame, Outbox, Part, Written};
use proto::engine_io::{PayloadWriter, Revision, v3};
use proto::session::Control;

/// The size from which a body counts against the outbox until it has been written, in bytes.
const LARGE: usize = 16 * 1024;

/// The body of the response to a poll.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    /// True if the body is not text. Only revision 3 has such bodies.
    pub(crate) binary: bool,
    /// The frames in flight, if the body is large.
    pub(crate) flight: Option<Flight>,
}

/// The data collected for one poll.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) body: Body,
    /// The part of the outbox that it contains.
    pub(crate) written: Written,
}

/// Packs the queue into one body of at most `max_packets`. The packet `owed` by the protocol is always included,
/// because a long queue could delay a ping beyond its deadline.
pub(crate) fn collect(
    outbox: &Outbox,
    owed: Option<Control>,
    revision: Revision,
    max_packets: Option<usize>,
) -> Collected {
    let frames = match max_packets {
        None => Frames::all(outbox),
        Some(max) => Frames::some(outbox, max, usize::from(owed.is_some())),
    };
    let written = frames.written();
    let body = match revision {
        Revision::Three { base64 } => three(frames, owed, base64),
        Revision::Four => four(frames, owed),
    };
    Collected { body, written }
}

fn four(frames: Frames, owed: Option<Control>) -> Body {
    let owed_size = owed.map_or(0, |control| 1 + control.text().len());
    let size = frames.iter().map(size).sum::<usize>() + owed_size;
    let mut writer = PayloadWriter::with_capacity(size);
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

/// Returns the number of bytes that a frame adds to a body, including separators.
fn size(frame: &Frame) -> usize {
    let parts = frame.parts().map(|part| match part {
        Part::Text(text) => 1 + text.len(),
        Part::Binary(attachment) => 2 + attachment.base64().len(),
    });
    parts.sum()
}

fn three(frames: Frames, owed: Option<Control>, base64: bool) -> Body {
    let has_binary = |frame: &Frame| frame.parts().any(|part| matches!(part, Part::Binary(_)));
    let binary = !base64 && frames.iter().any(has_binary);
    let mut writer = if binary {
        v3::PayloadWriter::binary()
    } else {
        v3::PayloadWriter::text()
    };
    for frame in frames {
        for part in frame.parts() {
            match part {
                Part::Text(text) => writer.push_text(text),
                Part::Binary(attachment) if binary => writer.push_binary(attachment.data()),
                Part::Binary(attachment) => writer.push_base64(attachment.base64()),
            }
        }
    }
    if let Some(control) = owed {
        writer.push_text(control.text());
    }
    let bytes = writer.finish();
    Body {
        bytes,
        binary,
        flight: None,
    }
}

/// Frames taken out of an outbox. A single frame, the usual case, needs no queue.
#[derive(Debug, Default)]
struct Frames {
    first: Option<Frame>,
    rest: VecDeque<Frame>,
}

impl Frames {
    /// Takes all queued frames. They are taken in one step, so that senders on other threads cannot extend the body
    /// indefinitely.
    fn all(outbox: &Outbox) -> Self {
        let mut frames = Self {
            first: outbox.take_if(|_| true),
            ..Self::default()
        };
        outbox.take(&mut frames.rest);
        frames
    }

    /// Takes frames with at most `max` packets in total, including the `owed` ones, which the body has besides the
    /// frames. A frame that exceeds the limit by itself is taken if the body has nothing else.
    fn some(outbox: &Outbox, max: usize, owed: usize) -> Self {
        let mut packets = owed;
        let first = outbox.take_if(|frame| owed == 0 || owed + frame.packets() <= max);
        packets += first.as_ref().map_or(0, Frame::packets);
        let next = || {
            let frame = outbox.take_if(|frame| packets + frame.packets() <= max)?;
            packets += frame.packets();
            Some(frame)
        };
        let rest = std::iter::from_fn(next).collect();
        Self { first, rest }
    }

    fn iter(&self) -> impl Iterator<Item = &Frame> {
        self.first.iter().chain(&self.rest)
    }

    fn written(&self) -> Written {
        Written {
            packets: self.iter().count(),
            bytes: self.iter().map(Frame::size).sum(),
        }
    }
}

impl IntoIterator for Frames {
    type Item = Frame;
    type IntoIter = std::iter::Chain<
        std::option::IntoIter<Frame>,
        std::collections::vec_deque::IntoIter<Frame>,
    >;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest)
    }
}

impl Collected {
    /// Returns the body and the part of the outbox that counts as written, which is empty if the body is large and
    /// therefore in flight.
    pub(crate) fn send(self, outbox: &Arc<Outbox>) -> (Body, Written) {
        let Self { mut body, written } = self;
        if body.bytes.len() < LARGE {
            return (body, written);
        }
        body.flight = Some(Flight::new(Arc::clone(outbox), written));
        (body, Written::default())
    }
}

impl Body {
    /// Creates a text body.
    pub(crate) const fn text(bytes: Bytes) -> Self {
        Self {
            bytes,
            binary: false,
            flight: None,
        }
    }

    /// Creates a body from packets that are encoded as text.
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
