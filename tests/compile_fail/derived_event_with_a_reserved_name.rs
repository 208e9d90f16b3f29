//! The name of an event of Socket.IO itself.
//~ Socket.IO uses this name itself: choose another one
use axum_socketio::contract::ServerEvent;

#[derive(serde::Serialize, ServerEvent)]
#[event("disconnect")]
struct Gone;

fn main() {}
