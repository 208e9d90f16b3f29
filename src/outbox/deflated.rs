//! Messages compressed with permessage-deflate, shared by all connections whose parameters allow it.

use std::sync::{Arc, OnceLock};

use proto::engine_io::Revision;

/// The form in which a connection writes its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Plain(Revision),
    /// Revision 4, compressed where that is worthwhile.
    Deflated,
}

/// The compressed WebSocket frames of a message. `None` for a part that is sent uncompressed.
#[derive(Debug)]
pub(super) struct CompressedParts(pub(super) Box<[Option<Box<[u8]>>]>);

/// The compressed form of a message for one window size, shared by all connections with that size.
pub(super) type Deflated = Arc<SharedDeflated>;

#[derive(Debug, Default)]
pub(super) struct SharedDeflated {
    /// The compressed frames, set by the first connection that needs them. `None` inside means that the message is not
    /// to be compressed.
    pub(super) parts: OnceLock<Option<CompressedParts>>,
    /// The compressed forms for smaller windows, which few clients request.
    narrow: OnceLock<Box<[Deflated; NARROW]>>,
}

/// The number of window sizes below the maximum of 15 bits.
const NARROW: usize = 6;

impl SharedDeflated {
    pub(super) fn known(parts: Option<CompressedParts>) -> Deflated {
        Arc::new(Self {
            parts: OnceLock::from(parts),
            ..Self::default()
        })
    }

    pub(super) fn parts(&self) -> Option<&CompressedParts> {
        self.parts.get()?.as_ref()
    }

    /// Returns the compressed form for a window of less than 15 bits; `None` for the full size.
    pub(super) fn narrow(&self, bits: u8) -> Option<&Deflated> {
        let less = usize::from(bits.abs_diff(14));
        let narrow = || self.narrow.get_or_init(Box::default);
        (bits < 15).then(narrow)?.get(less)
    }
}

impl CompressedParts {
    pub(super) fn get(&self, index: usize) -> Option<&[u8]> {
        self.0.get(index)?.as_deref()
    }
}
