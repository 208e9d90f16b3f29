//! An in-process client for the tests of an application.
//!
//! [`TestApp`] serves an application in memory: without a port or a socket, but with real HTTP and real frames, so that
//! layers, cookies, extractors and both transports behave as in production. [`TestClient`] is one client in one
//! namespace.
//!
//! ```
//! use axum::{Json, Router, http::StatusCode, routing::post};
//! use axum_socketio::testing::TestApp;
//! use axum_socketio::config::Transport;
//! use axum_socketio::{Data, Namespace, Sid, Socket, SocketIo};
//!
//! async fn join(socket: Socket, Data(room): Data<String>) {
//!     socket.join(room);
//! }
//!
//! async fn message(socket: Socket, Data((room, text)): Data<(String, String)>) -> Json<usize> {
//!     socket.to(&room).emit("message", (socket.id(), &text));
//!     Json(text.len())
//! }
//!
//! async fn announce(io: SocketIo, Json(text): Json<String>) -> StatusCode {
//!     io.emit("announcement", text);
//!     StatusCode::ACCEPTED
//! }
//!
//! /// The application that `main` serves.
//! fn app() -> Router {
//!     let chat = Namespace::new().on("join", join).on("message", message);
//!     let io = SocketIo::builder().namespace("/", chat).build();
//!     Router::new().route("/announce", post(announce)).layer(io.layer())
//! }
//!
//! #[tokio::test(start_paused = true)]
//! # async fn shown() {}
//! async fn a_message_reaches_the_room() {
//!     let app = TestApp::new(app());
//!     let ann = app.connect("/").await.unwrap();
//!     let bob = app.connect("/").transport(Transport::Polling).await.unwrap();
//!
//!     bob.emit("join", "rust").await;
//!     let length: usize = ann.emit_with_ack("message", ("rust", "hi")).await;
//!     assert_eq!(length, 2);
//!     let (from, text): (Sid, String) = bob.next("message").await;
//!     assert_eq!((from, text.as_str()), (ann.id(), "hi"));
//!     ann.expect_no("message").await;
//!
//!     app.post("/announce").json("down at six").await.assert_status(202);
//!     assert_eq!(bob.next::<String>("announcement").await, "down at six");
//! }
//! # tokio::runtime::Builder::new_current_thread()
//! #     .enable_all().start_paused(true).build().unwrap().block_on(a_message_reaches_the_room());
//! ```
//!
//! # Many clients
//!
//! A [`MemoryClient`] is a client of Engine.IO without bytes on a wire. It needs so little that one process can hold a
//! million of them beside the server, to find out what an application does under load.
//!
//! # Time
//!
//! With `start_paused = true` (feature `test-util` of tokio) the clock stands still while any task can make progress,
//! and jumps to the next deadline otherwise: a heartbeat of 25 s takes no time, and an expectation that is not met
//! fails immediately. To let time pass, sleep: `tokio::time::sleep(Duration::from_secs(45)).await`.
//!
//! This module uses tokio's clock throughout. With a paused clock, the 100 ms of [`TestClient::expect_no`] elapse once
//! the whole application is idle and everything that handlers do without waiting for a timer is done. A handler that
//! waits for something outside of the runtime, such as a database, counts as idle: do not pause the clock in such a
//! test.
//!
//! # Panics
//!
//! An expectation that is not met within the [limit](TestApp::limit) fails the test: the panic shows the line of the
//! test, what was expected, and what was received instead. Only a refused connection is returned as an error, because
//! tests often check for it.

mod app;
mod client;
mod connect;
mod connection;
mod error;
mod expect;
mod handshake_request;
mod http1;
mod memory;
mod polling;
mod request;
mod state;
mod websocket;

pub use app::TestApp;
pub use client::{Question, TestClient};
pub use connect::{Connect, Join};
pub use error::{ConnectError, Disconnected};
pub use expect::Waiting;
pub use memory::{MemoryClient, MemoryClosed, TrySendError};
pub use request::{TestRequest, TestResponse};

pub use crate::transport::MemoryPacket;
