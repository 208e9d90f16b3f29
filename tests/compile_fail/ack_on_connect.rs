//! An acknowledgement, where there is no event.
//~ Ack<String>` is not an argument that this kind of Socket.IO handler can take
use axum_socketio::{Ack, Namespace, check_handler};

async fn welcome(_: Ack<String>) {}

check_handler!(connect (); welcome(Ack<String>));

fn main() {
    let _: Namespace = Namespace::new().on_connect(welcome);
}
