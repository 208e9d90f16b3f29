//! The conversion between packets and messages, by the default parser or another.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

use super::{Assembler, EncodedPacket, Kind, Packet, PacketLimits, text};
use crate::args::{check_json, check_placeholders};
use crate::engine_io::Message;
use crate::panics::guarded;
use crate::{DecodeError, EncodedArgs};

/// A format of packets: converts packets to messages, and messages to packets.
///
/// A server has one parser, and its clients need the same. Corresponds to Node's `parser`.
pub trait Parser: fmt::Debug + Send + Sync + 'static {
    /// Encodes a packet as one message or as several consecutive ones. If there is none, nothing is sent.
    ///
    /// A broadcast is encoded once, for all its recipients. A [`decoder`](Self::decoder) of the same parser must be
    /// able to read the messages.
    fn encode(&self, packet: &Parts<'_>) -> Vec<Message>;

    /// Creates the decoder of a connection.
    fn decoder(&self) -> Box<dyn Decoder>;
}

/// A decoder of the messages of one connection.
pub trait Decoder: fmt::Debug + Send {
    /// Feeds the next message. Returns the packet if the message completes one.
    ///
    /// The caller checks that the packet is within the `limits`, that its JSON is what its kind requires, and that an
    /// event has a name that a client may send. The decoder has to limit the memory of an incomplete packet itself.
    ///
    /// # Errors
    ///
    /// Any [`DecodeError`], such as [`DecodeError::Malformed`]. The connection is then closed with the reason `forced
    /// close`.
    fn feed(
        &mut self,
        message: Message,
        limits: &PacketLimits,
    ) -> Result<Option<Parts<'static>>, DecodeError>;
}

/// A packet, as a [`Parser`] encodes it and a [`Decoder`] returns it.
///
/// In every format, arguments are JSON text, in which each binary value is a placeholder
/// (`{"_placeholder":true,"num":0}`) for one of the attachments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The kind of the packet.
    pub kind: Kind,
    /// The namespace, with its slash.
    pub nsp: Cow<'a, str>,
    /// The id of the acknowledgement, if the packet requests one or is one.
    pub id: Option<u64>,
    /// The payload. The payload of an event is an array that begins with its name, that of an acknowledgement is an
    /// array, that of CONNECT and CONNECT_ERROR is an object. CONNECT may have none, DISCONNECT never has one.
    pub json: Option<Cow<'a, str>>,
    /// The attachments, to which placeholders refer by number. If this is empty, an object that looks like a
    /// placeholder is data.
    pub attachments: Cow<'a, [Bytes]>,
}

impl Parts<'_> {
    /// Makes all checks of the default parser.
    fn into_packet(self, limits: &PacketLimits) -> Result<Packet, DecodeError> {
        let Self {
            kind,
            nsp,
            id,
            json,
            attachments,
        } = self;
        if nsp.len() > limits.max_nsp_len {
            return Err(DecodeError::NamespaceTooLong(limits.max_nsp_len));
        }
        if attachments.len() > limits.max_attachments {
            return Err(DecodeError::TooManyAttachments(limits.max_attachments));
        }
        let size: usize = attachments.iter().map(Bytes::len).sum();
        if size > limits.max_packet_bytes {
            return Err(DecodeError::AttachmentsTooLarge(limits.max_packet_bytes));
        }
        let json: ByteString = json.map(Cow::into_owned).unwrap_or_default().into();
        if !attachments.is_empty() {
            check_json(&json)?;
            check_placeholders(&json, attachments.len())?;
        }
        let nsp = match nsp {
            Cow::Borrowed(nsp) => nsp.into(),
            Cow::Owned(nsp) => nsp.into(),
        };
        let mut packet = text::packet(kind, nsp, id, json, 0, limits)?;
        if let Some(args) = packet.args_mut() {
            args.attach_all(attachments.into_owned());
        }
        Ok(packet)
    }
}

/// The parser of a server.
#[derive(Clone, Debug, Default)]
pub enum Codec {
    /// The default parser of clients.
    #[default]
    Default,
    /// A parser of the application.
    Other(Arc<dyn Parser>),
}

/// A packet as its parser has encoded it.
#[derive(Debug)]
pub enum Encoded {
    /// A packet of the default parser.
    Packet(EncodedPacket),
    /// The messages of another parser.
    Messages(Vec<Message>),
}

impl From<EncodedPacket> for Encoded {
    fn from(packet: EncodedPacket) -> Self {
        Self::Packet(packet)
    }
}

impl Codec {
    /// Encodes an event or an acknowledgement.
    #[must_use]
    #[inline]
    pub fn packet(&self, args: EncodedArgs, kind: Kind, nsp: &str, id: Option<u64>) -> Encoded {
        let Self::Other(parser) = self else {
            return EncodedPacket::from_args(args, kind, nsp, id).into();
        };
        let messages = parser.encode(&Parts {
            kind,
            nsp: nsp.into(),
            id,
            json: Some(args.json().into()),
            attachments: args.attachments().into(),
        });
        args.recycle();
        Encoded::Messages(messages)
    }

    /// Encodes a packet without arguments, with `json` as its payload.
    pub fn plain(&self, kind: Kind, nsp: &str, json: Option<&str>) -> Encoded {
        let Self::Other(parser) = self else {
            return EncodedPacket::plain(kind, nsp, json).into();
        };
        Encoded::Messages(parser.encode(&Parts {
            kind,
            nsp: nsp.into(),
            id: None,
            json: json.map(Cow::from),
            attachments: Cow::default(),
        }))
    }

    /// Creates the decoder of a connection.
    #[must_use]
    #[inline]
    pub fn decoding(&self) -> Decoding {
        match self {
            Self::Default => Decoding::Default(Assembler::new()),
            Self::Other(parser) => Decoding::Other(parser.decoder()),
        }
    }
}

/// The decoder of one connection.
#[derive(Debug)]
pub enum Decoding {
    /// The decoder of the default parser.
    Default(Assembler),
    /// The decoder of another parser.
    Other(Box<dyn Decoder>),
}

impl Decoding {
    /// Feeds the next message. Returns the packet if the message completes one.
    #[inline]
    pub fn feed(
        &mut self,
        message: Message,
        limits: &PacketLimits,
    ) -> Result<Option<Packet>, DecodeError> {
        match self {
            Self::Default(assembler) => assembler.feed(message, limits),
            Self::Other(decoder) => feed_other(&mut **decoder, message, limits),
        }
    }

    /// Returns the memory that an incomplete packet holds, in bytes. For other parsers it is unknown and counted as 0.
    #[must_use]
    #[inline]
    pub fn unfinished(&self) -> usize {
        match self {
            Self::Default(assembler) => assembler.unfinished(),
            Self::Other(_) => 0,
        }
    }
}

/// Feeds a decoder other than the default, out of line to keep the common path short. A panic becomes an error.
#[cold]
fn feed_other(
    decoder: &mut dyn Decoder,
    message: Message,
    limits: &PacketLimits,
) -> Result<Option<Packet>, DecodeError> {
    let parts = guarded(|| decoder.feed(message, limits))
        .unwrap_or_else(|panicked| Err(DecodeError::ParserPanicked(panicked.into())))?;
    parts.map(|parts| parts.into_packet(limits)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(nsp: &str, json: &'static str, attachments: usize) -> Parts<'static> {
        Parts {
            kind: Kind::Event,
            nsp: nsp.to_owned().into(),
            id: None,
            json: Some(json.into()),
            attachments: vec![Bytes::from_static(b"x"); attachments].into(),
        }
    }

    fn refusal(parts: Parts<'_>) -> DecodeError {
        parts.into_packet(&PacketLimits::default()).unwrap_err()
    }

    #[test]
    fn no_parser_gets_round_the_limits() {
        let long = format!("/{}", "n".repeat(256));
        assert_eq!(
            refusal(event(&long, r#"["e"]"#, 0)),
            DecodeError::NamespaceTooLong(256)
        );
        assert_eq!(
            refusal(event("/", r#"["e"]"#, 11)),
            DecodeError::TooManyAttachments(10)
        );
        let small = PacketLimits {
            max_packet_bytes: 1,
            ..PacketLimits::default()
        };
        assert_eq!(
            event("/", r#"["e"]"#, 2).into_packet(&small).unwrap_err(),
            DecodeError::AttachmentsTooLarge(1)
        );
        assert_eq!(
            refusal(event("/", r#"["e",{"_placeholder":true,"num":1}]"#, 1)),
            DecodeError::Placeholder
        );
        assert_eq!(
            refusal(event("/", r#"["connect"]"#, 0)),
            DecodeError::ReservedEvent("connect")
        );
        assert_eq!(refusal(event("/", "[]", 0)), DecodeError::EventName);
        assert!(matches!(
            refusal(event("/", r#"["e""#, 1)),
            DecodeError::Json(_)
        ));
    }

    #[test]
    fn a_choice_of_parsers_does_not_enlarge_the_decoder() {
        assert_eq!(size_of::<Decoding>(), 2 * size_of::<usize>());
    }
}
