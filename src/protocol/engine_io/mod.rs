//! Engine.IO, revision 4: what goes between one client and one server.

mod handshake;
mod packet;
mod payload;
mod text;

pub use handshake::Handshake;
pub use packet::{Message, Packet};
pub use payload::{Payload, PayloadWriter};
pub use text::Text;
