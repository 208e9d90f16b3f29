//! One client across its namespaces, without IO: where a packet goes, and which answers are awaited.

mod acks;
mod backlog;
mod router;

pub(crate) use acks::Acks;
pub(crate) use router::{Route, Router, Violation};
