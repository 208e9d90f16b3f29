//! Socket.IO as a Tower layer for axum.

mod adapter;
mod builder;
mod connection;
mod driver;
mod engine;
pub mod extract;
pub mod handler;
mod hub;
pub mod protocol;
mod rooms;
pub mod service;
mod sync;
mod transport;

pub use adapter::AdapterError;
pub use builder::{Namespace, SocketIoBuilder};
pub use engine::{DisconnectReason, EmitError, Transport};
pub use extract::{Ack, Auth, Data, Event, RawArgs};
pub use handler::{Handler, Refused, Reply};
pub use hub::{
    AckError, AckFormat, AckStream, AckSummary, Asking, Broadcast, Emitted, Order, Rejected,
    RemoteSocket, Socket, SocketIo, ToSocket, Unhandled,
};
pub use protocol::Sid;
pub use rooms::{Room, Rooms};
