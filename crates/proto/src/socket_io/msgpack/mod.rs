//! The parser of the JavaScript package `socket.io-msgpack-parser`, version 3.
//!
//! Each packet is one binary message: a map of [MessagePack](https://github.com/msgpack/msgpack/blob/master/spec.md)
//! with the members `type`, `nsp`, `data` and `id`.
//!
//! Arguments are translated to JSON and back, value by value, with a stack of limited size instead of recursion. Values
//! that JSON lacks are translated as clients of the default parser would write them: a date becomes its ISO text,
//! `undefined` is omitted from an object and becomes `null` in an array, and a number that is not finite becomes
//! `null`.

mod date;
mod read;
mod value_reader;
mod write;

use std::fmt::Display;

use bytes::Bytes;

use super::{Decoder, PacketLimits, Parser, Parts};
use crate::DecodeError;
use crate::engine_io::Message;

/// The parser of `socket.io-msgpack-parser`, version 3.
///
/// ```
/// use axum_socketio::SocketIo;
/// use axum_socketio::parser::Msgpack;
///
/// let io = SocketIo::builder::<()>().parser(Msgpack).build();
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Msgpack;

impl Parser for Msgpack {
    fn encode(&self, packet: &Parts<'_>) -> Vec<Message> {
        vec![Message::Binary(write::packet(packet).into())]
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Self)
    }
}

impl Decoder for Msgpack {
    fn feed(
        &mut self,
        message: Message,
        limits: &PacketLimits,
    ) -> Result<Option<Parts<'static>>, DecodeError> {
        match message {
            Message::Binary(message) => read::packet(&message, limits).map(Some),
            Message::Text(_) => Err(malformed("text")),
        }
    }
}

/// Encodes a JSON value whose placeholders refer to attachments.
pub(crate) fn from_json(json: &str, attachments: &[Bytes]) -> Vec<u8> {
    write::json(json, attachments)
}

/// Decodes a single value as JSON, whose placeholders refer to the returned attachments.
pub(crate) fn to_json(
    message: &Bytes,
    max_attachments: usize,
) -> Result<(String, Vec<Bytes>), DecodeError> {
    read::json(message, max_attachments)
}

fn malformed(what: impl Display) -> DecodeError {
    DecodeError::Malformed(what.to_string())
}

#[cfg(test)]
mod tests;
