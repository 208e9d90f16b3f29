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
//! # Derives
//!
//! With the feature `macros`, `ClientEvent` and `ServerEvent` can be derived. The derive counts the fields: a unit
//! struct has no arguments, a tuple struct one for each field, and a struct with named fields or an enum is one
//! argument. It refuses attributes of serde that change the number of arguments, such as `skip` in a tuple struct, and
//! the names of events that Socket.IO uses itself. `ack` is `()` if it is left out.
//!
#![cfg_attr(feature = "macros", doc = "```")]
#![cfg_attr(not(feature = "macros"), doc = "```ignore")]
//! use axum_socketio_contract::{ClientEvent, ServerEvent};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize, ClientEvent)]
//! #[event("say", ack = u64)]
//! struct Say(String, String);
//!
//! #[derive(Serialize, ServerEvent)]
//! #[event("said")]
//! struct Said<'a> { text: &'a str }
//! ```
//!
//! [axum-socketio]: https://docs.rs/axum-socketio

mod contract;
mod event;
mod shape;
mod spread;

pub use contract::{Contract, ReceivedIn, SentIn};
pub use event::{ClientEvent, EventOf, Received, Sent, ServerEvent};
#[cfg(feature = "macros")]
pub use macros::{ClientEvent, ServerEvent};
pub use proto::{Binary, Sid};
pub use shape::Shape;
