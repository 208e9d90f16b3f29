//! Typed events: the crate `axum-socketio-contract`, which programs without a server can use as well.
//!
//! With the feature `macros`, [`ClientEvent`] and [`ServerEvent`] can be derived:
//!
#![cfg_attr(feature = "macros", doc = "```")]
#![cfg_attr(not(feature = "macros"), doc = "```ignore")]
//! use axum::Json;
//! use axum_socketio::contract::{ClientEvent, ServerEvent};
//! use axum_socketio::{Namespace, Socket};
//! use serde::{Deserialize, Serialize};
//!
//! /// `socket.emit("say", room, text, callback)`
//! #[derive(Deserialize, ClientEvent)]
//! #[event("say", ack = usize)]
//! struct Say(String, String);
//!
//! /// `socket.on("said", ({ text }) => …)`
//! #[derive(Serialize, ServerEvent)]
//! #[event("said")]
//! struct Said<'a> { text: &'a str }
//!
//! async fn say(socket: Socket, Say(room, text): Say) -> Json<usize> {
//!     socket.to(&room).send_event(&Said { text: &text });
//!     Json(text.len())
//! }
//!
//! let namespace: Namespace = Namespace::new().on_event(Say::EVENT, say);
//! ```
//!
//! The derive counts the fields: a unit struct has no arguments, a tuple struct one for each field, and a struct with
//! named fields or an enum is one argument. It refuses attributes of serde that change the number of arguments, such as
//! `skip` in a tuple struct, and the names of events that Socket.IO uses itself. `ack` is `()` if it is left out. In a
//! crate that depends on `axum-socketio-contract` alone, use the derives of that crate.

pub use ::contract::*;
#[cfg(feature = "macros")]
pub use macros::{ClientEventOfServer as ClientEvent, ServerEventOfServer as ServerEvent};
