//! Socket.IO, revision 5: namespaces, events and acknowledgements, in messages of Engine.IO.

mod attachments;
mod encode;
mod packet;
mod text;

pub use attachments::Assembler;
pub use encode::EncodedPacket;
pub use packet::{Event, Kind, Limits, Packet, reserved};
