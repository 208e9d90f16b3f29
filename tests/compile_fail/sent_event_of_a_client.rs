//! An event of clients that the server sends.
//~ `Say` is not an event that the server sends
use axum_socketio::Socket;
use axum_socketio::contract::ClientEvent;

#[derive(serde::Serialize)]
struct Say(String);

impl ClientEvent for Say {
    const NAME: &'static str = "say";
    type Ack = ();
}

fn send(socket: &Socket) {
    socket.send_event(&Say("hello".to_owned()));
}

fn main() {
    let _ = send;
}
