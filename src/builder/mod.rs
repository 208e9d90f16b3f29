//! What users register, before it runs.

mod check;
mod handshake;
mod limits;
mod namespace;
mod server;
mod timeouts;

pub use namespace::Namespace;
pub use server::SocketIoBuilder;
