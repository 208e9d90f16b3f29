//! A handler that sends one list as the acknowledgement, though the event declares two arguments.
//~ type annotations needed
//~ on_event
use axum_socketio::Namespace;
use axum_socketio::contract::ClientEvent;

#[derive(serde::Deserialize)]
struct Say(String);

impl ClientEvent for Say {
    const NAME: &'static str = "say";
    type Ack = (u8, u8);
}

fn main() {
    let _: Namespace = Namespace::new().on_event(Say::EVENT, async |_: Say| axum::Json((1_u8, 2_u8)));
}
