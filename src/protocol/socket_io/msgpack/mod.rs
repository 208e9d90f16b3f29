//! The parser of the JavaScript package `socket.io-msgpack-parser`, version 3: each packet is one binary message, a map of
//! [MessagePack](https://github.com/msgpack/msgpack/blob/master/spec.md) with the members `type`, `nsp`, `data` and `id`.
//!
//! Arguments are translated to JSON and back, value by value, with a stack of known size instead of recursion. What MessagePack
//! has and JSON has not is read as the default parser's clients would have written it: a date is its ISO text, `undefined` is
//! left out of an object and `null` in an array, a number without a value is `null`.

mod date;
mod input;
mod read;
mod write;

use std::fmt::Display;

use super::{Decoder, Limits, Parser, Parts};
use crate::protocol::DecodeError;
use crate::protocol::engine_io::Message;

/// The parser of `socket.io-msgpack-parser`, version 3; see [`parser`](crate::parser).
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
        limits: &Limits,
    ) -> Result<Option<Parts<'static>>, DecodeError> {
        match message {
            Message::Binary(message) => read::packet(&message, limits).map(Some),
            Message::Text(_) => Err(malformed("text")),
        }
    }
}

fn malformed(what: impl Display) -> DecodeError {
    DecodeError::Malformed(what.to_string())
}

#[cfg(test)]
mod tests;
