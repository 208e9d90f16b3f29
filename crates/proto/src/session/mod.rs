//! The state machines of an Engine.IO session, one for each end.
//!
//! Both have the same four methods: `handle` takes an input, `handle_timeout` is called when time has passed,
//! `poll_action` returns the actions to run, and `poll_timeout` the time of the next call of `handle_timeout`. They
//! move no bytes and read no clock: times are counted from the start of the session.

mod client;
mod config;
mod heartbeat;
mod server;

pub use client::{ClientAction, ClientConfig, ClientInput, ClientSession};
pub use config::SessionConfig;
pub use server::{Control, Session, SessionAction, SessionInput};

#[cfg(test)]
mod tests;
