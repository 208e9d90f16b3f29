//! The reason of a disconnect, in the handler of an event.
//~ `DisconnectReason` is not an argument that this kind of Socket.IO handler can take
//~ on disconnect also `DisconnectReason`
use axum_socketio::{DisconnectReason, Namespace, check_handler};

async fn leave(_: DisconnectReason) {}

check_handler!((); leave(DisconnectReason));

fn main() {
    let _: Namespace = Namespace::new().on("leave", leave);
}
