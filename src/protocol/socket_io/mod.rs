//! Socket.IO, revision 5: namespaces, events and acknowledgements, in messages of Engine.IO.
//!
//! How they are written is the [`Parser`]'s choice: without one as the specification has it, which is the rest of this module.

mod attachments;
mod encode;
#[cfg(feature = "msgpack")]
mod msgpack;
mod packet;
mod parser;
mod text;

pub use attachments::Assembler;
pub use encode::EncodedPacket;
#[cfg(feature = "msgpack")]
pub use msgpack::Msgpack;
pub use packet::{Event, Kind, Limits, Packet, reserved};
pub(crate) use parser::{Codec, Decoding, Encoded};
pub use parser::{Decoder, Parser, Parts};
