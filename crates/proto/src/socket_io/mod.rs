//! Socket.IO, revision 5: namespaces, events and acknowledgements, in messages of Engine.IO.
//!
//! The default format is that of the specification, which the rest of this module implements. A [`Parser`] replaces it.

mod attachments;
mod encode;
pub(crate) mod msgpack;
mod packet;
mod parser;
mod text;

pub use attachments::Assembler;
pub use encode::EncodedPacket;
pub use msgpack::Msgpack;
pub use packet::{Event, Kind, Packet, PacketLimits};
pub use parser::{Codec, Decoding, Encoded};
pub use parser::{Decoder, Parser, Parts};
