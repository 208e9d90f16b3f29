//! A handler that returns nothing, though the event declares an acknowledgement.
//~ a handler of `Say` cannot return `()`
//~ `Say` declares the acknowledgement `String`
use axum_socketio::contract::ClientEvent;
use axum_socketio::{Ack, Namespace};

#[derive(serde::Deserialize)]
struct Say(String);

impl ClientEvent for Say {
    const NAME: &'static str = "say";
    type Ack = String;
}

async fn say(_: Say, ack: Ack<String>) {
    ack.send("yes".to_owned());
}

fn main() {
    let _: Namespace = Namespace::new().on_event(Say::EVENT, say);
}
