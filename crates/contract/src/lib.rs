//! Typed events for [axum-socketio], without a server.
//!
//! A [`ClientEvent`] is a type that clients send, a [`ServerEvent`] one that the server sends. Each has the name of the
//! event, the [`Shape`] of its arguments and the type of its acknowledgement. A [`Contract`] is a namespace with the
//! events that travel in it.
//!
//! ```
//! use axum_socketio_contract::{ClientEvent, ServerEvent, Shape, Sid, contract};
//! use serde::{Deserialize, Serialize};
//!
//! /// Says a text in a room: `socket.emit("say", room, text, callback)`.
//! #[derive(Serialize, Deserialize)]
//! struct Say(String, String);
//!
//! impl ClientEvent for Say {
//!     const NAME: &'static str = "say";
//!     const SHAPE: Shape = Shape::Several;
//!     type Ack = u64;
//! }
//!
//! /// Reports what somebody has said: `socket.on("said", ({ from, text }) => …)`.
//! #[derive(Serialize, Deserialize)]
//! struct Said { from: Sid, text: String }
//!
//! impl ServerEvent for Said {
//!     const NAME: &'static str = "said";
//!     type Ack = ();
//! }
//!
//! contract! {
//!     /// The events of the namespace `/chat`.
//!     Chat = "/chat";
//!     client: Say;
//!     server: Said;
//! }
//! ```
//!
//! An acknowledgement follows the rule of all arguments: a tuple is several of them, `()` is none, and any other type
//! is one.
//!
//! [axum-socketio]: https://docs.rs/axum-socketio

mod contract;
mod event;
mod shape;
mod spread;

pub use contract::{Contract, ReceivedIn, SentIn};
pub use event::{ClientEvent, EventOf, Received, Sent, ServerEvent};
pub use proto::{Binary, Sid};
pub use shape::Shape;
