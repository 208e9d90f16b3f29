//! A typed event that cannot be read.
//~ this function cannot be such a handler in a Socket.IO namespace
use axum_socketio::Namespace;
use axum_socketio::contract::ClientEvent;

struct Say;

impl ClientEvent for Say {
    const NAME: &'static str = "say";
    type Ack = ();
}

async fn say(_: Say) {}

fn main() {
    let _: Namespace = Namespace::new().on_event(Say::EVENT, say);
}
