//! The assembly of packets from text messages and binary attachments.

use bytes::Bytes;

use super::{Packet, PacketLimits, text};
use crate::{
    DecodeError,
    args::ATTACHMENT,
    engine_io::{Message, Text},
};

/// The assembler of packets: a text message is a packet, or begins one that the following binary messages complete.
///
/// Each connection has its own assembler. An idle assembler holds no memory.
#[derive(Debug, Default)]
pub struct Assembler {
    pending: Option<Box<Pending>>,
}

#[derive(Debug)]
struct Pending {
    packet: Packet,
    missing: usize,
    /// The size of the packet's text, in bytes.
    text: usize,
    /// The number of the attachments received so far.
    received: usize,
    /// The total size of the attachments received so far, in bytes.
    size: usize,
}

impl Assembler {
    /// Creates an idle assembler.
    #[must_use]
    pub const fn new() -> Self {
        Self { pending: None }
    }

    /// Feeds the next message. Returns the packet if the message completes one.
    ///
    /// # Errors
    ///
    /// Any [`DecodeError`]. The connection must then be closed, because the collected parts have been dropped.
    #[inline]
    pub fn feed(
        &mut self,
        message: Message,
        limits: &PacketLimits,
    ) -> Result<Option<Packet>, DecodeError> {
        match (message, self.pending.take()) {
            (Message::Text(text), None) => self.begin(text, limits),
            (Message::Text(_), Some(_)) => Err(DecodeError::TextInsteadOfAttachment),
            (Message::Binary(_), None) => Err(DecodeError::UnexpectedBinary),
            (Message::Binary(data), Some(pending)) => self.attach(data, pending, limits),
        }
    }

    /// Returns true if a packet is incomplete, because attachments are missing.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        self.pending.is_some()
    }

    fn begin(&mut self, text: Text, limits: &PacketLimits) -> Result<Option<Packet>, DecodeError> {
        let len = text.len();
        let (packet, missing) = text::decode(text, limits)?;
        if missing == 0 {
            return Ok(Some(packet));
        }
        self.pending = Some(Box::new(Pending {
            packet,
            missing,
            text: len,
            received: 0,
            size: 0,
        }));
        Ok(None)
    }

    /// Returns the memory that an incomplete packet holds, in bytes: as `Args::footprint` does for a complete one.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.pending.as_ref().map_or(0, |pending| {
            pending.text + pending.size + pending.received * ATTACHMENT
        })
    }

    fn attach(
        &mut self,
        data: Bytes,
        mut pending: Box<Pending>,
        limits: &PacketLimits,
    ) -> Result<Option<Packet>, DecodeError> {
        pending.size += data.len();
        if pending.size > limits.max_packet_bytes {
            return Err(DecodeError::AttachmentsTooLarge(limits.max_packet_bytes));
        }
        if let Some(args) = pending.packet.args_mut() {
            args.attach(data);
        }
        pending.received += 1;
        pending.missing -= 1;
        if pending.missing == 0 {
            return Ok(Some(pending.packet));
        }
        self.pending = Some(pending);
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"52-["e",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]"#;

    fn text(text: &str) -> Message {
        Message::Text(text.into())
    }

    fn binary(data: &'static str) -> Message {
        Message::Binary(Bytes::from_static(data.as_bytes()))
    }

    fn feed(assembler: &mut Assembler, message: Message) -> Result<Option<Packet>, DecodeError> {
        assembler.feed(message, &PacketLimits::default())
    }

    #[test]
    fn a_text_message_is_a_packet() {
        let mut assembler = Assembler::new();
        let packet = feed(&mut assembler, text(r#"2/a,["e",1]"#))
            .unwrap()
            .unwrap();
        assert_eq!(packet.nsp(), "/a");
        assert!(!assembler.is_waiting());
    }

    #[test]
    fn an_incomplete_packet_counts_the_handles_of_its_attachments() {
        let mut assembler = Assembler::new();
        assert!(feed(&mut assembler, text(TWO)).unwrap().is_none());
        assert_eq!(assembler.unfinished(), TWO.len());
        assert!(feed(&mut assembler, binary("zero")).unwrap().is_none());
        assert_eq!(assembler.unfinished(), TWO.len() + 4 + ATTACHMENT);
        assert!(feed(&mut assembler, binary("one")).unwrap().is_some());
        assert_eq!(assembler.unfinished(), 0);
    }

    #[test]
    fn attachments_complete_a_packet() {
        let mut assembler = Assembler::new();
        assert!(feed(&mut assembler, text(TWO)).unwrap().is_none());
        assert!(assembler.is_waiting());
        assert!(feed(&mut assembler, binary("zero")).unwrap().is_none());
        let packet = feed(&mut assembler, binary("one")).unwrap();
        assert!(!assembler.is_waiting());

        let Some(Packet::Event { event, .. }) = packet else {
            panic!("no event");
        };
        assert_eq!(event.name(), "e");
        assert_eq!(event.args().attachments(), ["zero", "one"]);
        let (first, second): (Bytes, Bytes) = event.into_args().deserialize().unwrap();
        assert_eq!((&first[..], &second[..]), (&b"one"[..], &b"zero"[..]));
    }

    #[test]
    fn an_ack_may_have_attachments() {
        let mut assembler = Assembler::new();
        let ack = text(r#"61-/a,5[{"_placeholder":true,"num":0}]"#);
        assert!(feed(&mut assembler, ack).unwrap().is_none());
        let Some(Packet::Ack { id, args, .. }) = feed(&mut assembler, binary("x")).unwrap() else {
            panic!("no ack");
        };
        assert_eq!(id, Some(5));
        assert_eq!(args.deserialize(), Ok(Bytes::from_static(b"x")));
    }

    #[test]
    fn text_between_attachments_is_a_violation() {
        for other in [r#"2["e"]"#, "2/other,[\"e\"]", "0", ""] {
            let mut assembler = Assembler::new();
            feed(&mut assembler, text(TWO)).unwrap();
            feed(&mut assembler, binary("zero")).unwrap();
            let error = feed(&mut assembler, text(other)).unwrap_err();
            assert_eq!(error, DecodeError::TextInsteadOfAttachment);
            assert!(!assembler.is_waiting());
        }
    }

    #[test]
    fn attachments_are_limited_by_their_size_together() {
        let limits = PacketLimits {
            max_packet_bytes: 7,
            ..PacketLimits::default()
        };
        for (second, fits) in [("one", true), ("four", false)] {
            let mut assembler = Assembler::new();
            assembler.feed(text(TWO), &limits).unwrap();
            assembler.feed(binary("zero"), &limits).unwrap();
            assert_eq!(assembler.unfinished(), TWO.len() + 4 + ATTACHMENT);
            let fed = assembler.feed(binary(second), &limits);
            if fits {
                assert!(fed.unwrap().is_some());
            } else {
                assert_eq!(fed.unwrap_err(), DecodeError::AttachmentsTooLarge(7));
            }
            assert_eq!(assembler.unfinished(), 0);
        }
    }

    #[test]
    fn bytes_from_nowhere_are_a_violation() {
        let mut assembler = Assembler::new();
        let error = feed(&mut assembler, binary("x")).unwrap_err();
        assert_eq!(error, DecodeError::UnexpectedBinary);

        feed(&mut assembler, text(TWO)).unwrap();
        feed(&mut assembler, binary("zero")).unwrap();
        feed(&mut assembler, binary("one")).unwrap();
        let error = feed(&mut assembler, binary("two")).unwrap_err();
        assert_eq!(error, DecodeError::UnexpectedBinary);
    }

    #[test]
    fn an_idle_assembler_is_a_pointer() {
        assert_eq!(size_of::<Assembler>(), size_of::<usize>());
    }
}
