//! The server's side of WebSocket ([RFC 6455]) as pure functions over buffers.
//!
//! [`FrameDecoder`] takes events out of received bytes; [`frame`] and [`Header`] encode the bytes to send. Neither does
//! any IO, and neither holds memory for a connection that is idle, unless messages are compressed with context
//! takeover.
//!
//! [RFC 6455]: https://datatracker.ietf.org/doc/html/rfc6455

mod close;
mod decoder;
#[cfg(feature = "compression")]
mod deflate;
#[cfg(not(feature = "compression"))]
#[path = "no_deflate.rs"]
mod deflate;
mod encode;
mod error;
mod head;
mod mask;
#[cfg(test)]
mod properties;
mod utf8;

pub use close::{CloseCode, CloseFrame};
pub use decoder::{DecodedFrame, DecoderConfig, FrameDecoder, WebSocketEvent};
pub use deflate::{Agreed, Compression, Deflater, Inflater, negotiate};
pub use encode::{Header, Opcode, accept_key, close_frame, frame, is_key, masked_frame};
pub use error::ProtocolError;
