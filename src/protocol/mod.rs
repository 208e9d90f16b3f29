//! What is on the wire, as plain data: no clock, no socket, no state beyond a packet that still waits for its attachments.
//!
//! Two protocols lie on top of each other. [`engine_io`] carries messages between one client and one server, in a polling
//! body or a WebSocket message ([Engine.IO protocol, revision 4]). [`socket_io`] puts namespaces, events and acknowledgements
//! into those messages ([Socket.IO protocol, revision 5]). [`Args`] are an event's arguments, typed on demand.
//!
//! Public for tools, fuzzers and tests; it may change in any version before 1.0.
//!
//! Every decoder is total: bad input is a [`DecodeError`], never a panic and never silence.
//!
//! [Engine.IO protocol, revision 4]: https://socket.io/docs/v4/engine-io-protocol/
//! [Socket.IO protocol, revision 5]: https://socket.io/docs/v4/socket-io-protocol/

pub mod args;
mod copy;
pub mod engine_io;
pub mod error;
mod large;
mod query;
pub mod sid;
pub mod socket_io;
pub mod websocket;

pub use args::{Args, ArgsError, Binary, EncodedArgs, Rest};
pub(crate) use args::{Written, without_place};
pub use error::{DecodeError, EncodeError};
pub(crate) use query::decode_query;
pub use sid::Sid;
