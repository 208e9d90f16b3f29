//! A derived event without its attribute.
//~ the name of the event is missing: add `#[event("name")]`
use axum_socketio::contract::ClientEvent;

#[derive(serde::Deserialize, ClientEvent)]
struct Say(String);

fn main() {}
