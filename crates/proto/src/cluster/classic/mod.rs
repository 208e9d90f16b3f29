//! The messages of the classic adapter of Redis, `createAdapter` of `@socket.io/redis-adapter`.
//!
//! | channel | content |
//! |---|---|
//! | the namespace, or a room | an event for clients: MessagePack `[uid, packet, opts]` |
//! | requests | a JSON object with a type from 0 to 7; MessagePack for events with acknowledgements |
//! | a server | an answer: a JSON object with the id of the request; MessagePack for acknowledgements |
//!
//! An answer does not name its sender, and some have no type. A Node.js server exits if it gets an event for clients
//! that it cannot decode, so the encoder writes no other form than this.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub(super) use decode::{decode, is_from};
pub(super) use encode::encode;

/// The types that only servers of this crate send. Node.js ignores unknown types.
mod extension {
    pub(super) const ABANDON: u64 = 100;
    pub(super) const INITIAL_HEARTBEAT: u64 = 101;
    pub(super) const HEARTBEAT: u64 = 102;
    pub(super) const CLOSE: u64 = 113;
}
