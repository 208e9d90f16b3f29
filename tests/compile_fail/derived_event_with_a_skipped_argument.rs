//! A field that serde leaves out, which would move the next argument.
//~ this field is an argument of the event, so it cannot have `#[serde(skip_serializing_if)]`
use axum_socketio::contract::ServerEvent;

#[derive(serde::Serialize, ServerEvent)]
#[event("said")]
struct Said(#[serde(default, skip_serializing_if = "Option::is_none")] Option<u8>, String);

fn main() {}
