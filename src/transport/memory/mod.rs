//! A transport in memory, between a client and a server in the same process: whole packets, without bytes on a wire.
//!
//! A client offers it with its handshake, as an extension of the HTTP request. It stands for a WebSocket, so that
//! handlers see what they see in production: it has the same name, the same limits and the same ends.

mod link;
mod packet;
mod server;

pub(crate) use link::{ClientEnd, MemoryLink, NotSent};
pub use packet::MemoryPacket;
pub(crate) use server::{Memory, MemoryOffer};
