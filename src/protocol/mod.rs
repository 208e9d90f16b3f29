//! The wire formats as plain data, without a clock, a socket, or state beyond a packet whose attachments are
//! incomplete.
//!
//! There are two layers. [`engine_io`] carries messages between one client and one server, in a polling body or a
//! WebSocket message ([Engine.IO protocol, revision 4]). [`socket_io`] adds namespaces, events and acknowledgements to
//! those messages ([Socket.IO protocol, revision 5]). [`Args`] are the arguments of an event, deserialized on demand.
//!
//! This module is public for tools, fuzzers and tests; it may change in any version before 1.0.
//!
//! Every decoder is total: it returns a [`DecodeError`] for bad input, and neither panics nor ignores it.
//!
//! [Engine.IO protocol, revision 4]: https://socket.io/docs/v4/engine-io-protocol/
//! [Socket.IO protocol, revision 5]: https://socket.io/docs/v4/socket-io-protocol/

pub mod args;
pub(crate) mod buf;
pub mod engine_io;
pub mod error;
pub(crate) mod panics;
mod query;
pub mod sid;
pub mod socket_io;
pub mod websocket;

pub(crate) use args::without_place;
pub use args::{Args, ArgsError, Binary, EncodedArgs, Rest};
pub use error::{DecodeError, EncodeError};
pub(crate) use query::decode_query;
pub use sid::Sid;
