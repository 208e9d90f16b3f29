//! An option that does not exist.
//~ after the name there is only one option: `ack = T`
use axum_socketio::contract::ClientEvent;

#[derive(serde::Deserialize, ClientEvent)]
#[event("say", answer = u8)]
struct Say(String);

fn main() {}
