//! Engine.IO: what goes between one client and one server. Revision 4, and in [`v3`] what older clients write in another way.

mod body;
mod handshake;
mod packet;
mod payload;
mod revision;
mod text;
pub mod v3;

pub(crate) use body::Body;

pub use handshake::Handshake;
pub use packet::{Message, Packet};
pub use payload::{Payload, PayloadWriter};
pub use revision::Revision;
pub use text::Text;
