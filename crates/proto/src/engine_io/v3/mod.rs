//! The differences of revision 3: binary packets, and polling bodies.
//!
//! Text packets are those of revision 4. A binary packet begins with its type, which is a byte in a WebSocket message
//! and in a binary body, and a digit after the `b` in base64.

mod packet;
mod payload;
mod writer;

pub use packet::{decode_binary, decode_text};
pub use payload::Payload;
pub use writer::PayloadWriter;

/// The type of a message, as the byte in front of binary data.
pub const MESSAGE: u8 = 4;

/// The byte that ends the length of a packet in a binary body.
const END_OF_LENGTH: u8 = 0xff;

/// The maximum number of digits of a length. No length that fits into memory has more.
const MAX_DIGITS: usize = 16;
