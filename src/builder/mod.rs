//! What users register, before it runs.

mod handshake;
mod namespace;
mod server;

pub use namespace::Namespace;
pub use server::SocketIoBuilder;
