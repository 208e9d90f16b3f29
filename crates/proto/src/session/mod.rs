//! The state machine of an Engine.IO session.

mod config;
mod heartbeat;
mod server;

pub use config::SessionConfig;
pub use server::{Action, Control, Input, Session};

#[cfg(test)]
mod tests;
