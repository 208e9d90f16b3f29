//! Capabilities of the server, one module for each thing a user can do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests"
)]

mod api;
mod autobahn;
mod batches;
mod broadcast;
mod bursts;
#[cfg(feature = "testing")]
mod cluster;
mod compile_fail;
#[cfg(feature = "compression")]
mod compression;
mod connect;
mod documents;
mod drain;
mod examples;
mod faults;
mod grammar;
mod handshake;
mod heartbeat;
mod http2;
mod inbound;
mod layers;
mod limits;
mod logs;
mod metrics;
mod mounting;
mod panics;
#[cfg(all(feature = "msgpack", feature = "testing"))]
mod parser;
mod polling;
mod races;
#[cfg(feature = "testing")]
mod recovery;
mod rejoin;
#[cfg(feature = "v3")]
mod revision3;
mod security;
mod serve_client;
mod sessions;
mod slow;
mod spans;
mod support;
#[cfg(feature = "testing")]
mod testing;
mod upgrade;
mod user_code;
mod ws_differential;
