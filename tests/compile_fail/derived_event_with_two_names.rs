//! An event with two attributes.
//~ an event has one name: remove the second `#[event(…)]`
use axum_socketio::contract::ServerEvent;

#[derive(serde::Serialize, ServerEvent)]
#[event("said")]
#[event("told")]
struct Said(String);

fn main() {}
