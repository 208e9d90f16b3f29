//! Puts binary attachments into the packet that announced them.

use bytes::Bytes;
use bytestring::ByteString;

use super::{Limits, Packet, text};
use crate::protocol::{DecodeError, engine_io::Message};

/// Makes packets of messages: a text message is a packet, or begins one that the next binary messages complete.
///
/// One for each connection. An idle one holds no memory.
#[derive(Debug, Default)]
pub struct Assembler {
    pending: Option<Box<Pending>>,
}

#[derive(Debug)]
struct Pending {
    packet: Packet,
    missing: usize,
}

impl Assembler {
    /// One that waits for nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { pending: None }
    }

    /// Takes the next message. Returns the packet that it is or completes.
    ///
    /// # Errors
    ///
    /// Any [`DecodeError`]. The connection is to be closed then: what was collected is gone.
    pub fn feed(
        &mut self,
        message: Message,
        limits: &Limits,
    ) -> Result<Option<Packet>, DecodeError> {
        match (message, self.pending.take()) {
            (Message::Text(text), None) => self.begin(text, limits),
            (Message::Text(_), Some(_)) => Err(DecodeError::TextInsteadOfAttachment),
            (Message::Binary(_), None) => Err(DecodeError::UnexpectedBinary),
            (Message::Binary(data), Some(pending)) => Ok(self.attach(data, pending)),
        }
    }

    /// Whether a packet waits for attachments.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        self.pending.is_some()
    }

    fn begin(&mut self, text: ByteString, limits: &Limits) -> Result<Option<Packet>, DecodeError> {
        let (packet, missing) = text::decode(text, limits)?;
        if missing == 0 {
            return Ok(Some(packet));
        }
        self.pending = Some(Box::new(Pending { packet, missing }));
        Ok(None)
    }

    fn attach(&mut self, data: Bytes, mut pending: Box<Pending>) -> Option<Packet> {
        if let Some(args) = pending.packet.args_mut() {
            args.attach(data);
        }
        pending.missing -= 1;
        if pending.missing == 0 {
            return Some(pending.packet);
        }
        self.pending = Some(pending);
        None
    }
}
