//! Capabilities of the server, one module for each thing a user can do.
#![allow(clippy::unwrap_used, reason = "tests")]

mod autobahn;
mod vectors;
mod ws_differential;
