//! What is on the wire, as plain data: no clock, no socket, no state beyond a packet that still waits for its attachments.
//!
//! [`engine_io`] carries messages between one client and one server, in a polling body or a WebSocket message
//! ([Engine.IO protocol, revision 4]).
//!
//! Every decoder is total: bad input is a [`DecodeError`], never a panic and never silence.
//!
//! [Engine.IO protocol, revision 4]: https://socket.io/docs/v4/engine-io-protocol/

pub mod engine_io;
pub mod error;
pub mod sid;

pub use error::{DecodeError, EncodeError};
pub use sid::Sid;
