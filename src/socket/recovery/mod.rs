//! The recovery of a socket: the session that its client resumes, and the events that are stored for it.
//!
//! `state` is the part that belongs to one socket. `resume` resumes a session of this server, `suspend` stores that
//! of a socket whose connection is lost; `store_claim` and `other_server` are for a store that servers share.
//! `stored_events` emits events that a client receives later if it is disconnected.

mod other_server;
mod resume;
mod state;
mod store_claim;
mod stored_events;
mod suspend;

pub(crate) use other_server::SessionSearch;
pub(crate) use state::RecoveryState;
pub(super) use suspend::StoredValues;
