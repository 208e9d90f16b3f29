//! Capabilities of the server, one module for each thing a user can do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests"
)]

mod connect;
mod grammar;
mod heartbeat;
mod http2;
mod limits;
mod polling;
mod support;
mod upgrade;
mod vectors;
