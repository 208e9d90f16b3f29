//! An event for many sockets, before anybody has encoded it.

use std::sync::Arc;

use crate::outbox::Frame;
use crate::rooms::Target;
use proto::EncodedArgs;
use proto::socket_io::{Codec, Kind};

/// An event for the sockets of a target.
///
/// It is encoded for clients by the adapter that has local members, and for other servers only by a cluster.
#[derive(Debug)]
pub(crate) struct Publication<'a> {
    /// The name of the event, and its arguments.
    pub(crate) args: EncodedArgs,
    pub(crate) target: &'a Target,
}

/// The encoder of the packets that a namespace sends to its clients.
#[derive(Clone, Debug)]
pub(crate) struct PacketEncoder {
    pub(crate) codec: Codec,
    pub(crate) nsp: Arc<str>,
    /// The minimum size of a message to be compressed, if any is.
    pub(crate) compressed_from: Option<usize>,
}

impl PacketEncoder {
    /// Encodes an event, with the id of its acknowledgement if one is requested.
    pub(crate) fn event(&self, args: EncodedArgs, id: Option<u64>) -> Frame {
        Frame::new(self.codec.packet(args, Kind::Event, &self.nsp, id))
    }

    /// Encodes an event of a namespace with a history, with the offset as the last argument.
    pub(crate) fn event_at(&self, args: &EncodedArgs, offset: Option<&str>) -> Frame {
        let mut args = args.clone();
        if let Some(offset) = offset {
            // Serializing a text as JSON cannot fail.
            let _ = args.push(offset);
        }
        self.event(args, None)
    }

    /// Prepares a frame for all sockets of a target: compressed once, or not at all.
    pub(crate) fn for_target(&self, target: &Target, frame: Frame) -> Frame {
        if target.options.uncompressed {
            return frame.uncompressed();
        }
        frame.for_many(self.compressed_from)
    }
}
