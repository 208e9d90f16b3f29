//! The builders of a server: its namespaces, its handlers and its options.

mod check;
mod handshake;
mod limits;
mod namespace;
mod server;
mod timeouts;

pub use limits::Limits;
pub use namespace::Namespace;
pub use server::{HasState, SocketIoBuilder};
pub use timeouts::Timeouts;
