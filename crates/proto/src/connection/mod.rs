//! The namespaces of one client, without IO: the routing of its packets, and its pending acknowledgements.

mod backlog;
mod membership;
mod query;
mod router;

pub use query::handshake_auth;
pub use router::{Route, Router, Starting, Violation};
