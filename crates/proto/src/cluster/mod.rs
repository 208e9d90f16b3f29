//! The messages that the servers of a cluster exchange, and the engine that carries them.
//!
//! The messages are those of the Node.js adapters for sharded Redis, Redis Streams and PostgreSQL, so servers of both
//! kinds can share a cluster. Members that only servers of this crate understand are ignored by Node.js.

mod decode;
mod decode_error;
mod encode;
mod message;
mod names;
mod peers;
mod requests;
#[cfg(test)]
mod tests;
mod wire;

pub use decode_error::MessageError;
pub use message::{
    Body, ClientAnswer, FetchAnswer, Flags, Message, Selection, SocketFacts, Wanted,
};
pub use peers::{EMITTER, Heartbeats, Passed, Peers};
pub use requests::{Expected, Requests};
pub use wire::{
    BoxFuture, Channel, Presence, PublishError, Receiver, Wire, WireConnection, WireError,
};
