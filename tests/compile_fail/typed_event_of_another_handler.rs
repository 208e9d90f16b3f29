//! A handler that does not take the event for which it is registered.
//~ this handler does not take the event `Say`
//~ none of its arguments is `Say`
use axum_socketio::contract::ClientEvent;
use axum_socketio::{Namespace, Socket};

#[derive(serde::Deserialize)]
struct Say(String);

impl ClientEvent for Say {
    const NAME: &'static str = "say";
    type Ack = u32;
}

#[derive(serde::Deserialize)]
struct Rename(String);

impl ClientEvent for Rename {
    const NAME: &'static str = "rename";
    type Ack = u32;
}

async fn rename(_: Socket, _: Rename) -> axum::Json<u32> {
    axum::Json(1)
}

fn main() {
    let _: Namespace = Namespace::new().on_event(Say::EVENT, rename);
}
