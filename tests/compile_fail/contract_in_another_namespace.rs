//! The table of a contract that is added under another name.
//~ mismatched types
//~ expected `Namespace<_>`, found `TypedNamespace<Chat>`
use axum_socketio::contract::contract;
use axum_socketio::{Namespace, SocketIo};

contract! {
    Chat = "/chat";
    client: ;
    server: ;
}

fn main() {
    let chat = Namespace::<()>::new().of::<Chat>();
    let _: SocketIo = SocketIo::builder().namespace("/game", chat).build();
}
