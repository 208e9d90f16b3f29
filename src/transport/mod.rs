//! Bytes on a connection, to and from Engine.IO packets.

mod polling;
mod stream;
mod websocket;
mod writer;

pub(crate) use polling::{Body, collect};
pub(crate) use websocket::{End, WebSocket};
