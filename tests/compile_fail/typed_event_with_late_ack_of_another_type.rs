//! A handler whose later acknowledgement is of another type than the event declares.
//~ a handler of `Say` cannot return `Late<u8>`
//~ `Say` declares the acknowledgement `String`
use axum_socketio::contract::ClientEvent;
use axum_socketio::handler::Late;
use axum_socketio::{Ack, Namespace};

#[derive(serde::Deserialize)]
struct Say(String);

impl ClientEvent for Say {
    const NAME: &'static str = "say";
    type Ack = String;
}

async fn say(_: Say, ack: Ack<u8>) -> Late<u8> {
    ack.late().1
}

fn main() {
    let _: Namespace = Namespace::new().on_event(Say::EVENT, say);
}
