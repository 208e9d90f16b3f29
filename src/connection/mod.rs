//! The namespaces of one client, without IO: the routing of its packets, and its pending acknowledgements.

mod acks;
mod backlog;
mod query;
mod router;
mod state;

pub(crate) use acks::{Acks, Asker, Awaited};
pub(crate) use query::handshake_auth;
pub(crate) use router::{Route, Router, Violation};
