//! A handler that returns another type than the event declares.
//~ a handler of `Say` cannot return `Result<axum::Json<u32>, String>`
//~ `Say` declares the acknowledgement `String`
use axum_socketio::Namespace;
use axum_socketio::contract::ClientEvent;

#[derive(serde::Deserialize)]
struct Say(String);

impl ClientEvent for Say {
    const NAME: &'static str = "say";
    type Ack = String;
}

fn main() {
    let _: Namespace = Namespace::new().on_event(Say::EVENT, async |_: Say| Ok::<_, String>(axum::Json(1_u32)));
}
