//! What revision 3 writes in another way: binary packets, and polling bodies.
//!
//! Text packets are those of revision 4. A binary one begins with its type: a byte in a WebSocket message and in a binary
//! body, a digit behind the `b` where it is base64.

mod packet;
mod payload;
mod writer;

pub use packet::{decode_binary, decode_text};
pub use payload::Payload;
pub use writer::PayloadWriter;

/// The type of a message, as the byte before binary data.
pub(crate) const MESSAGE: u8 = 4;

/// Ends the length of a packet in a binary body.
const END_OF_LENGTH: u8 = 0xff;

/// More digits than this no length needs that memory has room for.
const MAX_DIGITS: usize = 16;
