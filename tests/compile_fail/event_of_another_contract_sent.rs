//! An event that is not in the contract of the namespace to which it is sent.
//~ `Moved` is not an event that the server sends in `Chat`
//~ not in the contract `Chat`
use axum_socketio::SocketIo;
use axum_socketio::contract::{ServerEvent, contract};

#[derive(serde::Serialize)]
struct Moved;

impl ServerEvent for Moved {
    const NAME: &'static str = "moved";
    type Ack = ();
}

contract! {
    Chat = "/chat";
    client: ;
    server: ;
}

fn send(io: &SocketIo) {
    io.typed::<Chat>().send_event(&Moved);
}

fn main() {
    let _ = send;
}
