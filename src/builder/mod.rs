//! The builders of a server: its namespaces, its handlers and its options.

mod check;
mod chosen;
mod handshake;
mod limits;
mod namespace;
mod namespace_merge;
mod namespace_options;
mod server;
mod timeouts;
mod typed_events;
mod typed_namespace;
mod unique;

pub use limits::Limits;
pub use namespace::Namespace;
pub use server::{HasState, SocketIoBuilder};
pub use timeouts::Timeouts;
pub use typed_namespace::TypedNamespace;
