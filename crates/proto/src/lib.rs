//! The protocols of [axum-socketio], without IO: bytes and the state of sessions and connections.
//!
//! This crate is internal to axum-socketio, which re-exports the types that its users need. Any release may change it.
//!
//! There are two layers of packets. [`engine_io`] carries messages between one client and one server, in a polling
//! body or a WebSocket message ([Engine.IO protocol, revision 4]). [`socket_io`] adds namespaces, events and
//! acknowledgements to those messages ([Socket.IO protocol, revision 5]). [`Args`] are the arguments of an event,
//! deserialized on demand. [`websocket`] reads and writes frames.
//!
//! Above them are the state machines: [`session`] opens, keeps alive, upgrades and closes an Engine.IO session at
//! either end, and [`connection`] routes the packets of one client to the namespaces that it has joined.
//!
//! [`cluster`] has the messages that servers exchange.
//!
//! Every decoder is total: it returns a [`DecodeError`] for bad input, and neither panics nor ignores it. Nothing here
//! reads a clock or a source of random numbers: the time, counted from the start of a session, and new ids are
//! arguments.
//!
//! [axum-socketio]: https://docs.rs/axum-socketio
//! [Engine.IO protocol, revision 4]: https://socket.io/docs/v4/engine-io-protocol/
//! [Socket.IO protocol, revision 5]: https://socket.io/docs/v4/socket-io-protocol/

mod always;
pub mod args;
pub mod buf;
pub mod cluster;
pub mod connection;
mod cursor;
pub mod engine_io;
pub mod error;
mod named_enum;
pub mod panics;
mod query;
mod reason;
mod rooms;
pub mod session;
pub mod sid;
pub mod socket_io;
pub mod websocket;

#[doc(hidden)]
pub use always::always;
pub use args::{Args, ArgsError, Binary, EncodedArgs, RawArgs, Rest, Surplus, without_place};
pub use error::{DecodeError, EncodeError};
pub use query::decode_query;
pub use reason::DisconnectReason;
pub use rooms::{Room, Rooms};
pub use sid::Sid;
