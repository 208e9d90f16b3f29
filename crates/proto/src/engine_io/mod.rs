//! Engine.IO: the transport of messages between one client and one server. This module implements revision 4, and
//! [`v3`] the differences of revision 3, which older clients use.

mod open_packet;
mod packet;
mod payload;
mod post_body;
mod revision;
mod text;
mod transport;
pub mod v3;

pub use open_packet::OpenPacket;
pub use packet::{Message, Packet};
pub use payload::{Payload, PayloadWriter};
pub use post_body::PostBody;
pub use revision::Revision;
pub use text::Text;
pub use transport::Transport;
