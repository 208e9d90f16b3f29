//! A handler of an event that is not in the contract of the namespace.
//~ `Moved` is not an event that clients send in `Chat`
//~ not in the contract `Chat`
use axum_socketio::Namespace;
use axum_socketio::contract::{ClientEvent, contract};

#[derive(serde::Deserialize)]
struct Moved;

impl ClientEvent for Moved {
    const NAME: &'static str = "moved";
    type Ack = ();
}

contract! {
    Chat = "/chat";
    client: ;
    server: ;
}

fn main() {
    let _ = Namespace::<()>::new().of::<Chat>().on_event(Moved::EVENT, async |_: Moved| ());
}
