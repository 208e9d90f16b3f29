//! The recovery of a socket: the session that its client resumes, and the events that are stored for it.
//!
//! `state` is the part that belongs to one socket. `resume` resumes a session of this server, and stores that of a
//! socket that has ended; `store_claim` and `other_server` are for a store that servers share. `stored_events` emits
//! events that a client receives later if it is disconnected.

mod other_server;
mod resume;
mod state;
mod store_claim;
mod stored_events;

pub(crate) use other_server::SessionSearch;
pub(super) use resume::StoredValues;
pub(crate) use state::RecoveryState;
