//! An attribute that does not begin with the name.
//~ the name of the event comes first, in quotes
use axum_socketio::contract::ClientEvent;

#[derive(serde::Deserialize, ClientEvent)]
#[event(ack = u8, "say")]
struct Say(String);

fn main() {}
