//! One client across its namespaces, without IO: where a packet goes, and which answers are awaited.

mod acks;
mod backlog;
mod query;
mod router;
mod state;

pub(crate) use acks::{Acks, Asker, Awaited};
pub(crate) use query::handshake_auth;
pub(crate) use router::{Route, Router, Violation};
