//! A message as a WebSocket with permessage-deflate has it, made once for all whose parameters allow that.

use std::sync::{Arc, OnceLock};

use super::{Frame, Part};
use crate::protocol::engine_io::Revision;
use crate::protocol::websocket::{Deflater, Header, Opcode};

/// How a connection writes its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Plain(Revision),
    /// Of revision 4, and compressed where that is worth it.
    Deflated,
}

/// The frames of a message, each whole; none where it is better off as it was.
#[derive(Debug)]
pub(super) struct Parts(Box<[Option<Box<[u8]>>]>);

/// Made by the first connection that needs it. Nothing in it: the message is not to be compressed.
pub(super) type Deflated = Arc<OnceLock<Option<Parts>>>;

impl Parts {
    pub(super) fn get(&self, index: usize) -> Option<&[u8]> {
        self.0.get(index)?.as_deref()
    }
}

impl Frame {
    /// It is for many: what is made of it for one connection serves the others too. Nothing if it is shorter than what is
    /// compressed at all, or nothing is.
    pub(crate) fn for_many(mut self, threshold: Option<usize>) -> Self {
        if self.deflated.is_none() && threshold.is_some_and(|threshold| self.has_over(threshold)) {
            self.deflated = Some(Arc::default());
        }
        self
    }

    /// It is not to be compressed.
    pub(crate) fn uncompressed(mut self) -> Self {
        self.deflated = Some(Arc::new(OnceLock::from(None)));
        self
    }

    /// Compresses it for one connection, unless it has been for all.
    pub(crate) fn compress(&mut self, deflater: &mut Deflater) {
        match &self.deflated {
            None if !self.has_over(deflater.threshold()) => {}
            Some(shared) if deflater.is_shared() => {
                shared.get_or_init(|| self.deflate(deflater));
            }
            Some(shared) if matches!(shared.get(), Some(None)) => {}
            _ => self.deflated = Some(Arc::new(OnceLock::from(self.deflate(deflater)))),
        }
    }

    fn has_over(&self, threshold: usize) -> bool {
        self.parts().any(|part| part.data().len() >= threshold)
    }

    fn deflate(&self, deflater: &mut Deflater) -> Option<Parts> {
        let deflate = |part: Part<'_>| {
            let data = deflater.deflate(part.data())?;
            let header = Header::new(part.opcode(), data.len()).compressed();
            Some([header.as_slice(), &data].concat().into())
        };
        // Where the text would be, there is nothing.
        let no_text = self.is_of_another_parser().then_some(None);
        let parts = no_text.into_iter().chain(self.parts().map(deflate));
        let parts: Box<[_]> = parts.collect();
        parts.iter().any(Option::is_some).then_some(Parts(parts))
    }
}

impl Part<'_> {
    fn data(&self) -> &[u8] {
        match self {
            Self::Text(text) => text,
            Self::Binary(attachment) => attachment.data(),
        }
    }

    const fn opcode(&self) -> Opcode {
        match self {
            Self::Text(_) => Opcode::Text,
            Self::Binary(_) => Opcode::Binary,
        }
    }
}
