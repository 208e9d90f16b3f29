//! Other packet formats than the default one, for clients that use the same parser.
//!
//! A server has one parser: [`SocketIoBuilder::parser`](crate::SocketIoBuilder::parser). Handlers, rooms,
//! acknowledgements, recovery and the clients of `testing` work with any parser: for them, arguments are JSON and
//! attachments, whatever the format of the packets. Without a parser, the server uses the format that every client
//! supports.
//!
//! The feature `msgpack` adds `Msgpack`, which is compatible with the JavaScript package
//! [`socket.io-msgpack-parser`](https://www.npmjs.com/package/socket.io-msgpack-parser), version 3. Each packet is one
//! binary message, in which binary values need no messages of their own. It saves bytes if events have many numbers or
//! small binary values, and costs time on the server, which reads and writes JSON as well.
//!
//! ```
//! # #[cfg(feature = "msgpack")] {
//! use axum_socketio::SocketIo;
//! use axum_socketio::parser::Msgpack;
//!
//! let io = SocketIo::builder::<()>().parser(Msgpack).build();
//! // In a browser: io({ parser: require("socket.io-msgpack-parser") })
//! # }
//! ```
//!
//! # A parser of one's own
//!
//! This parser writes a packet as a list in JSON: kind, namespace, id, payload. It does not support binary values.
//!
//! ```
//! use std::borrow::Cow;
//!
//! use axum_socketio::SocketIo;
//! use axum_socketio::parser::{DecodeError, Decoder, Kind, Message, PacketLimits, Parser, Parts};
//! use serde_json::value::RawValue;
//!
//! const KINDS: [Kind; 5] =
//!     [Kind::Connect, Kind::Disconnect, Kind::Event, Kind::Ack, Kind::ConnectError];
//!
//! #[derive(Debug)]
//! struct Lists;
//!
//! impl Parser for Lists {
//!     fn encode(&self, packet: &Parts<'_>) -> Vec<Message> {
//!         let kind = KINDS.iter().position(|kind| *kind == packet.kind);
//!         let nsp = serde_json::to_string(&packet.nsp).unwrap_or_default();
//!         let id = packet.id.map_or("null".to_owned(), |id| id.to_string());
//!         let json = packet.json.as_deref().unwrap_or("null");
//!         let text = format!("[{},{nsp},{id},{json}]", kind.unwrap_or_default());
//!         vec![Message::Text(text.into())]
//!     }
//!
//!     fn decoder(&self) -> Box<dyn Decoder> {
//!         Box::new(Self)                              // nothing is kept between two messages
//!     }
//! }
//!
//! impl Decoder for Lists {
//!     fn feed(&mut self, message: Message, _: &PacketLimits) -> Result<Option<Parts<'static>>, DecodeError> {
//!         let Message::Text(text) = message else {
//!             return Err(DecodeError::UnexpectedBinary);
//!         };
//!         let list: (usize, String, Option<u64>, Option<Box<RawValue>>) = serde_json::from_str(&text)
//!             .map_err(|error| DecodeError::Malformed(error.to_string()))?;
//!         let (kind, nsp, id, json) = list;
//!         Ok(Some(Parts {
//!             kind: *KINDS.get(kind).ok_or(DecodeError::Malformed("unknown kind".to_owned()))?,
//!             nsp: nsp.into(),
//!             id,
//!             json: json.map(|json| String::from(Box::<str>::from(json)).into()),
//!             attachments: Cow::default(),
//!         }))
//!     }
//! }
//!
//! let io = SocketIo::builder::<()>().parser(Lists).build();
//! ```

pub use proto::DecodeError;
pub use proto::engine_io::{Message, Text};
#[cfg(feature = "msgpack")]
pub use proto::socket_io::Msgpack;
pub use proto::socket_io::{Decoder, Kind, PacketLimits, Parser, Parts};
