//! A Socket.IO server as a Tower layer for [axum]: what axum is to HTTP requests, this is to Socket.IO events.
//!
//! ```
//! use axum::{Json, Router};
//! use axum_socketio::{Data, Namespace, Socket, SocketIo};
//!
//! async fn message(socket: Socket, Data((room, text)): Data<(String, String)>) -> Json<usize> {
//!     socket.to(&room).emit("message", (socket.id(), &text));
//!     Json(text.len())                            // the client's acknowledgement
//! }
//!
//! let io = SocketIo::builder()
//!     .namespace("/", Namespace::new().on("message", message))
//!     .build();
//! let app: Router = Router::new().layer(io.layer());
//! ```
//!
//! - [`SocketIo`] is the server and the handle to it; its [`layer`](SocketIo::layer), [`router`](SocketIo::router) and
//!   [`service`](SocketIo::service) mount it.
//! - [`Namespace`] is a table of handlers, as a router is a table of routes.
//! - [`extract`] lists the arguments that a handler may take, [`handler`] the values that it may return.
//! - [`NamespaceHandle`] is a namespace of the running server; [`Socket`] is one client in it, [`BroadcastOperator`]
//!   several of them; [`emit`] has acknowledgements and errors.
//! - [`Limits`] and [`Timeouts`] list the defaults of all limits and times, [`config`] has the values of other options.
//! - [`contract`] has the traits of [typed events](guide::typed_events).
//! - [`guide`] has longer documents; [troubleshooting](guide::troubleshooting) lists symptoms and their causes.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `compression` | the builder's `compression`: permessage-deflate; flate2 with zlib-rs |
//! | `v3` | the builder's `allow_eio3`: clients of Socket.IO 2 and older ones; no further crates |
//! | `msgpack` | [`parser::Msgpack`](parser), for clients with `socket.io-msgpack-parser`; the crate `rmp` |
//! | `macros` | the derives of [`ClientEvent` and `ServerEvent`](contract); the crates `syn` and `quote` |
//! | `metrics` | `SocketIo::publish_metrics` and `handler::HandlerTime`, with the [facade](guide::metrics) `metrics` |
//! | `testing` | the module `testing`: clients in the same process, for tests of an application; no further crates |
//!
//! [axum]: https://docs.rs/axum
#![cfg_attr(docsrs, feature(doc_cfg))]

mod adapter;
mod builder;
mod clock;
pub mod cluster;
pub mod config;
pub mod contract;
mod driver;
pub mod emit;
pub mod extract;
// `tests/it/documents` compiles the code of its pages, with the dependencies that each page shows.
#[cfg(not(doctest))]
pub mod guide;
pub mod handler;
mod http;
mod ids;
mod log_limit;
mod logs;
pub mod metrics;
mod namespace;
mod outbox;
mod panics;
pub mod parser;
pub mod protocol;
pub mod rooms;
mod server;
pub mod service;
mod signal;
mod socket;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod transport;

pub use builder::{Limits, Namespace, SocketIoBuilder, Timeouts, TypedNamespace};
pub use emit::{BroadcastOperator, NamespaceHandle};
pub use extract::{Ack, Auth, Data, Event};
pub use handler::{Refused, Reply};
pub use proto::{DisconnectReason, Sid};
pub use server::SocketIo;
pub use signal::shutdown_signal;
pub use socket::Socket;
